"""Leases and records of use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import envy
from envy.cache.layout import CacheLayout
from envy.cache.lease import Lease, gate, leased_names
from envy.cache.usage import RUN, UseSet, is_fresh, read_uses, record_use, used_since
from envy.errors import CacheError


@pytest.fixture
def layout(tmp_path):
    return CacheLayout(tmp_path / "cache")


def leased(layout):
    with gate(layout):
        return leased_names(layout)


def test_lease(layout):
    """A lease protects its names, including later ones, until it is released."""
    lease, other = Lease(layout), Lease(layout)
    lease.hold(["a", "b"])
    lease.hold(["c"])
    other.hold(["b", "d"])
    assert leased(layout) == {"a", "b", "c", "d"}
    lease.release()
    assert leased(layout) == {"b", "d"}
    other.release()
    assert leased(layout) == set()
    assert list(layout.leases_root.iterdir()) == []


def test_lease_of_a_process_that_died(layout):
    """A lease ends with its process, and its files are removed."""
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from envy.cache.layout import CacheLayout\nfrom envy.cache.lease import Lease\n"
        "Lease(CacheLayout(Path(sys.argv[1]))).hold(['a'])\nos._exit(0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(layout.root)],
        check=True,
        cwd=Path(envy.__file__).parents[1],
    )
    assert len(list(layout.leases_root.iterdir())) == 2
    assert leased(layout) == set()
    assert list(layout.leases_root.iterdir()) == []


@pytest.mark.parametrize("name", ["1-x.lock", "1-x.json", "1-x.json.new"])
def test_partial_lease_of_a_process_that_died(layout, name):
    """A partly written lease is removed, too."""
    layout.leases_root.mkdir(parents=True)
    (layout.leases_root / name).write_text("")
    assert leased(layout) == set()
    assert list(layout.leases_root.iterdir()) == []


def test_lease_that_cannot_be_extended(layout):
    """If a lease cannot be extended, on a full disk for instance, it stays valid."""
    lease = Lease(layout)
    lease.hold(["a"])
    (name,) = layout.leases_root.glob("*.json")
    name.with_suffix(".json.new").mkdir()
    lease.hold(["b"])
    assert leased(layout) == {"a"}
    name.with_suffix(".json.new").rmdir()
    lease.hold(["b"])
    assert leased(layout) == {"a", "b"}
    lease.release()


def test_lease_that_cannot_be_read(layout):
    """A lease that cannot be read is an error: what it names must not seem unused."""
    lease = Lease(layout)
    lease.hold(["a"])
    (name,) = layout.leases_root.glob("*.json")
    name.unlink()
    name.symlink_to(name)
    with pytest.raises(CacheError, match="cannot read a lease"):
        leased(layout)
    lease.release()


def test_record_that_cannot_be_read(layout):
    """A record that cannot be read is an error: what it names must not seem unused."""
    record_use(layout, UseSet(manifest="/p/envy.lua", whole=True, entries={"a": RUN}))
    (record,) = layout.projects_root.glob("*/*.json")
    record.unlink()
    record.symlink_to(record)
    with pytest.raises(CacheError, match="cannot read a record of use"):
        read_uses(layout)


def test_lease_where_nothing_can_be_written(tmp_path):
    """A cache that cannot be written to can be used without a lease."""
    (tmp_path / "cache").write_text("a file")
    lease = Lease(CacheLayout(tmp_path / "cache"))
    lease.hold(["a"])
    lease.release()


def used(*names, whole=True, project="/project"):
    return UseSet(manifest=f"{project}/envy.lua", whole=whole, entries=dict.fromkeys(names, RUN))


def test_use_is_recorded_once(layout, tmp_path):
    """A repeated use has one record, whose time is that of the last use."""
    record_use(layout, used("a", "b"))
    record_use(layout, used("b", "a"))
    (path,) = read_uses(layout).files
    assert is_fresh(layout, used("a", "b"))
    os.utime(path, (1, 1))
    assert not is_fresh(layout, used("a", "b"))
    record_use(layout, used("a", "b"))
    assert is_fresh(layout, used("a", "b"))
    assert not is_fresh(layout, used("a"))


def test_current_entries_are_those_of_the_last_whole_sync(layout, tmp_path):
    """Only a project's last whole sync is current, and only while its manifest exists."""
    project = str(tmp_path)
    (tmp_path / "envy.lua").touch()
    for age, row in ((3, used("old", project=project)), (2, used("new", project=project))):
        before = set(read_uses(layout).files)
        record_use(layout, row)
        (path,) = set(read_uses(layout).files) - before
        os.utime(path, (1000 - age, 1000 - age))
    record_use(layout, used("part", whole=False, project=project))
    record_use(layout, used("lost", project=str(tmp_path / "gone")))
    found = read_uses(layout).by_entry
    current = {name: found[name][0].current for name in found}
    assert current == {"old": False, "new": True, "part": False, "lost": False}


def test_uses_since(layout):
    """Uses recorded or renewed since the records were read are found."""
    record_use(layout, used("a"))
    known = read_uses(layout)
    assert used_since(layout, known) == set()
    record_use(layout, used("b", "c"))
    assert used_since(layout, known) == {"b", "c"}
    (path,) = known.files
    os.utime(path, (1, 1))
    assert used_since(layout, known) == {"a", "b", "c"}
