"""Caches that are read-only, full, removed during a run, or have unexpected content."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from project import envy_command

HELLO = 'install = "echo hello > hello"'


@pytest.fixture
def hello(project):
    """A project with one package, not installed yet."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", HELLO)
    return project


def in_own_mounts(project, prepare, *words):
    """Run envy after shell commands that mount something, in a mount namespace of its own."""
    script = f'{prepare} || exit 99; exec "$@"'
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", envy_command(), *words],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if run.returncode == 99 or "unshare" in run.stderr:
        pytest.skip("nothing can be mounted here")
    return run


@pytest.fixture
def mounts():
    """Skip where a private mount namespace is not available."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("nothing can be mounted here")


def read_only(project):
    cache = project.cache
    return f"mount --bind {cache} {cache} && mount -o remount,ro,bind {cache}"


def test_read_only_cache_that_has_everything(hello, mounts):
    """The content of a read-only cache can be used."""
    hello.envy("sync")
    for record in hello.cache.glob("projects/*/*"):
        record.unlink()
    run = in_own_mounts(hello, read_only(hello), "sync")
    assert (run.returncode, run.stderr) == (0, run.stderr)
    assert "1 cached" in run.stderr


def test_read_only_cache_that_lacks_something(hello, mounts):
    """In a read-only cache, a missing package is one error with the path and a remedy."""
    hello.cache.mkdir()
    run = in_own_mounts(hello, read_only(hello), "sync")
    assert run.returncode == 1
    assert "Read-only file system" in run.stderr
    assert str(hello.cache) in run.stderr
    assert "--cache-root" in run.stderr
    assert "Traceback" not in run.stderr


def test_full_cache(hello, mounts):
    """A full cache is an error with a remedy, and leaves no marker."""
    hello.recipe("local.hello@r1", 'install = "head -c 3000000 /dev/zero > large"')
    hello.cache.mkdir()
    run = in_own_mounts(
        hello,
        f"mount -t tmpfs -o size=1m none {hello.cache}",
        "sync",
    )
    assert run.returncode == 1
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr


def test_cache_that_vanishes(hello):
    """Removing the cache during a build is an error, and the next sync succeeds."""
    hello.recipe("local.hello@r1", f'install = "cd / && rm -rf {hello.cache}; echo gone"')
    err = hello.envy("sync", code=1).err
    assert "Traceback" not in err
    hello.recipe("local.hello@r1", HELLO)
    assert "1 installed" in hello.envy("sync").err


def test_cache_root_is_a_file(hello):
    """If the cache root is a file, the error names it, with a remedy."""
    hello.cache.write_text("a file")
    err = hello.envy("sync", code=1).err
    assert str(hello.cache) in err
    assert "--cache-root" in err
    assert "Traceback" not in err
    assert "Traceback" not in hello.envy("cache", code=1).err


@pytest.mark.parametrize("kind", ["file", "link"])
def test_entry_that_is_not_a_directory(hello, tmp_path, kind):
    """A file or a link instead of an entry is named and not touched."""
    hello.envy("sync")
    ((_, entry),) = hello.entries()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    entry.rename(tmp_path / "aside")
    if kind == "file":
        entry.write_text("a file")
    else:
        entry.symlink_to(elsewhere)
    run = hello.envy("sync", code=1)
    assert str(entry) in run.err
    assert "Traceback" not in run.err
    assert list(elsewhere.iterdir()) == []
    assert "was not created by envy" in hello.envy("cache").err
    entry.unlink()
    assert "1 installed" in hello.envy("sync").err


@pytest.mark.parametrize("name", ["envy-complete", "envy-ingredients.json"])
def test_damaged_files_of_an_entry(hello, name):
    """Whatever the files of an entry contain, no command ends with a traceback."""
    hello.envy("sync")
    ((_, entry),) = hello.entries()
    (entry / name).write_bytes(b"\xff\x00 no json")
    for words in (("cache",), ("cache", "--json"), ("why-rebuild", "hello"), ("cache", "gc")):
        assert "Traceback" not in hello.envy(*words, code=None).err
    assert hello.envy("sync").code == 0


def test_damaged_fingerprint(hello):
    """A package without a fingerprint counts as damaged, and can be repaired."""
    hello.envy("sync")
    ((_, entry),) = hello.entries()
    (entry / "envy-fingerprint.blake3").write_bytes(b"{}\n")
    assert "envy-fingerprint.blake3 is missing or damaged" in (
        hello.envy("cache", "verify", code=1).out
    )
    assert "rebuilt" in hello.envy("cache", "verify", "--repair").out


def test_damaged_records(hello):
    """Damaged records and leases are ignored."""
    hello.envy("sync")
    (record,) = hello.cache.glob("projects/*/*.json")
    record.write_bytes(b"[1, 2")
    (hello.cache / "leases").mkdir(exist_ok=True)
    (hello.cache / "leases" / "1-x.json").write_text("{}")
    assert "0 entries" in hello.envy("cache", "gc").out
    assert list((hello.cache / "leases").iterdir()) == []


def test_waiting_for_a_lock_says_who_has_it(hello):
    """After two seconds, a waiting process reports the holder's pid, time and command."""
    hello.envy("sync")
    (lock,) = hello.cache.glob("locks/local.hello*.lock")
    shutil.rmtree(hello.cache / "assets")
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(
            '{"pid": 4711, "start_time": "1", "command": "envy sync", "since": 0, "groups": {}}\n'
        )
        file.flush()
        sync = hello.popen("sync")
        err = next(line for line in sync.stderr if b"4711" in line)
        file.truncate(0)
        fcntl.flock(file, fcntl.LOCK_UN)
        assert b"process 4711 since" in err
        assert b"(envy sync)" in err
        _, err = sync.communicate(timeout=300)
    assert sync.returncode == 0, err


def unprivileged(*words):
    """A command prefix under which permissions apply, as they do not for root."""
    if os.geteuid() != 0:
        return words
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *words)


@pytest.fixture
def permissions(tmp_path):
    """Skip where permissions do not apply: for root without a way to drop privileges."""
    probe = unprivileged("sh", "-c", f"! touch {tmp_path}/locked/x")
    (tmp_path / "locked").mkdir(mode=0o555)
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("permissions do not apply to root")
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("permissions do not apply to root")


def run_plain(project, *words, code=0):
    run = subprocess.run(
        unprivileged(envy_command(), *words),
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == code, (run.stdout, run.stderr)
    return run


def test_user_cannot_write_to_what_is_published(hello, permissions):
    """Files and folders of a package are read-only; gc and repair remove them nonetheless."""
    run_plain(hello, "sync")
    folder = Path(run_plain(hello, "asset", "hello").stdout.strip())
    script = f"echo x >> {folder}/hello; touch {folder}/new; rm -f {folder}/hello; true"
    subprocess.run(unprivileged("sh", "-c", script), check=True, stderr=subprocess.DEVNULL)
    assert [path.name for path in folder.iterdir()] == ["hello"]
    assert (folder / "hello").read_text() == "hello\n"
    (folder.parent / "envy-fingerprint.blake3").unlink()
    assert "rebuilt" in run_plain(hello, "cache", "verify", "--repair").stdout
    run_plain(hello, "cache", "forget", ".")
    os.utime(folder.parent / "envy-complete", (1, 1))
    assert "1 entry)" in run_plain(hello, "cache", "gc").stdout
    assert hello.entries() == []


def test_a_user_clears_the_cache(hello, permissions):
    """rm and clear open read-only folders, so any user can remove what that user installed."""
    run_plain(hello, "sync")
    assert "removed" in run_plain(hello, "cache", "rm", "hello").stdout
    assert hello.entries() == []
    run_plain(hello, "sync")
    assert "in 1 entry" in run_plain(hello, "cache", "clear").stdout
    assert not hello.cache.exists()


def test_locks_without_permission(hello, permissions):
    """If the lock directory is not writable, the error names it, with a remedy."""
    (hello.cache / "locks").mkdir(parents=True)
    (hello.cache / "locks").chmod(0o555)
    err = run_plain(hello, "sync", code=1).stderr
    assert "cannot take a lock in the cache" in err
    assert str(hello.cache / "locks") in err
    assert "Permission denied" in err
    assert "--cache-root" in err


def test_cache_that_may_only_be_read(hello, permissions):
    """A complete cache can be used by a user without write permission."""
    run_plain(hello, "sync")
    for record in hello.cache.glob("projects/*/*"):
        os.utime(record, (1, 1))
    for path in [hello.cache, *hello.cache.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    assert "1 cached" in run_plain(hello, "sync").stderr


def test_relocation_as_a_user(project, permissions):
    """Read-only packages can be moved, rewritten and imported by their owner."""
    project.packages("local.self@r1")
    project.recipe(
        "local.self@r1",
        'relocate = { "*/self" }\n'
        'install = "mkdir bin; echo $ENVY_INSTALL_DIR > bin/self; ln -s $PWD/bin bin/abs"',
    )
    run_plain(project, "sync")
    run_plain(project, "export", "self", "-o", "export.tar.zst")
    project.cache = project.root.parent / "other-cache"
    assert run_plain(project, "import", "export.tar.zst").stdout == "imported local.self@r1\n"
    assert "1 cached" in run_plain(project, "sync").stderr
    assert "0 damaged" in run_plain(project, "cache", "verify").stdout
