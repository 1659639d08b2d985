"""Real commands in which one system call fails: a program, run by test_faults.py.

    LD_PRELOAD=faults.so python faults.py SCENARIO FOLDER FIRST STEP

From the FIRST on, every STEP-th call below the cache fails in four ways, and in two ways is the
last of its process. Each time, the command is then repeated without a fault, and succeeds.
"""

import collections
import contextlib
import ctypes
import errno
import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from rounds import DIGEST, serve

from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.verify import verify
from envy.cli.main import run_command_line

importlib.import_module("envy.cli.cache")  # once, for all child processes

EXIT, KILL = -1, -2
WAYS = (EXIT, KILL, errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
LONG_AGO = time.time() - 40 * 86400
SYNC = ("sync", "--jobs", "1", "--fetch-jobs", "1")
GC = ("cache", "gc")

DATA = """identity = "vendor.data@r1"
fetch = {{ source = "{url}/data.bin", sha256 = "{digest}" }}
"""
TOOL = """identity = "local.tool@r1"
dependencies = {{ {{ recipe = "vendor.data@r1", source = "{url}/data.lua", sha256 = "{recipe}" }} }}
install = [[echo start $$ >> {log}; mkdir part; echo 1 > part/1; ln -s part link
if [ -e ../envy-complete ]; then echo late $$ >> {log}; fi; echo end $$ >> {log}]]
deploy = function(ctx) ctx.run("touch {deployed}") end
"""
MACHINE = """identity = "local.machine@r1"
check = "test -e {machine}"
install = "touch {machine}"
exclusive = "machine"
"""


class Workplace:
    """A project with a package of each kind, and its cache."""

    def __init__(self, root):
        self.root = Path(root)
        self.cache = self.root / "cache"
        self.log = self.root / "tool.log"
        (self.root / "recipes").mkdir(parents=True)
        for name in ("deployed", "machine"):
            setattr(self, name, self.root / name)
        texts = {}
        self.url = f"http://127.0.0.1:{serve(self.root / 'served', LateTexts(texts, self.root))}"
        data = DATA.format(url=self.url, digest=DIGEST)
        (self.root / "data.lua").write_text(data)
        details = {
            "url": self.url,
            "recipe": hashlib.sha256(data.encode()).hexdigest(),
            "log": self.log,
            "deployed": self.deployed,
            "machine": self.machine,
        }
        for name, text in (("tool", TOOL), ("machine", MACHINE)):
            (self.root / "recipes" / f"local.{name}@r1.lua").write_text(text.format(**details))
        (self.root / "envy.lua").write_text('packages = { "local.tool@r1", "local.machine@r1" }\n')

    def run(self, words, at=0, how=0):
        """Run a command in a child; return (exit code, the call that failed, calls, output)."""
        output = self.root / "output.log"
        output.unlink(missing_ok=True)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.chdir(self.root)
                with output.open("wb") as file:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
                variables = {**os.environ, "ENVY_CACHE_ROOT": str(self.cache), "ENVY_YES": "1"}
                variables.pop("LD_PRELOAD")
                library = ctypes.CDLL(None)
                library.fault_arm(ctypes.c_long(at), how, os.fsencode(self.cache), writer)
                code = run_command_line(["--no-progress", *words], environment=variables)
                library.fault_arm(ctypes.c_long(0), 0, b"", -1)
                os.write(writer, b" %d" % library.fault_count())
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            met, _, count = pipe.read().partition(" ")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, met, int(count or 0), output.read_text(errors="replace")

    def reset(self):
        """Remove the cache and everything that was installed."""
        with contextlib.suppress(FileNotFoundError):
            self.cache.rename(self.root / "old")
        for folder in (self.root / "old").rglob("*"):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o755)
        shutil.rmtree(self.root / "old", ignore_errors=True)
        for path in (self.log, self.deployed, self.machine, self.root / "served"):
            path.unlink(missing_ok=True)

    def age(self):
        """Make everything in the cache appear last used long ago, and by no existing project."""
        for path in self.cache.glob("projects/*/*.json"):
            path.unlink()
        for path in self.cache.rglob("*"):
            os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)

    def marked(self):
        """Assert that every entry with a marker matches its fingerprint; return their number."""
        count = 0
        for entry in take_inventory(CacheLayout(self.cache)).entries:
            if entry.complete:
                count += 1
                damage = verify(entry.paths)
                assert damage == [], (entry.key, [str(row) for row in damage])
        return count

    def downloads(self):
        """Assert that kept downloads, and those of incomplete entries, match their digest.

        Returns how many of them save another transfer of the data.
        """
        for path in self.cache.glob("downloads/sha256/*"):
            if path.suffix != ".new":
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, path
        found = [
            path
            for path in self.cache.glob("assets/*/*/fetch/data.bin")
            if not (path.parents[1] / "envy-complete").exists()
        ]
        for path in found:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == DIGEST, path
        return len(found) + len(list(self.cache.glob(f"downloads/sha256/{DIGEST}")))

    def installs(self):
        """Return how often the tool's install ran; it never runs when the marker exists."""
        rows = self.log.read_text().split() if self.log.exists() else []
        assert "late" not in rows, rows
        return rows.count("start")

    def served(self):
        path = self.root / "served"
        return path.stat().st_size if path.exists() else 0


class LateTexts(dict):
    """Texts of the server that are written after the server has started."""

    def __init__(self, texts, root):
        super().__init__(texts)
        self.root = root

    def __contains__(self, path):
        return path == "/data.lua"

    def get(self, path, default):
        return (self.root / "data.lua").read_bytes() if path in self else default


def check_output(code, output, met, how):
    """Assert that the process ended as the fault demands, and that errors are readable."""
    if how == EXIT and met:
        assert code == 70, (code, output)
    elif how == KILL and met:
        assert code == -signal.SIGKILL, (code, output)
    else:
        assert code in {0, 1}, (code, output)
        assert "Traceback" not in output, output
        if code:
            assert "error: " in output, output
            assert os.strerror(how) in output, output


def make(workplace, at, how):
    """A sync of an empty cache meets a fault; the next sync completes."""
    workplace.reset()
    code, met, count, output = workplace.run(SYNC, at, how)
    check_output(code, output, met, how)
    marked, known = workplace.marked(), workplace.downloads()
    before, installs = workplace.served(), workplace.installs()
    tool_is_made = bool(list(workplace.cache.glob("assets/local.tool@r1/*/envy-complete")))
    code, _, _, output = workplace.run(SYNC)
    assert code == 0, output
    assert workplace.marked() == 2, output
    if known:
        assert workplace.served() == before, "a verified download was repeated"
    assert workplace.installs() == installs + (not tool_is_made)
    assert workplace.deployed.exists(), output
    assert workplace.machine.exists(), output
    assert not list(workplace.cache.glob("assets/local.machine@r1/*")), (
        "a workspace was left behind"
    )
    return met, count, marked


def collect(workplace, at, how):
    """A gc of an unused cache meets a fault; the next gc completes, and a sync fills the cache."""
    if not (workplace.cache / "assets").exists() or workplace.marked() != 2:
        workplace.reset()
        assert workplace.run(SYNC)[0] == 0
    workplace.age()
    code, met, count, output = workplace.run(GC, at, how)
    check_output(code, output, met, how)
    marked = workplace.marked()
    code, _, _, output = workplace.run(GC)
    assert code == 0, output
    assert list(workplace.cache.glob("trash/*")) == [], output
    assert workplace.marked() in {0, marked}, output
    code, _, _, output = workplace.run(SYNC)
    assert code == 0, output
    assert workplace.marked() == 2
    return met, count, marked


def main():
    scenario, folder, first, step = sys.argv[1:]
    workplace = Workplace(folder)
    fault = {"make": make, "collect": collect}[scenario]
    fault(workplace, 0, 0)  # imports what later runs import
    _, calls, _ = fault(workplace, 0, 0)
    names, faults, marked = collections.Counter(), 0, 0
    for at in range(int(first), calls + 1, int(step)):
        for how in WAYS:
            try:
                met, _, whole = fault(workplace, at, how)
            except AssertionError as error:
                raise AssertionError(f"call {at}, {how}: {error}") from error
            if met:
                faults += 1
                names[met] += 1
                marked += whole
    print(json.dumps({"calls": calls, "faults": faults, "marked": marked, "met": names}))


if __name__ == "__main__":
    main()
