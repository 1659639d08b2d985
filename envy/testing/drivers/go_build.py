"""Building many packages with one `go test -c`, and the store of the binaries.

Guarantees
  A kept binary is complete: it is built elsewhere and its folder is renamed into place, so an
  interrupted envy leaves nothing that a later run would mistake for a binary.
  Packages whose binaries have the same name are never in one call. A package that cannot be loaded
  has a call of its own: a Go before 1.24 would build none of the others either.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from envy.cache.collect import DEFAULT_UNUSED_FOR
from envy.errors import EnvyError
from envy.host.process_table import is_alive
from envy.interpreter import released
from envy.testing.drivers.go_list import GoPackage
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.events import StreamEvent, parse_event
from envy.testing.package import PackageRun

_LOOK_EVERY = 0.25


class BinaryStore:
    """The folder of test binaries, by build key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Path | None:
        """Return the kept binary of a key, and mark it as used; None if there is none."""
        folder = self._folder(key)
        try:
            with os.scandir(folder) as entries:
                found = next((entry.path for entry in entries if not entry.is_dir()), None)
        except OSError:
            return None
        if found is not None:
            with contextlib.suppress(OSError):
                os.utime(folder)
        return Path(found) if found else None

    @contextlib.contextmanager
    def build_dir(self) -> Iterator[Path]:
        """Create a build folder for this process; remove the folders of dead processes."""
        top = self.root / "building"
        try:
            top.mkdir(parents=True, exist_ok=True)
            for folder in top.iterdir():
                owner = folder.name.partition("-")[0]
                if owner.isdecimal() and not is_alive(int(owner)):
                    shutil.rmtree(folder, ignore_errors=True)
            build_dir = top / f"{os.getpid()}-{time.monotonic_ns()}"
            build_dir.mkdir()
        except OSError as error:
            raise EnvyError(
                f"cannot build in {top}: {error.strerror}",
                hint="choose another cache with --cache-root",
            ) from error
        try:
            yield build_dir
        finally:
            with released():
                shutil.rmtree(build_dir, ignore_errors=True)

    def keep(self, binary: Path, key: str) -> Path:
        """Move a finished binary into the store, or use that of a process that was faster."""
        folder = self._folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = binary.parent / f"keep-{key}"
        staging.mkdir()
        binary.rename(staging / binary.name)
        earlier = self.find(key)
        if earlier is not None and earlier.stat().st_size != (staging / binary.name).stat().st_size:
            shutil.rmtree(folder, ignore_errors=True)  # truncated by a full disk or a crash
        with contextlib.suppress(OSError):
            staging.rename(folder)
        kept = self.find(key)
        if kept is None:
            raise EnvyError(f"cannot keep the test binary in {folder}")
        return kept

    def prune(self) -> None:
        """Remove binaries that were not used for as long as gc keeps packages."""
        limit = time.time() - DEFAULT_UNUSED_FOR
        for folder in self.root.glob("??/*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder)

    def clean(self) -> int:
        """Remove everything; return the number of bytes freed."""
        freed = 0
        for path in self.root.rglob("*"):
            with contextlib.suppress(OSError):
                freed += path.lstat().st_size if not path.is_dir() else 0
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.root)
        return freed

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key


def is_whole(binary: Path) -> bool:
    """Return whether a kept binary looks intact: not empty, and executable."""
    try:
        return binary.stat().st_size > 0 and os.access(binary, os.X_OK)
    except OSError:
        return False


def divide(runs: Sequence[PackageRun], *, many: bool) -> list[list[PackageRun]]:
    """Divide packages into few batches without duplicate binary names; singly for an old Go."""
    if not many:
        return [[run] for run in runs]
    batches: list[dict[str, PackageRun]] = []
    alone = [[run] for run in runs if not _detail(run).is_sound]
    for run in runs:
        if not _detail(run).is_sound:
            continue
        # Some file systems ignore case.
        name = _detail(run).binary_name.casefold()
        batch = next((batch for batch in batches if name not in batch), None)
        if batch is None:
            batch = {}
            batches.append(batch)
        batch[name] = run
    return [*(list(batch.values()) for batch in batches), *alone]


def build_batch(
    toolchain: GoToolchain,
    store: BinaryStore,
    batch: Sequence[PackageRun],
    flags: Sequence[str],
    *,
    jobs: int,
    key_of: Callable[[PackageRun], str],
    ends_at: float | None = None,
    on_built: Callable[[int], None] | None = None,
) -> None:
    """Build the binaries of a batch with one call, and report their number to `on_built`.

    `key_of` returns the key to keep a finished binary under.
    """
    timeout = None if ends_at is None else max(0.0, ends_at - time.monotonic())
    with store.build_dir() as build_dir:
        # A Go that builds many packages takes a folder here; an older Go takes the binary's path.
        output = f"{build_dir}{os.sep}"
        if not toolchain.builds_many:
            output += _binary_name(toolchain, batch[0])
        words = ["test", "-c", "-o", output, f"-p={jobs}"]
        if toolchain.version >= (1, 24):
            words.append("-json")
        words += [*flags, *(run.package.name for run in batch)]
        with _counting_binaries(build_dir, on_built):
            completed = toolchain.call(words, timeout=timeout)
        events = _events(completed.stdout, completed.stderr)
        cause = ""
        for run in batch:
            binary = build_dir / _binary_name(toolchain, run)
            if binary.exists():
                run.binary = store.keep(binary, key_of(run))
            elif (
                not run.package.has_tests
                and not _failures(run, events)
                and (len(batch) > 1 or not completed.exit_code)
            ):
                binary.touch()  # it compiles, and there is nothing to run
                run.binary = store.keep(binary, key_of(run))
            else:
                cause = _note_failure(run, events, timed_out=completed.timed_out, cause=cause)


@contextlib.contextmanager
def _counting_binaries(build_dir: Path, on_built: Callable[[int], None] | None) -> Iterator[None]:
    """Report the number of binaries from time to time; Go does not report successful builds."""
    if on_built is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY):
            on_built(len(os.listdir(build_dir)))  # noqa: PTH208

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        with released():
            thread.join()


def _note_failure(
    run: PackageRun, events: dict[str, list[StreamEvent]], *, timed_out: bool, cause: str
) -> str:
    """Record why a package has no binary: it failed to build, or a package that it imports did.

    Output that belongs to no package is reported once per call: `cause` is the package of the call
    that has reported it, "" if none has. Returns the new `cause`.
    """
    name = run.package.name
    failed = _failures(run, events)
    run.failed_build = failed[0] if failed else cause or name
    for path in failed:
        run.build_events += events[path]
    if not failed and not cause:
        reason = "total timeout" if timed_out else "the build wrote no binary and gave no reason"
        stray = [event for rows in events.values() for event in rows if not event.import_path]
        text = "".join(event.output or "" for event in stray) or f"{reason}\n"
        now = time.time()
        run.build_events += [
            StreamEvent(action="build-output", time=now, import_path=name, output=text),
            StreamEvent(action="build-fail", time=now, import_path=name),
        ]
    return cause if failed else cause or name


def _failures(run: PackageRun, events: dict[str, list[StreamEvent]]) -> list[str]:
    """Return the import paths whose failed builds left a package without a binary."""
    name = run.package.name
    own = [
        path for path in events if path == name or path.startswith((f"{name} [", f"{name}_test ["))
    ]
    failed = [path for path in own if _has_failed(events[path])]
    if failed:
        return failed
    closure = closure_of(run)
    return [path for path in events if path in closure and _has_failed(events[path])]


def _has_failed(events: Sequence[StreamEvent]) -> bool:
    return any(event.action == "build-fail" for event in events)


def closure_of(run: PackageRun) -> set[str]:
    """Return the import paths of the listed packages that a package's binary is built from."""
    detail = _detail(run)
    found: set[str] = set()
    stack = [detail.main or detail.record["ImportPath"]]
    while stack:
        path = stack.pop()
        row = detail.records.get(path)
        if path in found or row is None:
            continue
        found.add(path)
        renamed = row.get("ImportMap") or {}
        stack += [renamed.get(name, name) for name in row.get("Imports", ())]
    return found


def _events(stdout: bytes, stderr: bytes) -> dict[str, list[StreamEvent]]:
    """Return the events of a build by import path; "" has those that belong to no package."""
    found: dict[str, list[StreamEvent]] = {}
    loose: list[str] = []
    now = time.time()
    for line in stdout.decode("utf-8", "replace").splitlines():
        if not line.startswith("{"):
            loose.append(line)
            continue
        event = parse_event(line, where="go test -c")
        if event.action in {"build-output", "build-fail"}:
            event = StreamEvent(
                action=event.action,
                time=now,
                import_path=event.import_path,
                output=event.output,
            )
            found.setdefault(event.import_path, []).append(event)
    loose += stderr.decode("utf-8", "replace").splitlines()
    _sort_text(loose, found, now)
    return found


def _sort_text(lines: Sequence[str], found: dict[str, list[StreamEvent]], now: float) -> None:
    """Sort the text of a Go that does not write JSON: `# PACKAGE` precedes a package's lines."""
    path = ""
    for line in lines:
        if line.startswith("# "):
            path = line[2:].strip()
            path = path.strip("[]") if path.startswith("[") else path  # `# [PATH]` is vet's
            if path not in found:
                found[path] = [StreamEvent(action="build-fail", time=now, import_path=path)]
        row = StreamEvent(action="build-output", time=now, import_path=path, output=f"{line}\n")
        events = found.setdefault(path, [])
        at = len(events) - 1 if events and events[-1].action == "build-fail" else len(events)
        events.insert(at, row)


def _binary_name(toolchain: GoToolchain, run: PackageRun) -> str:
    return _detail(run).binary_name + toolchain.variables.get("GOEXE", "")


def _detail(run: PackageRun) -> GoPackage:
    detail = run.package.detail
    assert isinstance(detail, GoPackage)
    return detail
