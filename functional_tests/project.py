"""A project on disk, and the installed `envy` command run in it as a user would.

A plain module; conftest.py has the fixture `project`.
"""

import json
import os
import signal
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from loaded_envy import ForkedRun, can_fork_runs

started = set()  # the commands that these tests have run from the installed program


def envy_command():
    """Return the console script `envy` of the Python that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / "envy")


@dataclass
class Outcome:
    """How a run of envy ended."""

    code: int
    out: str
    err: str
    events: list = field(default_factory=list)

    def named(self, name, **fields):
        """Return the events of this name whose fields have these values."""
        return [
            event
            for event in self.events
            if event["event"] == name
            and all(event.get(field) == value for field, value in fields.items())
        ]

    def folder(self, identity):
        """Return the asset folder of a package that this run completed."""
        [event] = self.named("recipe_complete", recipe=identity)
        return Path(event["asset_path"])


def tree(folder):
    """Return the files of a folder: each file's text, and each link's target after an arrow."""
    return {
        path.relative_to(folder).as_posix(): f"-> {path.readlink()}"
        if path.is_symlink()
        else path.read_text()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def report_of_lock(process):
    """Ask a run with --trace=stderr for reports until it waits for a lock; return that line."""
    line = process.stderr.readline().decode()  # from here on, the run handles signals
    while "waits in" not in line:
        process.send_signal(signal.SIGUSR1)  # each signal gets an answer, so this ends
        line = process.stderr.readline().decode()
        assert line, "the run ended without waiting for a lock"
    return line


def is_running(pid):
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (ProcessLookupError, FileNotFoundError):
        return False


class Project:
    """A folder with a manifest and recipes, and a cache of its own."""

    def __init__(self, root, cache=None):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.cache = Path(cache) if cache else self.root.parent / f"{self.root.name}-cache"
        self.runs = 0

    def write(self, name, text, *, mode=None):
        """Write a file of the project; return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        if mode is not None:
            path.chmod(mode)
        return path

    def manifest(self, text):
        """Write envy.lua."""
        return self.write("envy.lua", text)

    def recipe(self, identity, body):
        """Write recipes/IDENTITY.lua with its identity line."""
        return self.write(f"recipes/{identity}.lua", f'identity = "{identity}"\n{body}\n')

    def packages(self, *identities):
        """Write a manifest of local recipes, by identity."""
        rows = "".join(f'  "{identity}",\n' for identity in identities)
        return self.manifest("packages = {\n" + rows + "}\n")

    def sync_one(self, body, *words, **details):
        """Sync a manifest of one recipe, local.one@r1, with this body; return the outcome."""
        self.packages("local.one@r1")
        self.recipe("local.one@r1", body)
        return self.envy("sync", *words, **details)

    def make(self, body, **details):
        """Do the same, expecting success; return the asset folder of the package."""
        return self.sync_one(body, **details).folder("local.one@r1")

    def environment(self, extra=None):
        """Return the tester's environment, without the variables that would affect envy."""
        steering = ("ENVY_", "MAKE", "MFLAGS")  # a make that runs the tests is not tested
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(steering)
        }
        inherited["ENVY_CACHE_ROOT"] = str(self.cache)
        inherited.update(extra or {})
        return inherited

    def popen(self, *words, env=None, cwd=None, under=(), **options):
        """Start envy after the command prefix `under`, for tests that act while it runs."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [*under, envy_command(), *map(str, words)],
            cwd=cwd or self.root,
            env=self.environment(env),
            **options,
        )

    def envy(self, *words, env=None, cwd=None, code=0, trace=True, timeout=300, **options):
        """Run envy, assert that it exits with `code` (None: any), and read its events.

        The first run of each command starts the installed program, and so do those whose variables
        or options have an effect before envy runs. Others are forks of a process that has loaded
        it, which takes a third of the time.
        """
        self.runs += 1
        trace_file = self.root.parent / f"{self.root.name}-trace-{self.runs}.jsonl"
        trace_words = [f"--trace=file:{trace_file}"] if trace else []
        arguments = [*trace_words, *words]
        command = tuple(words[: 2 if words[:1] == ("cache",) else 1])
        if command in started and not options and can_fork_runs(env or {}):
            process = ForkedRun(
                [envy_command(), *map(str, arguments)],
                cwd=cwd or self.root,
                environment=self.environment(env),
            )
        else:
            started.add(command)
            process = self.popen(*arguments, env=env, cwd=cwd, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            # It must not outlive its test. SIGTERM lets it end its children first.
            process.terminate()
            process.communicate(timeout=300)
            raise
        outcome = Outcome(
            process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )
        if trace_file.exists():
            outcome.events = [json.loads(row) for row in trace_file.read_text().splitlines()]
        assert code is None or outcome.code == code, (outcome.code, outcome.out, outcome.err)
        return outcome

    def entries(self):
        """Return every entry of the cache: (identity, folder)."""
        assets = self.cache / "assets"
        if not assets.is_dir():
            return []
        return sorted(
            (identity.name, entry) for identity in assets.iterdir() for entry in identity.iterdir()
        )

    def markers(self):
        """Return the identities that have a complete entry."""
        return sorted(name for name, entry in self.entries() if (entry / "envy-complete").exists())

    def held_locks(self):
        """Return the locks of the cache that some process still holds."""
        import fcntl

        held = []
        for path in self.cache.rglob("*.lock"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held.append(path)
        return held
