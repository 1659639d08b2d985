"""Folders for temporary files, of processes that live and of those that were killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from envy.content.scratch import remove_abandoned, scratch_folder

HOLDS = """
import sys
from envy.content.scratch import scratch_folder
with scratch_folder("depot") as path:
    (path / "closed").mkdir()
    (path / "closed/object").write_text("large")
    (path / "closed").chmod(0o555)
    print(path, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left(tmp_path):
    """It goes once it is old, and what is in use, young, or not envy's stays."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    path = Path(child.stdout.readline().strip())
    assert path.parent == tmp_path
    others = [tmp_path / name for name in ("envy-depot-12345678", "envy-scratch-x", "mine")]
    for other in others:
        other.mkdir()
        os.utime(other, (1, 1))
    (tmp_path / "envy-scratch-link-12345678").symlink_to(tmp_path / "mine")
    os.utime(path, (1, 1))
    remove_abandoned(str(tmp_path))
    assert (path / "closed/object").exists()  # its process lives
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    os.utime(path)
    remove_abandoned(str(tmp_path))
    assert path.exists()  # it is young
    os.utime(path, (1, 1))
    remove_abandoned(str(tmp_path))
    assert not path.exists()
    assert all(other.is_dir() for other in others)
    assert (tmp_path / "envy-scratch-link-12345678").is_symlink()
    remove_abandoned(str(tmp_path / "missing"))


def test_a_folder_is_removed_after_its_use():
    """Also if it cannot be written any more."""
    with scratch_folder("test") as path:
        (path / "closed").mkdir(mode=0o555)
    assert not path.exists()
