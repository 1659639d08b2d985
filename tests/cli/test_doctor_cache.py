"""What `envy doctor` reads of the table of mounts."""

from pathlib import Path

from envy.cli.doctor_cache import mount_of

ROWS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 0:5 / /a\\040b rw,noexec shared:3 - tmpfs tmpfs rw
23 21 0:6 / /a\\040b/deeper rw - nfs server:/x rw
24 21 0:7 / /over rw - tmpfs first rw
25 24 0:8 / /over ro - xfs second ro
broken
"""


def test_the_deepest_mount_point_above_a_path_counts(tmp_path):
    """A path lies on the deepest mount point above it, the last of several in one place."""
    table = tmp_path / "mountinfo"
    table.write_text(ROWS)
    found = {path: mount_of(Path(path), str(table)) for path in ("/a", "/a b/c", "/over/y")}
    assert found == {
        "/a": ("/", "ext4", {"rw", "relatime"}),
        "/a b/c": ("/a b", "tmpfs", {"rw", "noexec"}),
        "/over/y": ("/over", "xfs", {"ro"}),
    }
    assert mount_of(Path("/a b/deeper"), str(table))[1] == "nfs"


def test_without_a_table_nothing_is_known(tmp_path):
    """A system without the table has no answer."""
    assert mount_of(tmp_path, str(tmp_path / "none")) == ("", "", set())
