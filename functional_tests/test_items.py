"""Several items of one fetch: which paths they may share, and where each is unpacked."""

import gzip

import pytest
from archives import make_archive, make_tar
from loopback.git_repository import GitRepository
from loopback.package_index import make_sdist
from project import Project, tree


def write_pairs(project):
    """Write the items that the cases fetch."""
    for name, files in {
        "a.tar": {"bin/tool*": "one", "same": "same", "only-a": "a"},
        "b.tar": {"bin/tool*": "two", "same": "same", "only-b": "b"},
        "c.zip": {"bin/tool": "one"},
        "link.tar": {"same": "-> only-a", "lib64": "-> bin"},
        "inner.tar": {"lib64": "-> bin"},
        "through.tar": {"lib64/tool*": "three"},
        "other-link.tar": {"same": "-> bin/tool"},
        "folder.tar": {"same/x": "x"},
        "file.tar": {"bin": "a file"},
        "more.tar": {"bin/tool*": "two", "only-a": "2", "same": "2"},
    }.items():
        project.write(f"recipes/{name}", make_archive(name, files))
    project.write("recipes/same", "other")
    project.write("recipes/same.gz", gzip.compress(b"compressed", mtime=0))
    project.write("recipes/tree/bin/tool", "two", mode=0o755)


# The items, and parts of the message.
CONFLICTS = {
    "two archives": ('"a.tar", "b.tar"', "with different content: bin/tool"),
    "a tar and a zip": ('"a.tar", "c.zip"', "and only one of the two is executable: bin/tool"),
    "an archive and a file": ('"a.tar", "same"', "with different content: same"),
    "a file and an archive": ('"same", "a.tar"', "with different content: same"),
    "an archive and a compressed file": ('"a.tar", "same.gz"', "with different content: same"),
    "an archive and a folder": ('"a.tar", "tree"', "with different content: bin/tool"),
    "a folder and an archive": ('"tree", "a.tar"', "with different content: bin/tool"),
    "a file and a link": ('"a.tar", "link.tar"', "one as a file and one as a link: same"),
    "two links": ('"link.tar", "other-link.tar"', "as links to different targets: same"),
    "through a link": (
        '"tree", "inner.tar", "through.tar"',
        "with different content: bin/tool",
    ),
    "a folder over a file": ('"a.tar", "folder.tar"', "one as a file and one as a folder: same"),
    "a file over a folder": ('"a.tar", "file.tar"', "one as a file and one as a folder: bin"),
    "several paths": ('"a.tar", "more.tar"', "with different content: bin/tool (and 2 more)"),
    "by into": ('"b.tar", { source = "same", into = "bin", dest = "tool" }', "content: bin/tool"),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_two_items_that_bring_one_path(project, case):
    """It is an error that names both items with their lines, the path and `into`."""
    write_pairs(project)
    rows, message = CONFLICTS[case]
    run = project.sync_one("fetch = {\n  " + rows.replace(", ", ",\n  ") + ",\n}", code=1)
    assert " bring the same path, " in run.err
    assert message in run.err
    assert 'hint: unpack one of the two into a folder of its own: into = "…"' in run.err
    assert ("overlay = true" in run.err) is ("folder: " not in message)
    assert project.markers() == []


def test_the_lines_of_both_items(project):
    """The error is reported at the later item, and says where the earlier one is."""
    write_pairs(project)
    run = project.sync_one('fetch = {\n  "a.tar",\n  "tree",\n}', code=1)
    recipe = "recipes/local.one@r1.lua"
    expected = f"{recipe}:4: a.tar ({recipe}:3) and tree ({recipe}:4) bring the same path, "
    assert expected in run.err
    assert "if tree is to replace it, add overlay = true to its source" in run.err


def test_a_repository_and_an_archive(project, git_repository):
    """A repository is an item like every other."""
    write_pairs(project)
    git_repository.commit({"bin/tool": "three"})
    item = f'{{ source = "{git_repository.url}", ref = "main" }}'
    run = project.sync_one(f'fetch = {{ {item}, "a.tar" }}', code=1)
    assert "bring the same path, with different content: bin/tool" in run.err


def test_an_overlay_replaces(project):
    """With overlay = true, a later item replaces what earlier ones brought; links, too."""
    write_pairs(project)
    body = """fetch = { "a.tar", { source = "b.tar", overlay = true },
      { source = "other-link.tar", overlay = true } }"""
    assert tree(project.make(body)) == {
        "bin/tool": "two",
        "same": "-> bin/tool",
        "only-a": "a",
        "only-b": "b",
    }


def test_an_overlay_is_replaced_by_none(project):
    """`overlay` of an earlier item does not let a later one replace its files."""
    write_pairs(project)
    run = project.sync_one('fetch = { { source = "a.tar", overlay = true }, "b.tar" }', code=1)
    assert "with different content: bin/tool" in run.err


def test_a_folder_is_never_replaced_by_a_file(project):
    """Not even by an overlay, and the hint does not suggest it."""
    write_pairs(project)
    run = project.sync_one('fetch = { "a.tar", { source = "file.tar", overlay = true } }', code=1)
    assert "one as a file and one as a folder: bin" in run.err


def test_equal_content_is_no_conflict(project):
    """Items may share folders, and files and links with the same content."""
    files = {"doc/LICENSE": "text", "bin/tool*": "x", "l": "-> bin"}
    for name in ("a.tar", "b.tar.gz"):
        project.write(f"recipes/{name}", make_archive(name, {**files, f"doc/{name}": name}))
    project.write("recipes/tree/doc/LICENSE", "text")
    folder = project.make('fetch = { "a.tar", "b.tar.gz", "tree" }')
    assert tree(folder) == {
        "doc/LICENSE": "text",
        "doc/a.tar": "a.tar",
        "doc/b.tar.gz": "b.tar.gz",
        "bin/tool": "x",
        "l": "-> bin",
    }
    assert (folder / "bin/tool").stat().st_mode & 0o111


def test_one_archive_may_repeat_a_name(project):
    """The later entry of one archive replaces the earlier one, also where two items agree."""
    project.write("recipes/a.tar", make_tar({"x": "2"}))
    project.write("recipes/b.tar", make_tar({"x": "1"})[:1024] + make_tar({"x": "2"}))
    assert tree(project.make('fetch = { "a.tar", "b.tar" }')) == {"x": "2"}


def test_calls_of_a_function_replace_in_order(project):
    """What several calls of ctx.extract bring, and what the recipe wrote, is in its own order."""
    write_pairs(project)
    body = """fetch = { "a.tar", "b.tar" }
    stage = function(ctx)
      ctx.write("same", "mine")
      ctx.extract("a.tar")
      ctx.extract("b.tar")
    end"""
    assert tree(project.make(body))["bin/tool"] == "two"


def test_extract_all_judges_its_items(project):
    """The items of one ctx.extract_all must agree, as in the default stage."""
    write_pairs(project)
    body = """fetch = { "a.tar", "b.tar" }
    stage = function(ctx) ctx.extract_all({ dest = "d" }) end"""
    assert "with different content: d/bin/tool" in project.sync_one(body, code=1).err


def test_committed_items(project: Project):
    """Committed items are judged as well; a commit may say `overlay` and `into`."""
    write_pairs(project)
    body = """inputs = { "a.tar" }
    fetch = function(ctx)
      ctx.fetch("a.tar")
      ctx.write("same", "mine")
      ctx.commit_fetch("a.tar", %s)
    end"""
    run = project.sync_one(body % '"same"', code=1)
    assert "a.tar and same bring the same path, with different content: same" in run.err
    folder = project.make(body % '{ filename = "same", overlay = true }')
    assert tree(folder)["same"] == "mine"
    folder = project.make(body % '{ filename = "same", into = "mine" }')
    assert tree(folder)["mine/same"] == "mine"


FOLDERS = {
    "a folder": ('ctx.commit_fetch("data")', {"data/x": "x", "data/deep/y": "y"}),
    "a folder and its file": (
        'ctx.write("x", "top") ctx.commit_fetch("data", "x")',
        {"data/x": "x", "data/deep/y": "y", "x": "top"},
    ),
    "an inner folder": ('ctx.commit_fetch("data/deep")', {"deep/y": "y"}),
    "a folder by its link": (
        'ctx.symlink("data", "link") ctx.commit_fetch("link")',
        {"link/x": "x", "link/deep/y": "y"},
    ),
    "into another": (
        'ctx.commit_fetch({ filename = "data", into = "a/b" })',
        {"a/b/x": "x", "a/b/deep/y": "y"},
    ),
    "into the stage folder": (
        'ctx.commit_fetch({ filename = "data", into = "." })',
        {"x": "x", "deep/y": "y"},
    ),
    "with colons": (
        'ctx.move("data", "npm:data") ctx.commit_fetch("npm:data")',
        {"npm:data/x": "x", "npm:data/deep/y": "y"},
    ),
    "a repository": (
        'ctx.commit_fetch(ctx.fetch({ source = "URL", ref = "main" }))',
        {"tool/a": "a"},
    ),
    "a repository into": (
        'ctx.commit_fetch(ctx.fetch({ source = "URL", ref = "main", into = "." }))',
        {"a": "a"},
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_committed_folder_keeps_its_name(project, git_repository, case):
    """Its content is staged below its name; `into` says otherwise."""
    git_repository.commit({"a": "a"})
    call, expected = FOLDERS[case]
    body = f"""fetch = function(ctx)
      ctx.write("data/x", "x")
      ctx.write("data/deep/y", "y")
      {call.replace("URL", git_repository.url)}
    end"""
    assert tree(project.make(body)) == expected


def test_a_committed_folder_is_an_item(project):
    """What a committed folder and a file both bring is judged."""
    project.write("recipes/x", "of the recipe")
    body = """fetch = function(ctx)
      ctx.write("data/x", "x")
      ctx.commit_fetch("data")
      return { source = "x", into = "data" }
    end"""
    run = project.sync_one(body, code=1)
    assert "data and x (" in run.err
    assert "bring the same path, with different content: data/x" in run.err


ELSEWHERE = {
    "a file": 'ctx.commit_fetch("OUTSIDE/file")',
    "a folder": 'ctx.commit_fetch("OUTSIDE")',
    "with dots": 'ctx.commit_fetch(ctx.tmp_dir .. "/../../../../../../outside/file")',
    "of the recipe": 'ctx.commit_fetch(ctx.recipe_dir .. "/own")',
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_is_committed_from_elsewhere_stays_there(project, tmp_path, case):
    """Only files of the run folder are moved; any other is copied."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("x")
    project.write("recipes/own", "x")
    call = ELSEWHERE[case].replace("OUTSIDE", str(tmp_path / "outside"))
    folder = project.make(f"inputs = {{ 'own' }}\nfetch = function(ctx) {call} end")
    assert "x" in tree(folder).values()
    assert tree(tmp_path / "outside") == {"file": "x"}
    assert (project.root / "recipes/own").read_text() == "x"


def test_a_committed_folder_has_no_digest(project):
    """A digest for a folder is an error that says so."""
    body = f"""fetch = function(ctx)
      ctx.mkdir("data")
      ctx.commit_fetch({{ filename = "data", sha256 = "{"0" * 64}" }})
    end"""
    assert "data is a folder, and a folder has no digest" in project.sync_one(body, code=1).err


NAMES = {
    "in one call": 'ctx.commit_fetch("a/x", "b/x")',
    "in two calls": 'ctx.commit_fetch("a/x") ctx.commit_fetch("b/x")',
    "and a source": 'ctx.commit_fetch("a/x") return "x"',
}


@pytest.mark.parametrize("case", NAMES)
def test_a_second_file_of_one_name(project, case):
    """No committed file is silently replaced by another of the same name."""
    project.write("recipes/x", "of the recipe")
    body = f"""fetch = function(ctx)
      ctx.write("a/x", "1")
      ctx.write("b/x", "2")
      {NAMES[case]}
    end"""
    run = project.sync_one(body, code=1)
    assert 'the same file name, "x"' in run.err or 'have the file name "x"' in run.err
    assert project.markers() == []


def test_a_release_that_is_fetched_twice(project, package_index):
    """A registry gives one name to both, so the second needs another."""
    package_index.add("tool", "tool-1.0.tar.gz", make_sdist("tool-1.0", {"main.c": "int main;"}))
    row = '{ source = "pypi:tool==1.0", kind = "sdist", into = "%s" }'
    body = f"fetch = {{ {row % 'a'}, {row % 'b'} }}"
    run = project.sync_one(body, code=1, env={"PIP_INDEX_URL": package_index.url})
    assert "two sources have the same file: pypi:tool==1.0\n" in run.err
    assert 'hint: give one of them another name: dest = "NAME"' in run.err
    body = body.replace('into = "b"', 'into = "b", dest = "b.tar.gz"')
    folder = project.make(body, env={"PIP_INDEX_URL": package_index.url})
    assert list(tree(folder)) == ["a/tool-1.0/main.c", "b/tool-1.0/main.c"]


# -- repositories -------------------------------------------------------------------------------


@pytest.fixture
def repositories(tmp_path):
    """Repositories in folders of their own, two of them with one name."""
    made = {}
    for folder, name in (("x", "ninja"), ("x", "lua"), ("y", "ninja")):
        (tmp_path / folder).mkdir(exist_ok=True)
        repository = GitRepository(tmp_path / folder, name)
        repository.commit({"README": f"{folder}/{name}", "src/a.c": "int a;"})
        made[f"{folder}/{name}"] = f'source = "{repository.url}", ref = "main"'
    return made


def rows_of(repositories, *rows):
    """A fetch of repositories, each with more fields."""
    texts = [f"{{ {repositories[name]}, {more} }}" for name, more in rows]
    return "fetch = {\n" + ",\n".join(texts) + "\n}"


PLACES = {
    "one": ([("x/ninja", "")], {"README", "src/a.c"}),
    "two": (
        [("x/ninja", ""), ("x/lua", "")],
        {"ninja.git/README", "ninja.git/src/a.c", "lua.git/README", "lua.git/src/a.c"},
    ),
    "into": (
        [("x/ninja", 'into = "."'), ("x/lua", 'into = "third_party/lua"')],
        {"README", "src/a.c", "third_party/lua/README", "third_party/lua/src/a.c"},
    ),
    "into of one": (
        [("x/ninja", ""), ("x/lua", 'into = "lua"')],
        {"ninja.git/README", "ninja.git/src/a.c", "lua/README", "lua/src/a.c"},
    ),
    "a part": (
        [("x/ninja", 'subdir = "src"'), ("x/lua", 'subdir = "src", into = "."')],
        {"ninja.git/a.c", "a.c"},
    ),
    "dest": (
        [("x/ninja", 'dest = "n"'), ("y/ninja", ""), ("x/lua", 'dest = "a/b"')],
        {f"{top}/{name}" for top in ("n", "ninja.git", "a/b") for name in ("README", "src/a.c")},
    ),
    "one name and into": (
        [("x/ninja", 'subdir = "src", into = "n"'), ("y/ninja", 'subdir = "src"')],
        {"n/a.c", "ninja.git/a.c"},
    ),
    "one name and into of both": (
        [("x/ninja", 'subdir = "src", into = "m"'), ("y/ninja", 'subdir = "src", into = "n"')],
        {"m/a.c", "n/a.c"},
    ),
}


@pytest.mark.parametrize("case", PLACES)
def test_where_repositories_are_staged(project, repositories, case):
    """One alone is the stage folder itself; of several, each has the last part of its address."""
    rows, expected = PLACES[case]
    assert set(tree(project.make(rows_of(repositories, *rows)))) == expected


@pytest.mark.parametrize("dest", ["", 'dest = "ninja"'])
def test_two_repositories_of_one_name(project, repositories, dest):
    """It is an error that names both, before anything is fetched; the hint works."""
    run = project.sync_one(rows_of(repositories, ("x/ninja", ""), ("y/ninja", dest)), code=1)
    assert "recipes/local.one@r1.lua:4: two " in run.err
    assert "x/ninja.git and file://" in run.err
    assert "y/ninja.git\n" in run.err
    assert ('dest = "NAME"' if dest else "hint: unpack one of them into a folder") in run.err
    assert dest or 'into = "FOLDER"' in run.err


def test_returned_repositories(project, repositories):
    """The same holds for sources that a function returns."""
    body = rows_of(repositories, ("x/ninja", 'subdir = "src"'), ("x/lua", 'subdir = "src"'))
    body = "fetch = function() return " + body.removeprefix("fetch = ") + " end"
    assert set(tree(project.make(body))) == {"ninja.git/a.c", "lua.git/a.c"}


# -- links beside a part ------------------------------------------------------------------------


def test_links_beside_a_part_of_a_repository(project, git_repository):
    """`subdir` of a repository has copies of what its links lead to; others are kept."""
    git_repository.commit({"lib/x": "x", "lib/deep/y": "y", "sub/a": "a"})
    for name, to in {
        "sub/x": "../lib/x",
        "sub/d/lib": "../../lib",
        "sub/a2": "a",
        "sub/gone": "../gone",
        "sub/up": "..",
        "sub/out": "../../out",
        "lib/deep/z": "../x",
        "lib/back": "../sub/a",
    }.items():
        link = git_repository.work_tree / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(to)
    git_repository.commit({"sub/d/b": "b"})
    body = f'fetch = {{ source = "{git_repository.url}", ref = "main", subdir = "sub" }}'
    assert tree(project.make(body)) == {
        "a": "a",
        "a2": "-> a",
        "x": "x",
        "d/b": "b",
        "d/lib/x": "x",
        "d/lib/deep/y": "y",
        "d/lib/deep/z": "-> ../x",
        "d/lib/back": "a",
        "gone": "-> ../gone",
        "up": "-> ..",
        "out": "-> ../../out",
    }


def test_links_beside_a_part_of_an_archive(project):
    """The same of an archive; what cannot be copied is an error that says what to do."""
    files = {"lib/x": "x", "lib/l": "-> x", "sub/a": "-> ../lib/x", "sub/lib": "-> ../lib"}
    project.write("recipes/a.tar", make_tar(files))
    folder = project.make('fetch = { source = "a.tar", subdir = "sub", into = "s" }')
    assert tree(folder) == {"s/a": "x", "s/lib/x": "x", "s/lib/l": "-> x"}
    project.write("recipes/a.tar", make_tar({"sub/a": "-> ../lib/x"}))
    run = project.sync_one('fetch = { source = "a.tar", subdir = "sub" }', code=1)
    assert "a.tar: the entry 'sub/a' → ../lib/x is a link to lib/x, which does not exist" in run.err
    assert "unpack all of the archive" in run.err


def test_a_link_to_another_item(project):
    """A link to what its archive does not contain may lead to another item."""
    project.write("recipes/a.tar", make_tar({"a-1/x": "x"}))
    project.write("recipes/b.tar", make_tar({"b-1/l": "-> ../a/x"}))
    rows = (f'{{ source = "{name}.tar", strip = 1, into = "{name}" }}' for name in "ab")
    assert tree(project.make(f"fetch = {{ {', '.join(rows)} }}")) == {
        "a/x": "x",
        "b/l": "-> ../a/x",
    }


def test_a_copy_and_another_item(project):
    """A copy in the place of a link is compared like every other file."""
    project.write("recipes/a.tar", make_tar({"lib/x": "x", "sub/a": "-> ../lib/x"}))
    project.write("recipes/b.tar", make_tar({"a": "other"}))
    project.write("recipes/a", "x")
    row = '{ source = "a.tar", subdir = "sub" }'
    run = project.sync_one(f'fetch = {{ "b.tar", {row} }}', code=1)
    assert "bring the same path, with different content: a" in run.err
    assert tree(project.make(f'fetch = {{ "a", {row} }}')) == {"a": "x"}


def test_extract_all_in_a_custom_source(project):
    """A custom source, which has no entry yet, may unpack what it has committed."""
    project.write("recipes/a.tar", make_tar({"recipe.lua": 'identity = "local.b@r1"\n'}))
    project.manifest(
        """packages = { { recipe = "local.b@r1", source = { fetch = function(ctx)
          ctx.commit_fetch(ctx.fetch("recipes/a.tar"))
          ctx.extract_all({ dest = "out" })
          ctx.write("recipe.lua", ctx.read("out/recipe.lua") .. 'install = "echo b > b"')
          ctx.commit_fetch("recipe.lua")
        end } } }"""
    )
    assert tree(project.envy("sync").folder("local.b@r1")) == {"b": "b\n"}


def test_the_limit_of_what_a_package_unpacks_to(project):
    """The archives of one package have one limit together, over all calls of its functions."""
    for name in ("a", "b"):
        project.write(
            f"recipes/{name}.tar.gz", gzip.compress(make_tar({name: "x" * 30_000}), mtime=0)
        )
        project.write(f"recipes/{name}.gz", gzip.compress(b"x" * 30_000, mtime=0))
    calls = 'function stage(ctx) ctx.extract("a.tar.gz") ctx.extract("b.tar.gz") end'
    for rows in (
        'fetch = { "a.tar.gz", "b.tar.gz" }',
        'fetch = { "a.tar.gz", "b.gz" }',
        f'fetch = {{ "a.tar.gz", "b.tar.gz" }}\n{calls}',
    ):
        run = project.sync_one(rows, code=1, env={"ENVY_LIMITS": "unpacked-size=50000"})
        assert "would exceed 50000 bytes, the limit unpacked-size" in run.err
        assert "ENVY_LIMITS=unpacked-size=100000" in run.err
        project.sync_one(rows, env={"ENVY_LIMITS": "unpacked-size=60000"})
