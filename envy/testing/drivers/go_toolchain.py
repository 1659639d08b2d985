"""The Go toolchain: finding it, its properties, and starting its programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.errors import EnvyError, ScriptFailed, UsageError
from envy.host.children import Children
from envy.host.process import Completed, ProcessSpec, run

# Variables that do not affect the binaries: paths of this machine, and settings of this run.
_IRRELEVANT = frozenset(
    {
        *("GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOGCCFLAGS", "GOPROXY", "GOSUMDB", "GONOSUMDB"),
        *("GONOPROXY", "GOPRIVATE", "GOENV", "GOTELEMETRY", "GOTELEMETRYDIR", "GOBIN", "GOAUTH"),
        *("GOVCS", "GOINSECURE", "GOPATH", "GOPACKAGESDRIVER", "GOCACHEPROG", "GOHOSTARCH"),
        "GOHOSTOS",
    }
)
_TOOLS = ("asm", "cgo", "compile", "link", "vet")
MANIFEST_LINE = 'packages = { "envy.go@r1" }'


@dataclass(frozen=True, slots=True, kw_only=True)
class GoToolchain:
    """A Go toolchain in one working directory."""

    program: Path
    root: Path
    version: tuple[int, ...]
    variables: Mapping[str, str]  # the output of `go env`
    environment: Mapping[str, str]  # the environment of its programs
    identity: str  # the version and the path
    programs: tuple[str, ...]  # whose content decides on what they compile
    has_markup: bool  # the testing package escapes its marks in the output of tests
    directory: Path
    children: Children
    package: str = ""  # of the manifest; "" if it is the first `go` on PATH

    def call(
        self,
        words: Sequence[str],
        *,
        on_output: Callable[[str, bytes], None] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run `go WORDS`; capture the output unless `on_output` takes it."""
        argv = [str(self.program), *words]
        return run(
            ProcessSpec(
                argv=argv,
                command="go " + " ".join(words[:3]),
                cwd=self.directory,
                environment=self.environment,
                children=self.children,
                label=f"go: {'build' if words[0] == 'test' else 'check'}",
                capture=on_output is None,
                on_output=on_output,
                timeout=timeout,
            )
        )

    @property
    def target(self) -> str:
        """The platform of its binaries, such as `linux/amd64`."""
        return f"{self.variables.get('GOOS')}/{self.variables.get('GOARCH')}"

    @property
    def is_native(self) -> bool:
        """Whether the target is this machine."""
        names = self.variables
        return self.target == f"{names.get('GOHOSTOS')}/{names.get('GOHOSTARCH')}"

    @property
    def version_text(self) -> str:
        """The version as text, such as `1.22.3`."""
        return ".".join(map(str, self.version))

    @property
    def builds_many(self) -> bool:
        """Whether one `go test -c` can build many packages."""
        return self.version >= (1, 21)

    @property
    def common_flags(self) -> list[str]:
        """The flags in GOFLAGS, which come before those of a command line."""
        text = self.variables.get("GOFLAGS", "")
        try:
            return shlex.split(text)
        except ValueError:
            return text.split()  # Go itself reports it

    @property
    def build_facts(self) -> list[str]:
        """The variables that affect the binaries, as `NAME=VALUE`."""
        return [
            f"{name}={value}"
            for name, value in sorted(self.variables.items())
            if name not in _IRRELEVANT
        ]


def find_go(environment: Mapping[str, str]) -> Path:
    """Return the `go` on PATH.

    Raises:
        NoToolchain: There is none; the hint is the line that the manifest needs.
    """
    found = shutil.which("go", path=environment.get("PATH", ""))
    if found is None:
        raise NoToolchain(
            "there is no Go toolchain: none in the manifest's packages, and none on PATH",
            hint=f"add one to envy.lua: {MANIFEST_LINE}",
        )
    return Path(found)


class NoToolchain(EnvyError):
    """Neither the manifest nor the machine provides a working Go toolchain."""

    exit_code = 3


def open_toolchain(
    program: Path,
    *,
    directory: Path,
    environment: Mapping[str, str],
    children: Children,
    package: str = "",
) -> GoToolchain:
    """Read the properties of a toolchain.

    Raises:
        UsageError: `go env` fails in this directory.
        NoToolchain: The program is not a Go toolchain, or cannot be run.
    """
    argv = [str(program), "env", "-json"]
    try:
        completed = run(
            ProcessSpec(
                argv=argv,
                command="go env -json",
                cwd=directory,
                environment=environment,
                children=children,
                label="go",
                capture=True,
            )
        )
    except ScriptFailed as error:
        raise NoToolchain(f"{program} cannot be run: {error.message}") from error
    if completed.exit_code:
        text = completed.stderr.decode("utf-8", "replace").strip()
        raise UsageError(f"go env failed: {text or f'exit code {completed.exit_code}'}")
    try:
        variables: dict[str, str] = json.loads(completed.stdout)
    except ValueError as error:
        raise NoToolchain(
            f"{program} is not a Go toolchain: `go env -json` wrote {completed.stdout[:40]!r}",
            hint=f"put Go first on PATH, or add it to envy.lua: {MANIFEST_LINE}",
        ) from error
    root = Path(variables["GOROOT"])
    return GoToolchain(
        program=program,
        root=root,
        version=_version(variables.get("GOVERSION") or _version_of(root)),
        variables=variables,
        environment=_with_own_path(environment, root),
        identity="\n".join([variables.get("GOVERSION", ""), str(root), _version_of(root)]),
        programs=_programs(root, variables),
        has_markup=_has_markup(root),
        directory=directory,
        children=children,
        package=package,
    )


def _with_own_path(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """Put this Go first on PATH, so that tests use it, as with `go test`."""
    path = os.pathsep.join(filter(None, [str(root / "bin"), environment.get("PATH", "")]))
    return {**environment, "PATH": path}


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"go(\d+(?:\.\d+)*)", text)
    # A development version is newer than any release.
    return tuple(int(part) for part in found[1].split(".")) if found else (99,)


def _version_of(root: Path) -> str:
    try:
        return (root / "VERSION").read_text(encoding="utf-8")
    except OSError:
        return ""


def _programs(root: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the programs that compile."""
    tools = Path(variables.get("GOTOOLDIR", ""))
    return tuple(map(str, (root / "bin" / "go", *(tools / name for name in _TOOLS))))


def _has_markup(root: Path) -> bool:
    try:
        return b"markErrBegin" in (root / "src" / "testing" / "testing.go").read_bytes()
    except OSError:
        return False
