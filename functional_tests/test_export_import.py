"""`envy export` and `envy import`: packages from one cache to another, verified."""

import fcntl
import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from exported_members import exported_members

BASE = 'install = "mkdir bin; printf base > bin/base; chmod 755 bin/base; ln -s bin/base link"'
USER = """
dependencies = { { recipe = "local.base@r1", source = "local.base@r1.lua" } }
install = "echo user > user"
"""
GZIP = 'install = "mkdir bin; echo $ENVY_INSTALL_DIR | gzip > bin/self"'
SELF = 'install = "mkdir bin; echo exec $ENVY_INSTALL_DIR/bin/x > bin/self; ln -s $PWD/bin abs"'


@pytest.fixture
def there(project):
    """A project with packages installed, exported to `exported`."""
    project.packages("local.user@r1")
    project.recipe("local.base@r1", BASE)
    project.recipe("local.user@r1", USER)
    project.envy("sync")
    project.exported = project.root / "export.tar.zst"
    project.envy("export", "user", "-o", project.exported)
    return project


def elsewhere(project):
    """The same project, with another cache."""
    project.cache = project.root.parent / "other-cache"
    return project


def test_another_cache_finds_what_was_imported(there):
    """Packages are exported with what they need to run, and a sync finds them complete."""
    here = elsewhere(there)
    output = here.envy("import", here.exported).out
    assert output.splitlines() == ["imported local.base@r1", "imported local.user@r1"]
    assert "2 cached" in here.envy("sync").err
    folder = Path(here.envy("asset", "base").out.strip())
    assert (folder / "link").read_text() == "base"
    assert (folder / "bin" / "base").stat().st_mode & 0o777 == 0o555
    assert "0 damaged" in here.envy("cache", "verify").out


def test_import_and_gc_wait_for_each_other(there):
    """A concurrent gc waits for an import, reports this, and deletes none of its files."""
    (name,) = [path.name for path in there.cache.glob("locks/local.user*.lock")]
    here = elsewhere(there)
    (here.cache / "locks").mkdir(parents=True)
    row = {"pid": 4711, "start_time": "1", "command": "envy sync", "since": 0, "groups": {}}
    with (here.cache / "locks" / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps(row) + "\n")
        lock.flush()
        importing = here.popen("import", here.exported)
        output = importing.stderr.readline().decode()
        assert (
            f"waiting: the lock {here.cache}/locks/{name} is held by process 4711 since" in output
        )
        collecting = here.popen("cache", "gc")
        output = collecting.stderr.readline().decode()
        assert f"is held by process {importing.pid} since " in output
        assert output.endswith("/envy import " + str(here.exported) + ")\n")
        lock.truncate(0)
    out, err = importing.communicate(timeout=300)
    assert (importing.returncode, out.decode().count("imported ")) == (0, 2), err
    collecting.communicate(timeout=300)
    assert collecting.returncode == 0
    assert "2 cached" in here.envy("sync").err


def test_existing_entries_are_unchanged(there):
    """Importing packages that the cache already has changes nothing."""
    assert "already there local.base@r1" in there.envy("import", there.exported).out


def test_export_of_a_missing_package(project):
    """A missing package is not built by an export, and is named."""
    project.packages("local.base@r1")
    project.recipe("local.base@r1", BASE)
    output = project.envy("export", "base", "-o", "x.tar.zst", code=1).err
    assert "not installed: local.base@r1" in output
    assert not (project.root / "x.tar.zst").exists()


def test_export_of_a_damaged_package(there):
    """A damaged package is not exported."""
    folder = Path(there.envy("asset", "base").out.strip())
    (folder / "bin" / "base").chmod(0o755)
    assert "it is damaged: bin/base" in there.envy("export", "base", "-o", "x", code=1).err


def package(project, body=SELF):
    project.packages("local.self@r1")
    project.recipe("local.self@r1", body)
    project.envy("sync")
    project.exported = project.root / "export.tar.zst"
    project.envy("export", "self", "-o", project.exported)
    return str(project.cache), elsewhere(project)


def test_own_path_that_cannot_be_rewritten(project):
    """A package with its old path in compressed data is left out; the message names the file."""
    old, here = package(project, GZIP)
    [row] = json.loads(project.envy("cache", "--json", "--cache-root", old).out)["entries"]
    why = "bin/self holds it in data compressed with gzip"
    assert (row["relocatable"], row["why_not_relocatable"]) == (False, why)
    assert "  (not relocatable)\n" in project.envy("cache", "--cache-root", old).out
    assert why in project.envy("cache", "-v", "--cache-root", old).out
    output = here.envy("import", here.exported).out
    reason = f"it was built under {old}, and bin/self contains that path and holds it in data"
    assert f"left out local.self@r1: {reason}" in output
    assert here.markers() == []
    assert "1 installed" in here.envy("sync").err


def test_own_path(project):
    """Files and links contain the new path after an import."""
    old, here = package(project)
    [row] = json.loads(project.envy("cache", "--json", "--cache-root", old).out)["entries"]
    assert (row["relocatable"], row["longest_root"]) == (True, None)
    assert here.envy("import", here.exported).out == "imported local.self@r1\n"
    assert "1 cached" in here.envy("sync").err
    folder = Path(here.envy("asset", "self").out.strip())
    assert (folder / "bin" / "self").read_text() == f"exec {folder}/bin/x\n"
    assert (folder / "abs").readlink() == folder / "bin"
    assert "0 damaged" in here.envy("cache", "verify").out


def test_a_cache_that_was_moved(project):
    """A package in a moved cache is rewritten."""
    _, here = package(project)
    (project.root.parent / "project-cache").rename(here.cache)
    rewritten = "it was built under another cache root, and is rewritten"
    assert f"reuse    local.self@r1  {rewritten}" in here.envy("plan").out
    assert f"would not be built: {rewritten}" in here.envy("why-rebuild", "self").out
    assert "1 cached" in here.envy("sync").err
    folder = Path(here.envy("asset", "self").out.strip())
    assert (folder / "bin" / "self").read_text() == f"exec {folder}/bin/x\n"


def test_a_moved_cache_that_cannot_be_rewritten(project):
    """A package that cannot be rewritten is rebuilt, with the reason."""
    old, here = package(project, GZIP)
    (project.root.parent / "project-cache").rename(here.cache)
    reason = f"it was built under {old} and contains that path: bin/self contains that path"
    assert f"install  local.self@r1  {reason}" in here.envy("plan").out
    assert reason in here.envy("why-rebuild", "self").out
    output = here.envy("sync", "-v").err
    assert reason in output
    assert "1 installed" in output


# -- invalid export files ------------------------------------------------------------------------


def rewritten(exported, change):
    """The export file with its members changed, as a plain tar."""
    target = exported.with_name("changed.tar")
    with tarfile.open(target, "w") as tar:
        for member, data in exported_members(exported):
            for name, text in change(member, data):
                member.name = name
                if text is not None:
                    member.size = len(text)
                tar.addfile(member, BytesIO(text) if text is not None else None)
    return target


def refuse(there, exported):
    here = elsewhere(there)
    run = here.envy("import", exported, code=1)
    assert here.markers() in ([], ["local.base@r1"])
    trash = here.cache / "trash"
    assert not trash.exists() or list(trash.iterdir()) == []
    return run.err


def test_damaged_file(there):
    """A truncated export file imports no incomplete entry."""
    data = there.exported.read_bytes()
    cut = there.write("cut.tar.zst", data[: len(data) // 2])
    assert "is damaged" in refuse(there, cut)


@pytest.mark.parametrize("data", [b"", b"not an archive at all", b"\x28\xb5\x2f\xfd" + b"x" * 99])
def test_file_that_is_not_an_export_file(there, data):
    """A file that is not an archive is refused as an export file."""
    assert "error: " in refuse(there, there.write("foreign", data))


def test_archive_that_is_not_an_export_file(there):
    """A tar archive that envy did not write is refused."""
    with tarfile.open(there.root / "foreign.tar", "w") as tar:
        tar.add(there.root / "envy.lua", "envy.lua")
    output = refuse(there, there.root / "foreign.tar")
    assert "was not written by envy export" in output


def test_missing_file(there):
    """A missing file is a usage error."""
    assert "there is no file" in there.envy("import", "nothing.tar.zst", code=2).err


def test_changed_content(there):
    """Content that does not match its fingerprint is refused."""
    changed = rewritten(
        there.exported,
        lambda member, data: [(member.name, b"BASE" if data == b"base" else data)],
    )
    assert "its content differs" in refuse(there, changed)


def test_changed_ingredients(there):
    """Ingredients that do not match the key are refused."""

    def change(member, data):
        if member.name.endswith("envy-ingredients.json"):
            data = data.replace(b'"shell":"', b'"shell":"x', 1)
        return [(member.name, data)]

    output = refuse(there, rewritten(there.exported, change))
    assert "envy-ingredients.json is not the one in its index" in output

    def without_digest(member, data):
        if member.name == "envy-export.json":
            row = json.loads(data)
            for entry in row["entries"]:
                del entry["envy-ingredients.json"]
            return [(member.name, json.dumps(row).encode())]
        return change(member, data)

    output = refuse(there, rewritten(there.exported, without_digest))
    assert "has a key that does not match its ingredients" in output


@pytest.mark.parametrize("name", ["asset/../../x", "asset/bin/../../../../x", "asset/link/x", "x"])
def test_member_outside_an_entry(there, name):
    """No name, and no link, leads out of an entry."""

    def change(member, data):
        entry = "/".join(member.name.split("/")[:2])
        more = [(f"{entry}/{name}", b"evil")] if member.name.endswith("bin/base") else []
        return [(member.name, data), *more]

    output = refuse(there, rewritten(there.exported, change))
    assert "cannot be imported" in output
    assert list(there.root.parent.rglob("x")) == []


def test_entry_with_an_invalid_name(there):
    """An index with an invalid name of an entry is refused."""

    def change(member, data):
        if member.name == "envy-export.json":
            row = json.loads(data)
            for entry in row["entries"]:
                entry["name"] = "../" + entry["name"].partition("/")[2]
            return [(member.name, json.dumps(row).encode())]
        return [("../" + member.name.partition("/")[2], data)]

    assert "cannot be imported" in refuse(there, rewritten(there.exported, change))


def test_export_file_of_a_newer_format(there):
    """An export file of an unknown format is refused, and the error names the format."""

    def change(member, data):
        if member.name == "envy-export.json":
            data = data.replace(b'"format": 1', b'"format": 9')
        return [(member.name, data)]

    assert "has format 9" in refuse(there, rewritten(there.exported, change))
