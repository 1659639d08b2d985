"""Watching a tree of folders, with real files and the real library."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time

import pytest

from envy.testing.watching import Watcher

PATIENCE = 300.0  # seconds after which a wait fails its test
QUIET = 0.5  # seconds in which a change that counts would have been reported


@pytest.fixture
def watch():
    """A function that opens a Watcher, which is closed at the end of the test."""
    with contextlib.ExitStack() as closing:

        def open_watcher(root):
            watcher = Watcher(root)
            closing.callback(watcher.close)
            return watcher

        yield open_watcher


def changed(watcher, *, within=PATIENCE):
    """Whether the watcher reports a change before `within` seconds are over."""
    timer = threading.Timer(within, watcher.stop)
    timer.start()
    try:
        return watcher.wait()
    finally:
        timer.cancel()
        timer.join()


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_written_file_ends_the_wait(tmp_path, watch):
    """A file written while `wait` blocks is a change."""
    write(tmp_path / "p" / "x.go")
    watcher = watch(tmp_path)
    writing = threading.Timer(0.3, write, [tmp_path / "p" / "x.go", "y"])
    writing.start()
    assert changed(watcher)
    writing.join()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "p/x.go").unlink(),
        lambda root: (root / "p/x.go").rename(root / "p/y.go"),
        lambda root: (root / "p/x.go").chmod(0o600),
        lambda root: shutil.rmtree(root / "p"),
        lambda root: (root / "q").mkdir(),
    ],
    ids=["remove", "rename", "chmod", "remove-folder", "create-folder"],
)
def test_every_kind_of_change_counts(tmp_path, watch, change):
    """Removed, renamed and created files are changes, and so are changed modes."""
    write(tmp_path / "p" / "x.go")
    watcher = watch(tmp_path)
    change(tmp_path)
    assert changed(watcher)


def test_a_change_between_two_waits_is_not_lost(tmp_path, watch):
    """A change between two waits ends the second one."""
    watcher = watch(tmp_path)
    write(tmp_path / "one.go")
    assert changed(watcher)
    write(tmp_path / "two.go")
    time.sleep(QUIET)
    assert changed(watcher)


def test_many_changes_are_one(tmp_path, watch):
    """A checkout, which changes many files at once, is one report, or a few if it takes long."""
    watcher = watch(tmp_path)
    for number in range(200):
        write(tmp_path / f"p{number % 5}" / f"x{number}.go")
    assert changed(watcher)
    reports = 1
    while changed(watcher, within=QUIET):
        reports += 1
    assert reports < 20


@pytest.mark.parametrize(
    "path",
    [
        ".git/index",
        ".hg/store/data",
        "web/node_modules/pkg/index.js",
        "p/.x.go.swp",
        "p/.x.go.swx",
        "p/x.go~",
        "p/x.go.tmp",
        "p/4913",
    ],
)
def test_files_that_change_no_test_are_ignored(tmp_path, watch, path):
    """Version control, node_modules and temporary files of editors are ignored."""
    write(tmp_path / path)
    watcher = watch(tmp_path)
    write(tmp_path / path, "changed")
    assert not changed(watcher, within=QUIET)


def test_a_new_folder_is_watched(tmp_path, watch):
    """Files of a folder that was created while watching are watched too, however deep."""
    watcher = watch(tmp_path)
    write(tmp_path / "a" / "b" / "c" / "x.go")
    assert changed(watcher)
    write(tmp_path / "a" / "b" / "c" / "x.go", "changed")
    assert changed(watcher)


def test_a_folder_that_was_replaced_is_watched(tmp_path, watch):
    """A folder that is removed and created again under its name is still watched."""
    write(tmp_path / "a" / "x.go")
    watcher = watch(tmp_path)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").mkdir()
    assert changed(watcher)
    write(tmp_path / "a" / "x.go")
    assert changed(watcher)


def test_links_are_not_followed(tmp_path, watch):
    """A link out of the tree adds nothing; a link to the tree itself hides nothing."""
    write(tmp_path / "outside" / "x.go")
    write(tmp_path / "tree" / "p" / "x.go")
    (tmp_path / "tree" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "up").symlink_to(tmp_path / "tree")
    watcher = watch(tmp_path / "tree")
    write(tmp_path / "outside" / "x.go", "changed")
    assert not changed(watcher, within=QUIET)
    watcher = watch(tmp_path / "tree")
    write(tmp_path / "tree" / "p" / "x.go", "changed")
    assert changed(watcher)


def test_the_root_can_be_a_link(tmp_path, watch):
    """The root can be a link, and can be below a folder with an ignored name."""
    write(tmp_path / "node_modules" / "m" / "x.go")
    (tmp_path / "link").symlink_to(tmp_path / "node_modules" / "m")
    watcher = watch(tmp_path / "link")
    write(tmp_path / "node_modules" / "m" / "x.go", "changed")
    assert changed(watcher)


def test_stop_ends_a_wait_at_once(tmp_path, watch):
    """`stop` from another thread ends a wait, and every later wait."""
    watcher = watch(tmp_path)
    stopping = threading.Timer(0.2, watcher.stop)
    started = time.monotonic()
    stopping.start()
    assert watcher.wait() is False
    stopping.join()
    assert time.monotonic() - started < PATIENCE
    assert watcher.wait() is False


def test_stop_before_the_wait_ends_it(tmp_path, watch):
    """A stop before the wait is not lost."""
    watcher = watch(tmp_path)
    watcher.stop()
    assert watcher.wait() is False


def in_python(program, *words):
    """Return the output of a Python program."""
    run = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_library_is_loaded_only_when_watching():
    """The modules of `envy test` do not import watchfiles."""
    program = "import sys, envy.cli.test, envy.cli.test_watch; print('watchfiles' in sys.modules)"
    assert in_python(program) == "False\n"


def test_without_the_library_the_error_names_the_extra(tmp_path):
    """Without watchfiles, the error says how to install it."""
    program = (
        "import sys; sys.modules['watchfiles'] = None\n"
        "from pathlib import Path\n"
        "from envy.errors import UsageError\n"
        "from envy.testing.watching import Watcher\n"
        "try: Watcher(Path(sys.argv[1]))\n"
        "except UsageError as error: print(error.message, error.hint, sep='; ')\n"
    )
    expected = "--watch needs watchfiles; pip install 'envy-tool[watch]'\n"
    assert in_python(program, str(tmp_path)) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_close_ends_the_thread_of_the_library(tmp_path):
    """The library's thread starts with the watcher and ends with it."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from envy.testing.watching import Watcher\n"
        "threads = lambda: len(list(Path('/proc/self/task').iterdir()))\n"
        "print(threads())\n"
        "watcher = Watcher(Path(sys.argv[1]))\n"
        "print(threads())\n"
        "watcher.close()\n"
        "ends = time.monotonic() + 300\n"
        "while threads() > 1 and time.monotonic() < ends: time.sleep(0.01)\n"
        "print(threads())\n"
    )
    assert in_python(program, str(tmp_path)) == "1\n2\n1\n"
