"""Real syncs, killed at random times: a program, run by test_rounds.py and by `make soak`.

    python rounds.py resume FOLDER ROUNDS SEED    one sync at a time, killed and resumed
    python rounds.py crowd FOLDER ROUNDS SEED     sixteen at once, some of them killed

Each sync is a process of its own that runs the command line of `envy sync`. It is forked from this
process, which has already imported envy, so that the sync is killed and not the start of Python.

The install scripts write logs outside the cache, one line at a time, in the order of events.
"""

import collections
import contextlib
import hashlib
import importlib
import json
import os
import random
import select
import shutil
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lock import FileLock
from envy.cache.verify import verify
from envy.cli.main import run_command_line

# Commands import their modules on demand; imported here, they are ready in every child.
for module in ("sync", "outcome", "wiring"):
    importlib.import_module(f"envy.cli.{module}")
importlib.import_module("envy.transport.http")

PROCESSES = 16
PAYLOAD = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()

# An install script that logs its start, its work and its end.
WATCHED = """
echo "start $$ $PPID {name}" >> {log}
echo >> {beat}
if [ -e "$ENVY_INSTALL_DIR/../envy-complete" ]; then echo "late $$" >> {log}; fi
for step in 1 2 3 4 5 6 7 8; do echo "tick $$" >> {log}; sleep 0.0{pace}; done
echo "end $$" >> {log}
{end}
"""


class Workplace:
    """A project, its cache, and the logs of its scripts."""

    def __init__(self, root, pace):
        self.root = Path(root)
        self.cache = self.root / "cache"
        self.machine = self.root / "machine"  # what the user-managed packages change
        self.other = self.root / "other"
        self.logs = {name: self.root / f"{name}.log" for name in ("tool", "machine")}
        (self.root / "recipes").mkdir(parents=True)
        os.mkfifo(self.root / "beat")
        # Open for writing too, so that scripts never wait for a reader.
        self.beat = os.open(self.root / "beat", os.O_RDWR | os.O_NONBLOCK)
        self.url = f"http://127.0.0.1:{serve(self.root / 'served')}/data.bin"
        self.write(pace)

    def write(self, pace):
        data = (
            f'fetch = {{ source = "{self.url}", sha256 = "{DIGEST}" }}\n'
            'build = "for n in 1 2 3 4; do sleep 0.01; done; test -s data.bin"\n'
        )
        tool, machine, other = (
            WATCHED.format(
                log=self.logs[log], beat=self.root / "beat", pace=pace, end=end, name=name
            )
            for name, log, end in (
                ("tool", "tool", "echo done > last"),
                ("machine", "machine", f"touch {self.machine}"),
                ("other", "machine", f"touch {self.other}"),
            )
        )
        recipes = {
            "local.data@r1": data,
            "local.tool@r1": 'dependencies = { { recipe = "local.data@r1", '
            'source = "local.data@r1.lua" } }\n'
            f"install = [[\nmkdir part\nfor n in 1 2 3 4 5 6; do echo $n > part/$n; done\n{tool}]]",
            # Two with one name, so that neither may be installed while the other is.
            "local.machine@r1": f"check = [[test -e {self.machine}]]\ninstall = [[{machine}]]\n"
            'exclusive = "machine"',
            "local.other@r1": f"check = [[test -e {self.other}]]\ninstall = [[{other}]]\n"
            'exclusive = "machine"',
        }
        for identity, body in recipes.items():
            path = self.root / "recipes" / f"{identity}.lua"
            path.write_text(f'identity = "{identity}"\n{body}\n')
        rows = "".join(f'  "{identity}",\n' for identity in recipes)
        (self.root / "envy.lua").write_text("packages = {\n" + rows + "}\n")

    def start(self):
        """Start a sync in a process; return its number."""
        child = os.fork()
        if child:
            return child
        code = 99
        try:
            os.chdir(self.root)
            with (self.root / "output.log").open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            variables = {**os.environ, "ENVY_CACHE_ROOT": str(self.cache), "ENVY_YES": "1"}
            code = run_command_line(["--no-progress", "sync"], environment=variables)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def reset(self):
        """Remove the cache and everything that was installed."""
        discard = self.root / "old"
        with contextlib.suppress(FileNotFoundError):
            self.cache.rename(discard)
        shutil.rmtree(discard, ignore_errors=True)
        self.machine.unlink(missing_ok=True)
        self.other.unlink(missing_ok=True)
        for log in self.logs.values():
            log.unlink(missing_ok=True)

    def check_whole(self):
        """Assert that every entry with a marker matches its fingerprint; return their number.

        Every kept download matches its digest.
        """
        for path in self.cache.glob("downloads/sha256/*"):
            if path.suffix != ".new":
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, path
        marked = 0
        for entry in take_inventory(CacheLayout(self.cache)).entries:
            if entry.complete:
                marked += 1
                damage = verify(entry.paths)
                assert damage == [], (entry.key, [str(row) for row in damage])
        return marked

    def wait_for_an_install(self, seconds):
        """Wait until a script has begun since the last call, for a limited time."""
        if select.select([self.beat], [], [], seconds)[0]:
            os.read(self.beat, 1 << 16)

    def victim(self, children, random_source):
        """Choose a process to kill, often one that holds a lock."""
        owners = [FileLock(path).owner() for path in sorted(self.cache.glob("locks/*.lock"))]
        working = sorted({owner.pid for owner in owners if owner} & children)
        if working and random_source.random() < 0.7:
            return random_source.choice(working)
        return random_source.choice(sorted(children))

    def verified_downloads(self):
        """Return the downloads in incomplete entries that have their final name."""
        return [
            path
            for path in self.cache.glob("assets/*/*/fetch/data.bin")
            if not (path.parent.parent / "envy-complete").exists()
        ]

    def served(self):
        path = self.root / "served"
        return path.stat().st_size if path.exists() else 0


def serve(log, texts=MappingProxyType({})):
    """Serve some texts and the payload from a process of its own; return the port.

    Each complete download of the payload is counted in `log`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = texts.get(self.path, PAYLOAD)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for first in range(0, len(content), 100_000):
                self.wfile.write(content[first : first + 100_000])
            if self.path in texts:
                return
            with log.open("ab") as file:
                file.write(b".")

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    parent = os.getppid(), os.getpid()
    if os.fork() == 0:
        # The server ends with this program, however that ends.
        with contextlib.suppress(Exception):
            server.timeout = 1
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            while os.getppid() == parent[1]:
                server.handle_request()
        os._exit(0)
    port = server.server_port
    server.server_close()
    return port


def wait_for(child, seconds):
    """Return the status of a child that ended within so many seconds, or None."""
    watch = os.pidfd_open(child)
    try:
        if not select.select([watch], [], [], seconds)[0]:
            return None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(watch)


def attempts_of(log):
    """Return the attempts in a log, in order: [script, its sync, its package, whether it ended].

    No two attempts overlap.
    """
    attempts = []
    if not log.exists():
        return attempts
    for line in log.read_text().splitlines():
        word, script, *rest = line.split()
        assert word != "late", f"{script} started after the marker was written"
        if word == "start":
            attempts.append([script, int(rest[0]), rest[1], False])
            continue
        running = attempts[-1]
        assert running[0] == script, f"{script} still worked when {running[0]} had started"
        running[3] = word == "end"
    return attempts


def check_attempts(place, killed):
    """Assert that no installs overlapped, and that only installs of killed syncs were repeated."""
    total = 0
    for log in place.logs.values():
        rows = attempts_of(log)
        total += len(rows)
        for name in {name for _, _, name, _ in rows}:
            attempts = [row for row in rows if row[2] == name]
            # A script has another parent if its sync died before it logged its start.
            survivors = [row for row in attempts[:-1] if row[1] not in killed | {1, os.getpid()}]
            assert survivors == [], (log.name, rows, sorted(killed))
            assert attempts[-1][3], rows
    for name in ("machine", "other"):
        assert not list(place.cache.glob(f"assets/local.{name}@r1/*")), "a workspace survived"
    return total


def resume(place, rounds, random_source):
    """Kill a sync at a random time and restart it until it completes; then reset and repeat."""
    started = time.monotonic()
    assert wait_for(place.start(), 300) == 0, (place.root / "output.log").read_text()
    usual = time.monotonic() - started
    place.check_whole()
    place.reset()
    counts = collections.Counter()
    killed, known = set(), 0
    while counts["rounds"] < rounds:
        counts["rounds"] += 1
        known, before = len(place.verified_downloads()), place.served()
        child = place.start()
        status = wait_for(child, random_source.uniform(0, usual * 1.2))
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed.add(child)
            counts["killed"] += 1
            counts["marked"] += place.check_whole()
        else:
            assert status == 0, (place.root / "output.log").read_text()[-3000:]
            assert place.check_whole() == 2
            counts["completed"] += 1
            counts["installs"] += check_attempts(place, killed)
        if known:
            assert place.served() == before, "a verified download was repeated"
            counts["kept downloads"] += 1
        if status == 0:
            place.reset()
            killed = set()
    assert wait_for(place.start(), 300) == 0
    place.check_whole()
    return counts


def crowd(place, rounds, random_source):
    """Sixteen syncs at once on an empty cache, about half of them killed, then a last one."""
    started = time.monotonic()
    assert wait_for(place.start(), 300) == 0, (place.root / "output.log").read_text()
    usual = time.monotonic() - started
    counts = collections.Counter()
    for _ in range(rounds):
        place.reset()
        killed = set()
        children = {place.start() for _ in range(PROCESSES)}
        for pause in [random_source.uniform(0, usual / 3) for _ in range(PROCESSES // 2)]:
            place.wait_for_an_install(usual)
            child = place.victim(children, random_source)
            if wait_for(child, pause) is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                killed.add(child)
            children.discard(child)
        for child in children:
            assert wait_for(child, 120) == 0, (place.root / "output.log").read_text()[-3000:]
        assert wait_for(place.start(), 300) == 0, (place.root / "output.log").read_text()[-3000:]
        assert place.check_whole() == 2
        counts["installs"] += check_attempts(place, killed)
        counts["rounds"] += 1
        counts["killed"] += len(killed)
    return counts


def main():
    what, folder, rounds, seed = sys.argv[1:]
    random_source = random.Random(int(seed))
    place = Workplace(folder, pace=1)
    counts = {"resume": resume, "crowd": crowd}[what](place, int(rounds), random_source)
    print(json.dumps({"seed": int(seed), **counts}))


if __name__ == "__main__":
    main()
