"""What a test has scripted: responses of servers and registries, and answers of programs.

Guarantees
  Nothing is requested from elsewhere: what is not scripted fails, and says how to script it.
  A program of a user-managed recipe, or of a fetch, is started only if the test allows that.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.declarations.sources import Scheme, SourceItem, file_name, local_path, scheme_of
from envy.errors import DigestMismatch, EnvyError, FetchError
from envy.host.process import Completed, ProcessSpec
from envy.transport.context import Fetched
from envy.transport.target import make_executable, target_in

_MOST_CALLS = 10_000
_TIME = 315532800  # of the members of archives: 1980, the first that a zip can have


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a source is: a file, the files of an archive or a repository, or a failure."""

    content: bytes | None = None
    files: Mapping[str, bytes] | None = None
    executable: frozenset[str] = frozenset()
    error: str = ""
    wrong_digest: bool = False
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAnswer:
    """What a program prints, and how it ends."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)  # that it writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A program or script that a recipe ran, or that was answered."""

    command: str
    text: str  # of a script; the words of a program
    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    recipe: str
    phase: str
    exit_code: int = 0
    answered: bool = False


Reply = Callable[[Call], ProgramAnswer]


class ScriptedTransport:
    """Takes the place of the transports of one test; used by several threads."""

    def __init__(self, test: str) -> None:
        self._test = test
        self._served: dict[str, Served] = {}
        self._lock = threading.Lock()
        self.requests: list[str] = []
        self.read: set[str] = set()  # files and folders of this machine

    def serve(self, uri: str, served: Served) -> None:
        """Let a source be this, from now on."""
        with self._lock:
            self._served[uri] = served

    def fetch(self, item: SourceItem, into: Path) -> Fetched | None:
        """Return what a source is; None for a file of this machine that is not scripted."""
        served = self._find(item)
        if served is None:
            with self._lock:
                self.read.add(str(local_path(item)))
            return None
        if served.error:
            raise FetchError(f"cannot fetch {item.source}: {served.error}", uri=item.source)
        if served.wrong_digest:
            raise DigestMismatch(
                uri=item.source,
                algorithm="sha256",
                expected=item.sha256 or "(none)",
                actual=hashlib.sha256(b"another content").hexdigest(),
            )
        return _write(item, served, into)

    def commit_of(self, item: SourceItem) -> str:
        """Return the commit of a repository: that of the test, or one made of its ref."""
        served = self._find(item)
        if served is not None and served.error:
            raise FetchError(f"cannot fetch {item.source}: {served.error}", uri=item.source)
        given = served.commit if served is not None else ""
        return given or hashlib.sha1(item.ref.encode()).hexdigest()  # noqa: S324 - as git's

    def _find(self, item: SourceItem) -> Served | None:
        with self._lock:
            self.requests.append(item.source)
            served = self._served.get(item.source)
        if served is not None or scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE}:
            return served
        raise FetchError(
            f"{self._test} has no response for {item.source}, and a test of a recipe requests "
            "nothing from the network",
            uri=item.source,
            hint=f't.serve("{item.source}", "content"), {{ files = {{ … }} }} or {{ error = "…" }}',
        )


def _write(item: SourceItem, served: Served, into: Path) -> Fetched:
    """Write what a source is. It has the digest that the recipe declares, whatever that is."""
    scheme = scheme_of(item.source)
    target = target_in(into, file_name(item) or _registry_name(item))
    if served.files is not None and (scheme is Scheme.GIT or _is_folder(item, scheme)):
        write_files(target, served.files, served.executable)
        size, digest = sum(map(len, served.files.values())), ""
    else:
        content = served.content if served.content is not None else archive_of(target.name, served)
        target.write_bytes(content)
        size, digest = len(content), item.sha256 or hashlib.sha256(content).hexdigest()
        if item.is_executable:
            make_executable(target)
    return Fetched(path=target, bytes=size, sha256=digest, uri=item.source, verified=True)


def _registry_name(item: SourceItem) -> str:
    """Return the name that a registry would give to a file."""
    text = item.source.partition(":")[2]
    if scheme_of(item.source) is Scheme.PYPI:
        name, _, version = text.partition("==")
        if item.kind == "sdist":
            return f"{name}-{version}.tar.gz"
        return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    name, _, version = text.rpartition("@")
    return f"{name.rpartition('/')[2]}-{version}.tgz"


def _is_folder(item: SourceItem, scheme: Scheme) -> bool:
    endings = (".zip", ".whl", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst")
    return scheme in {Scheme.LOCAL, Scheme.FILE} and not item.source.endswith(endings)


def archive_of(name: str, served: Served) -> bytes:
    """Return an archive with the files of a response: a zip, or a tar of the kind its name says.

    With any other name it is a tar.gz, which is recognised by its content.
    """
    stream = io.BytesIO()
    rows = sorted((served.files or {}).items())
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(stream, "w") as archive:
            for path, content in rows:
                info = zipfile.ZipInfo(path)
                info.external_attr = (0o100000 | _mode(path, content, served.executable)) << 16
                archive.writestr(info, content)
        return stream.getvalue()
    kinds = {".tar": "w", ".xz": "w:xz", ".bz2": "w:bz2"}
    mode = next((kind for ending, kind in kinds.items() if name.endswith(ending)), "w:gz")
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for path, content in rows:
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), _TIME
            member.mode = _mode(path, content, served.executable)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _mode(path: str, content: bytes, executable: frozenset[str]) -> int:
    return 0o755 if path in executable or content.startswith(b"#!") else 0o644


def write_files(
    folder: Path, files: Mapping[str, bytes], executable: frozenset[str] = frozenset()
) -> None:
    """Write files below a folder.

    Raises:
        EnvyError: a path leads outside of the folder.
    """
    for name, content in files.items():
        parts = Path(name).parts
        if not parts or ".." in parts or Path(name).is_absolute():
            raise EnvyError(f"{name!r} is not a path below the folder of a response")
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode(name, content, executable)
        keeps_mode = path.exists() and mode == 0o644
        path.write_bytes(content)
        if not keeps_mode:
            path.chmod(mode)


class ScriptedPrograms:
    """Answers in place of the programs of one test; used by several threads."""

    def __init__(self, test: str, *, may_run: Callable[[str, str], str]) -> None:
        """`may_run` returns why a program of a recipe and phase is not started; "" if it is."""
        self._test = test
        self._may_run = may_run
        self._replies: list[tuple[str, Reply]] = []
        self._lock = threading.Lock()
        self.calls: list[Call] = []

    def answer(self, part: str, reply: Reply) -> None:
        """Answer commands that contain a text; of several answers, the last that fits counts."""
        self._replies.insert(0, (part, reply))

    def __call__(self, spec: ProcessSpec) -> Completed | None:
        """ProgramAnswer a program; None if it has to run."""
        call = _call_of(spec)
        if not call.recipe:
            return None  # a question of envy's own, such as what a compiler finds where
        reply = next((reply for part, reply in self._replies if part in call.text), None)
        if reply is None:
            refusal = self._may_run(call.recipe, call.phase)
            if refusal:
                raise EnvyError(
                    f"{self._test} has no answer for `{call.command}`, and {refusal}",
                    hint=f't.answer("{_first_word(call)}", {{ exit_code = 0, stdout = "…" }}), or '
                    "t.allow_programs() to start it",
                )
            self._note(call)
            return None
        answer = reply(call)
        self._note(call, answer)
        write_files(spec.cwd, answer.files)
        data = {"stdout": answer.stdout, "stderr": answer.stderr}
        told = {name: text.encode("utf-8", "surrogateescape") for name, text in data.items()}
        for stream, chunk in told.items():
            if chunk and spec.on_output is not None:
                spec.on_output(stream, chunk)
        if not spec.capture:
            return Completed(exit_code=answer.exit_code)
        return Completed(exit_code=answer.exit_code, stdout=told["stdout"], stderr=told["stderr"])

    def _note(self, call: Call, answer: ProgramAnswer | None = None) -> None:
        with self._lock:
            if len(self.calls) >= _MOST_CALLS:
                raise EnvyError(f"{self._test} ran more than {_MOST_CALLS} programs")
            self.calls.append(
                call
                if answer is None
                else Call(
                    command=call.command,
                    text=call.text,
                    argv=call.argv,
                    cwd=call.cwd,
                    environment=call.environment,
                    recipe=call.recipe,
                    phase=call.phase,
                    exit_code=answer.exit_code,
                    answered=True,
                )
            )


def _call_of(spec: ProcessSpec) -> Call:
    recipe, _, phase = spec.label.rpartition(": ")
    argv = tuple(spec.argv)
    is_script = _is_script(argv)
    return Call(
        command=spec.command,
        text=argv[-1] if is_script else " ".join(argv),
        argv=argv,
        cwd=spec.cwd,
        environment=spec.environment,
        recipe=recipe,
        phase=phase.partition(" ")[0],
    )


def _is_script(argv: Sequence[str]) -> bool:
    return len(argv) > 2 and argv[-2] in {"-c", "-Command"} and argv[0] in {"bash", "sh", "pwsh"}


def _first_word(call: Call) -> str:
    return call.command.partition(" ")[0].rpartition("/")[2]
