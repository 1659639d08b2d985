"""From fetched files to a published asset: archives, files, trees; stage, build and install."""

import gzip

import pytest
from archives import COMPRESSIONS, make_archive
from project import Project, tree

SORTS = ("tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst", "zip")
FILES = {"top/bin/tool*": "#!/bin/sh\necho tool\n", "top/doc.txt": "doc\n"}
TREE = {name.rstrip("*"): text for name, text in FILES.items()}
STRIPPED = {name.removeprefix("top/"): text for name, text in TREE.items()}

# The body of a recipe, and the files of its asset.
CASES = {
    **{f"a {sort}": (f'fetch = "files/tools.{sort}"', TREE) for sort in SORTS},
    **{
        f"a lone {ending}": (f'fetch = "files/single.txt.{ending}"', {"single.txt": "single\n"})
        for ending in COMPRESSIONS
    },
    "stage strips": ('fetch = "files/tools.tar.gz"\nstage = { strip = 1 }', STRIPPED),
    "an item strips": ('fetch = { source = "files/tools.zip", strip = 1 }', STRIPPED),
    "a subdir of an archive": (
        'fetch = { source = "files/tools.tar.gz", subdir = "top/bin" }',
        {"tool": FILES["top/bin/tool*"]},
    ),
    "a part of an archive": (
        """fetch = { source = "files/tools.zip", strip = 1, only = { "bin", "*.txt" },
          exclude = { "bin/tool" }, executable = { "doc.txt" } }
        install = "test -x $ENVY_STAGE_DIR/doc.txt && cp $ENVY_STAGE_DIR/* ." """,
        {"doc.txt": "doc\n"},
    ),
    "into a folder": (
        'fetch = { { source = "files/tools.tar.gz", strip = 1, into = "a/b" }, "files/plain.txt" }',
        {**{f"a/b/{name}": text for name, text in STRIPPED.items()}, "plain.txt": "plain\n"},
    ),
    "another name": (
        'fetch = { source = "files/plain.txt", dest = "other.txt" }',
        {"other.txt": "plain\n"},
    ),
    "a compressed file that is kept": (
        (
            'fetch = { source = "files/single.txt.gz", extract = false }\n'
            'install = "gzip -dc $ENVY_STAGE_DIR/single.txt.gz > s"'
        ),
        {"s": "single\n"},
    ),
    "a file URI": ('fetch = "file:files/plain.txt"', {"plain.txt": "plain\n"}),
    "a local tree": ('fetch = "files/tree"', {"a/b.txt": "b\n", "link": "-> a/b.txt"}),
    "a subdir of a tree": ('fetch = { source = "files/tree", subdir = "a" }', {"b.txt": "b\n"}),
    "a stage script": (
        'fetch = "files/tools.tar.gz"\nstage = "tar -xzf $ENVY_FETCH_DIR/tools.tar.gz top/doc.txt"',
        {"top/doc.txt": "doc\n"},
    ),
    "a stage function": (
        'fetch = "files/tools.tar.gz"\nstage = function(ctx) ctx.extract_all({ strip = 1 }) end',
        STRIPPED,
    ),
    "a stage function that returns the table": (
        'fetch = "files/tools.tar.gz"\nstage = function() return { strip = 1 } end',
        STRIPPED,
    ),
    "extract one": (
        """fetch = { "files/tools.tar.gz", "files/tools.zip" }
        stage = function(ctx)
          local count = ctx.extract("tools.tar.gz", { strip = 1, dest = "out" })
          ctx.write("count", tostring(count))
        end""",
        {**{f"out/{name}": text for name, text in STRIPPED.items()}, "count": "2"},
    ),
    "extract in install": (
        """fetch = { source = "files/tools.zip", extract = false }
        install = function(ctx) ctx.extract("tools.zip", { strip = 1 }) end""",
        STRIPPED,
    ),
    "build runs where things are staged": (
        'fetch = "files/tools.tar.gz"\nbuild = "cat top/doc.txt > made; rm -r top"',
        {"made": "doc\n"},
    ),
    "build without fetch": ('build = "echo made > made"', {"made": "made\n"}),
    "what build put into install_dir": (
        'build = "echo scratch > scratch; echo made > $ENVY_INSTALL_DIR/made"',
        {"made": "made\n"},
    ),
    "install runs in its folder": (
        'fetch = "files/plain.txt"\ninstall = "cp $ENVY_STAGE_DIR/plain.txt copy"',
        {"copy": "plain\n"},
    ),
    "install as a function": (
        (
            'fetch = "files/plain.txt"\n'
            'install = function(ctx) ctx.copy(ctx.stage_dir .. "/plain.txt", "doc/") end'
        ),
        {"doc/plain.txt": "plain\n"},
    ),
    "an empty package that is meant": (
        "install = function(ctx) ctx.mark_install_complete() end",
        {},
    ),
    "every phase after the other": (
        """fetch = "files/plain.txt"
        stage = function(ctx) ctx.copy(ctx.fetch_dir .. "/plain.txt", "1") end
        build = function(ctx) ctx.move("1", "2") end
        install = function(ctx) ctx.move(ctx.stage_dir .. "/2", "3") end""",
        {"3": "plain\n"},
    ),
    "fetch as a function that returns a source": (
        'fetch = function(ctx, opts) return "files/plain.txt" end',
        {"plain.txt": "plain\n"},
    ),
    "fetch as a function that returns several": (
        """fetch = function()
          return { "files/plain.txt", { source = "files/tree", into = "t" } }
        end""",
        {"plain.txt": "plain\n", "t/a/b.txt": "b\n", "t/link": "-> a/b.txt"},
    ),
    "fetch as a function that fetches": (
        """inputs = { "files/plain.txt", "files/tools.tar.gz" }
        fetch = function(ctx)
          local one = ctx.fetch("files/plain.txt")
          local two = ctx.fetch({ "files/tools.tar.gz" })
          ctx.commit_fetch(one, two[1])
        end
        stage = { strip = 1 }""",
        {**STRIPPED, "plain.txt": "plain\n"},
    ),
    "what is not committed is not staged": (
        """inputs = { "files/plain.txt", "files/tools.tar.gz" }
        fetch = function(ctx)
          ctx.fetch({ "files/plain.txt", "files/tools.tar.gz" })
          ctx.commit_fetch("plain.txt")
        end""",
        {"plain.txt": "plain\n"},
    ),
    "a file that fetch made itself": (
        """fetch = function(ctx) ctx.write("own.txt", "own") ctx.commit_fetch("own.txt") end""",
        {"own.txt": "own"},
    ),
    "fetch that acts and returns": (
        """fetch = function(ctx)
          ctx.write("own.txt", "own")
          ctx.commit_fetch("own.txt")
          return "files/plain.txt"
        end""",
        {"own.txt": "own", "plain.txt": "plain\n"},
    ),
    "a commit with its digest": (
        """fetch = function(ctx)
          ctx.write("own.txt", "own\\n")
          ctx.commit_fetch({ filename = "own.txt", sha256 =
            "7e6518373b1a8cf5eed9717076284744ba44ace422c7877442aebcceecc42a23" })
        end""",
        {"own.txt": "own\n"},
    ),
}


def write_files(project):
    """Write the files that the recipes fetch."""
    for sort in SORTS:
        project.write(f"recipes/files/tools.{sort}", make_archive(f"x.{sort}", FILES))
    for ending, compress in COMPRESSIONS.items():
        project.write(f"recipes/files/single.txt.{ending}", compress(b"single\n"))
    project.write("recipes/files/plain.txt", "plain\n")
    project.write("recipes/files/tree/a/b.txt", "b\n")
    (project.root / "recipes/files/tree/link").symlink_to("a/b.txt")


def identity_of(case):
    """Return the identity of a case's recipe."""
    return f"local.{case.replace(' ', '-')}@r1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sync one recipe for each case."""
    project = Project(tmp_path_factory.mktemp("cases") / "project")
    write_files(project)
    project.packages(*map(identity_of, CASES))
    for case, (body, _) in CASES.items():
        project.recipe(identity_of(case), body)
    return project.envy("sync")


@pytest.mark.parametrize("case", CASES)
def test_what_is_published(made, case):
    """The asset contains what the recipe's fetch, stage, build and install produce."""
    assert tree(made.folder(identity_of(case))) == CASES[case][1]


@pytest.mark.parametrize("sort", SORTS)
def test_archives_keep_executable_files(made, sort):
    """A program from an archive can be run."""
    folder = made.folder(identity_of(f"a {sort}"))
    assert (folder / "top/bin/tool").stat().st_mode & 0o111
    assert not (folder / "top/doc.txt").stat().st_mode & 0o111


def test_a_file_is_made_executable(project):
    """executable = true makes a fetched file executable."""
    write_files(project)
    folder = project.make('fetch = { source = "files/plain.txt", executable = true }')
    assert (folder / "plain.txt").stat().st_mode & 0o111


@pytest.mark.parametrize("executable", ["", "executable = true"])
def test_a_decompressed_file_is_made_executable(project, executable):
    """executable = true makes what a compressed file decompresses to executable."""
    project.write("tool.gz", gzip.compress(b"#!/bin/sh\necho tool\n"))
    folder = project.make(f'fetch = {{ source = "../tool.gz", {executable} }}')
    assert bool((folder / "tool").stat().st_mode & 0o111) is bool(executable)


def test_an_archive_may_be_published_unchanged(project):
    """extract = false publishes the archive itself."""
    write_files(project)
    folder = project.make('fetch = { source = "files/tools.zip", extract = false }')
    assert [path.name for path in folder.iterdir()] == ["tools.zip"]


@pytest.mark.parametrize("sort", ["zip", "tar.zst"])
def test_what_a_script_changes_after_unpacking(project, sort):
    """A fingerprint is that of the published files, also of one that kept its size and its time."""
    files = {f"d/{number}": f"text {number:03d}\n" for number in range(500)}
    project.write(f"files.{sort}", make_archive(f"x.{sort}", files))
    folder = project.make(
        f"""fetch = "../files.{sort}"
        stage = function(ctx)
          ctx.extract_all()
          ctx.run([[
            cd d
            touch -r 7 ../time && printf 'tExt 007\n' > 7 && touch -r ../time 7 && rm ../time
            mv 8 9 && chmod +x 10
          ]])
        end"""
    )
    assert (folder / "d/7").read_text() == "tExt 007\n"
    assert "0 damaged" in project.envy("cache", "verify").out


def test_publishing_the_stage_folder_is_reported(project):
    """Without an install, a message lists what is published."""
    run = project.sync_one('build = "echo made > made"', "--verbose")
    assert "the stage folder is published unchanged (made)" in run.err


def test_extraction_is_in_the_trace(project):
    """The trace contains each archive with its destination and number of files."""
    write_files(project)
    run = project.sync_one('fetch = "files/tools.tar.gz"')
    [done] = run.named("lua_ctx_extract_complete")
    assert done["files_extracted"] == 2
    assert done["destination"] == str(run.folder("local.one@r1"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('install = "true"', "there is nothing to publish: install left its folder empty"),
        ('build = "true"', "there is nothing to publish"),
        ("fetch = function() end", "there is nothing to publish: nothing was fetched or built"),
        ('fetch = "files/broken.tar.gz"', "broken.tar.gz"),
        (
            'fetch = { source = "files/plain.txt", extract = true }',
            "is not an archive that envy unpacks",
        ),
        ('fetch = { source = "files/tools.tar.gz", strip = 9 }', "tools.tar.gz"),
        ('fetch = { source = "files/tools.tar.gz", subdir = "none" }', "none"),
        (
            'fetch = { source = "files/tools.tar.gz", only = { "top/sbin" } }',
            'matches "top/sbin" of `only`',
        ),
        (
            'fetch = { source = "files/tools.tar.gz", executable = true }',
            "tools.tar.gz is unpacked, and its `executable` is true",
        ),
        (
            'fetch = { source = "files/plain.txt", exclude = { "a" } }',
            "plain.txt is not unpacked, and its `exclude` has patterns",
        ),
        (
            'fetch = { source = "files/tree", only = { "a" } }',
            "tree is a folder, and `only` is for archives",
        ),
        ('fetch = "files/missing.txt"', "missing.txt does not exist"),
        (
            'fetch = { "files/plain.txt", { source = "files/tree/a/b.txt", dest = "plain.txt" } }',
            'two sources have the file name "plain.txt"',
        ),
        ("fetch = function(ctx) ctx.commit_fetch('none') end", "there is no none"),
        (
            (
                'fetch = function(ctx) ctx.write("x", "") '
                f'ctx.commit_fetch({{ filename = "x", sha256 = "{"0" * 64}" }}) end'
            ),
            "sha256 of x does not match",
        ),
        ('fetch = function(ctx) ctx.fetch("files/plain.txt") end', "inputs"),
        ('fetch = "files/plain.txt"\nstage = function() return { srtip = 1 } end', "strip"),
        (
            'fetch = "files/plain.txt"\nstage = function() return 1 end',
            "`stage` must return nothing",
        ),
    ],
)
def test_what_cannot_be_published_is_an_error(project, body, message):
    """A package without content, a damaged archive or a wrong digest leaves no marker."""
    write_files(project)
    project.write("recipes/files/broken.tar.gz", gzip.compress(b"no tar at all")[:20])
    run = project.sync_one(body, code=1)
    assert message in run.err
    assert project.markers() == []


def test_all_committed_files_or_none(project):
    """If one of several files to commit is wrong, none is committed."""
    project.sync_one(
        """fetch = function(ctx)
          ctx.write("a", "a") ctx.write("b", "b")
          ctx.commit_fetch("a", "missing", "b")
        end""",
        code=1,
    )
    [(_, entry)] = project.entries()
    assert list((entry / "fetch").iterdir()) == []
