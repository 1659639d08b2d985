"""Nothing is written, read or changed outside of a package's folders, whatever is fetched."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from archives import make_archive, make_tar
from blake3 import blake3
from exported_members import exported_members
from project import Project, tree


@pytest.fixture
def outer(tmp_path):
    """A folder beside the project, with files that nothing may touch."""
    folder = tmp_path / "outer"
    (folder / "deep").mkdir(parents=True)
    for name in ("victim", "deep/victim"):
        (folder / name).write_text("precious")
        (folder / name).chmod(0o640)
    return folder


def untouched(outer):
    """Whether the files, and their modes, are those of the fixture."""
    modes = {(outer / name).stat().st_mode & 0o777 for name in ("victim", "deep/victim")}
    return modes == {0o640} and tree(outer) == {"victim": "precious", "deep/victim": "precious"}


def repository_with(git_repository, **links):
    """A repository with links; returns its address."""
    for name, to in links.items():
        (git_repository.work_tree / name).symlink_to(to)
    git_repository.commit({"README": "read\n"})
    return git_repository.url


# -- export files --------------------------------------------------------------------------------


def with_row(exported, path):
    """The export file with another row in place of the last one of each fingerprint."""
    members, digests = [], {}
    for member, content in exported_members(exported):
        data = content or b""
        if member.name.endswith("envy-fingerprint.blake3"):
            *rows, _last = data.splitlines(keepends=True)
            row = json.dumps([path, "file", "777", 8, "0" * 64, []])
            before, data = data, b"".join(rows) + row.encode() + b"\n"
            digests[blake3(before).hexdigest().encode()] = blake3(data).hexdigest().encode()
        members.append((member, data if content is not None else None))
    target = exported.with_name("changed.tar")
    with tarfile.open(target, "w") as tar:
        for position, (member, data) in enumerate(members):
            if not position:  # the index, which names the fingerprints
                content = data
                for before, after in digests.items():
                    assert before in content
                    content = content.replace(before, after)
            else:
                content = data
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content) if content is not None else None)
    return target


@pytest.mark.parametrize("row", ["{outer}/victim", "../../../../../outer/victim", "out/victim"])
def test_a_fingerprint_that_names_a_file_elsewhere(project, outer, row):
    """An import calls nothing on a path that it did not create: absolute, upwards, or by a link."""
    project.packages("local.base@r1")
    project.recipe("local.base@r1", f'install = "echo base > base; ln -s {outer} out"')
    project.envy("sync")
    project.envy("export", "base", "-o", project.root / "export.tar.zst")
    path = row.format(outer=outer)
    changed = with_row(project.root / "export.tar.zst", path)
    project.cache = project.root.parent / "other-cache"
    said = project.envy("import", changed, code=1).err
    assert f"has a fingerprint that names '{path}'" in said
    assert "changed.tar cannot be imported: local.base@r1/" in said
    assert "hint: export it again" in said
    assert untouched(outer)
    assert project.markers() == []


def test_relocation_through_a_link(project, outer):
    """A folder that was replaced by a link is not rewritten through it."""
    project.packages("local.self@r1")
    body = 'relocate = { "bin/*" }\ninstall = "mkdir bin; echo $ENVY_INSTALL_DIR > bin/victim"'
    folder = project.make(body.replace("local.self", "local.one"))
    folder.chmod(0o755)
    (folder / "bin").chmod(0o755)
    old = (folder / "bin/victim").read_text()
    (folder / "bin/victim").unlink()
    (folder / "bin").rmdir()
    (folder / "bin").symlink_to(outer)
    (outer / "victim").write_text(old)
    project.cache.rename(project.root.parent / "moved")
    project.cache = project.root.parent / "moved"
    run = project.envy("sync")
    assert "1 installed" in run.err
    assert (outer / "victim").read_text() == old


# -- several items ------------------------------------------------------------------------------


def test_archives_that_conspire(project, outer):
    """A link that is inside only while a folder is missing is refused when the folder comes."""
    # x/y does not exist yet, so x/y/../../… counts as inside; then x/y is the root itself.
    project.write("recipes/a.tar", make_tar({"data": "-> x/y/../../victim"}))
    project.write("recipes/b.tar", make_tar({"x/y": "-> .."}))
    project.write("recipes/data.gz", gzip.compress(b"evil", mtime=0))
    run = project.sync_one('fetch = { "a.tar", "b.tar", "data.gz" }', code=1)
    assert "data.gz would be written through a link that leads outside: x/y → .., " in run.err
    assert "b.tar, reached through data → x/y/../../victim, brought by " in run.err
    assert "a.tar" in run.err
    assert 'into = "…"' in run.err
    assert list(project.cache.rglob("victim")) == []


def test_archives_that_conspire_without_a_third(project):
    """All links of a stage are judged together at its end; both archives are named."""
    project.write("recipes/a.tar", make_tar({"data": "-> x/y/../../victim"}))
    project.write("recipes/b.tar", make_tar({"x/y": "-> .."}))
    run = project.sync_one('fetch = { "a.tar", "b.tar" }', code=1)
    assert "a.tar: the entry 'data' is a link that leads outside: x/y/../../victim, " in run.err
    assert "through x/y → .., brought by " in run.err
    assert "b.tar" in run.err
    assert project.markers() == []


SECOND = {
    "a file": '{ source = "victim" }',
    "a folder": '{ source = "tree" }',
    "a folder into it": '{ source = "files", into = "link" }',
    "a compressed file": '"victim.gz"',
    "an archive into it": '{ source = "files.tar", into = "link" }',
    "an archive": '"tree.tar"',
    "a zip": '"tree.zip"',
    "a file into it": '{ source = "victim", into = "link/deep" }',
}


@pytest.mark.parametrize("second", SECOND)
def test_a_link_of_a_repository_and_a_second_item(project, outer, git_repository, second):
    """What would be written through a repository's link is refused; both items are named."""
    url = repository_with(git_repository, link=outer, victim=outer / "victim")
    project.write("recipes/victim", "evil")
    project.write("recipes/tree/link/victim", "evil")
    project.write("recipes/files/victim", "evil")
    project.write("recipes/victim.gz", gzip.compress(b"evil", mtime=0))
    project.write("recipes/files.tar", make_tar({"victim": "evil"}))
    for kind in ("tar", "zip"):
        project.write(f"recipes/tree.{kind}", make_archive(f"tree.{kind}", {"link/victim": "evil"}))
    body = f'fetch = {{ {{ source = "{url}", ref = "main", dest = "tool" }}, {SECOND[second]} }}'
    run = project.sync_one(body, code=1)
    assert untouched(outer)
    source = SECOND[second].partition('"')[2].partition('"')[0]
    assert source in run.err
    assert "would be written through a link that leads outside: " in run.err
    assert f" → {outer}" in run.err
    assert "brought by tool" in run.err


def test_links_inside_are_followed_by_the_next_item(project):
    """A sysroot's `lib64 -> lib`, then `lib64/x` of the next archive, and files into it."""
    project.write("recipes/base.tar", make_tar({"lib/a": "a", "lib64": "-> lib"}))
    project.write("recipes/more.tar", make_tar({"lib64/b": "b"}))
    project.write("recipes/c", "c")
    folder = project.make('fetch = { "base.tar", "more.tar", { source = "c", into = "lib64" } }')
    assert tree(folder) == {"lib/a": "a", "lib/b": "b", "lib/c": "c", "lib64": "-> lib"}


# -- siblings -----------------------------------------------------------------------------------


def test_a_name_inside_of_another_item(project, outer):
    """`dest` may not put a file into a tree, where a link may lead it elsewhere."""
    project.write("recipes/tree/a", "a")
    (project.root / "recipes/tree/link").symlink_to(outer)
    project.write("recipes/x", "evil")
    body = 'fetch = { "tree", { source = "x", dest = "tree/link/victim" } }'
    run = project.sync_one(body, code=1)
    assert '"tree/link/victim", for x, lies inside of "tree"' in run.err
    assert untouched(outer)


def test_dest_with_a_folder(project):
    """A file whose `dest` has a folder is staged there."""
    project.write("recipes/x", "x")
    assert tree(project.make('fetch = { source = "x", dest = "a/b" }')) == {"a/b": "x"}


def test_ctx_fetch_into_a_tree(project, outer, git_repository):
    """A later ctx.fetch does not write through a link that an earlier one brought."""
    url = repository_with(git_repository, link=outer)
    project.write("recipes/x", "evil")
    body = f"""inputs = {{ "x" }}
    fetch = function(ctx)
      ctx.fetch({{ source = "{url}", ref = "main", dest = "tool" }})
      ctx.fetch({{ source = "x", dest = "tool/link/victim" }})
    end"""
    run = project.sync_one(body, code=1)
    assert '"tool/link/victim" would be written through a link that leads outside' in run.err
    assert untouched(outer)


def test_a_part_of_a_repository_that_is_a_link(project, git_repository):
    """`subdir` may name a link inside the repository: the folder is taken, not the link."""
    git_repository.commit({"real/a": "a", "deep/b": "b"})
    url = repository_with(git_repository, part="real")
    folder = project.make(f'fetch = {{ source = "{url}", ref = "main", subdir = "part" }}')
    assert tree(folder) == {"a": "a"}


CALLS = {
    "write": 'ctx.write("link/victim", "evil")',
    "write the link": 'ctx.write("file", "evil")',
    "append by replace": 'ctx.replace("file", "precious", "evil")',
    "copy into": 'ctx.write("x", "evil") ctx.copy("x", "link/victim")',
    "copy a tree over": 'ctx.write("t/link/victim", "evil") ctx.copy("t/.", ".")',
    "move into": 'ctx.write("x", "evil") ctx.move("x", "link")',
    "move out of": 'ctx.move("link/victim", "mine")',
    "remove": 'ctx.remove("link/victim")',
    "chmod": 'ctx.chmod("file", "777")',
    "mkdir": 'ctx.mkdir("link/new")',
    "symlink": 'ctx.symlink("x", "link/new")',
    "read": 'envy.info(ctx.read("file"))',
    "copy from": 'ctx.copy("link/victim", "mine")',
    "ls": 'ctx.ls("link")',
    "extract": 'ctx.extract("files.tar", { dest = "link" })',
    "io.open to write": 'io.open("link/victim", "w"):write("evil")',
    "io.open to append": 'io.open("file", "a"):write("evil")',
    "io.open to read": 'envy.info(io.open("file"):read())',
    "io.lines": 'for line in io.lines("link/victim") do envy.info(line) end',
    "os.remove": 'os.remove("link/victim")',
    "os.rename": 'os.rename("link/victim", "mine")',
    "absolute": 'ctx.write(ctx.stage_dir .. "/link/victim", "evil")',
}


@pytest.mark.parametrize("call", CALLS)
def test_ctx_and_a_link_of_a_repository(project, outer, git_repository, call):
    """The file functions of ctx neither write nor read through a link that was fetched."""
    url = repository_with(git_repository, link=outer, file=outer / "victim")
    project.write("recipes/files.tar", make_tar({"victim": "evil"}))
    body = f"""fetch = {{
      {{ source = "{url}", ref = "main", dest = "tool" }},
      {{ source = "files.tar", extract = false }},
    }}
    build = function(ctx) {CALLS[call]} end"""
    run = project.sync_one(body, code=1)
    assert "through a link that leads outside: " in run.err
    assert "brought by tool" in run.err or call in {"copy a tree over", "extract"}
    assert untouched(outer)


def test_links_that_the_recipe_makes(project, outer):
    """The recipe may read through its own links, and write from one of its folders to another."""
    body = f"""build = function(ctx)
      ctx.symlink("{outer}", "theirs")
      ctx.copy("theirs/victim", "mine")
      ctx.symlink(ctx.install_dir, "prefix")
      ctx.write("prefix/bin/x", ctx.read("theirs/deep/victim"))
      ctx.remove("theirs")
      ctx.remove("prefix")
    end"""
    assert tree(project.make(body)) == {"bin/x": "precious"}
    assert untouched(outer)


def test_a_commit_of_a_link(project, outer, git_repository):
    """A fetched link that leads outside is not committed, nor what it leads to."""
    url = repository_with(git_repository, link=outer / "victim")
    body = f"""fetch = function(ctx)
      ctx.fetch({{ source = "{url}", ref = "main", dest = "tool" }})
      ctx.commit_fetch("tool/link")
    end"""
    run = project.sync_one(body, code=1)
    assert "leads through a link that leads outside" in run.err
    assert untouched(outer)


def test_a_long_chain_of_links_ends_soon(tmp_path):
    """Thousands of links, each to the one before, are refused in linear time."""
    project = Project(tmp_path / "project")
    links = {f"l{number}": f"-> l{number - 1}" for number in range(1, 5000)}
    project.write("recipes/chain.tar", make_tar({"l0": "end", **links}))
    run = project.sync_one('fetch = "chain.tar"', code=1, timeout=300)
    assert "is a link that leads on through more than 40 links" in run.err
    assert Path(project.cache).is_dir()


def test_glob_and_a_link_of_a_repository(project, outer, git_repository):
    """Matches behind a fetched link that leads outside are left out; the others stay."""
    (git_repository.work_tree / "inside").mkdir()
    (git_repository.work_tree / "inside/victim").write_text("mine")
    url = repository_with(git_repository, link=outer)
    body = f"""fetch = {{ source = "{url}", ref = "main" }}
    build = function(ctx) ctx.write("found", table.concat(ctx.glob("*/victim"), " ")) end"""
    assert tree(project.make(body))["found"] == "inside/victim"


def test_a_recipe_file_that_is_a_link(project, outer, git_repository):
    """A repository's recipe file may not be a link to a file of this machine."""
    (outer / "recipe.lua").write_text('identity = "vendor.tool@r1"')
    (git_repository.work_tree / "recipe.lua").symlink_to(outer / "recipe.lua")
    git_repository.commit({"README": "read\n"})
    project.manifest(
        'packages = { { recipe = "vendor.tool@r1", '
        f'source = "{git_repository.url}", ref = "main" }} }}'
    )
    run = project.envy("sync", code=1)
    assert "recipe.lua is a link that leads outside of its source" in run.err
