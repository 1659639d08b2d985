"""The calls of cargo and rustc that find and build the tests of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.host.process import Completed
from envy.testing.drivers.projects.cargo.instrumenting import build_variables
from envy.testing.drivers.projects.cargo.messages import (
    CargoBuild,
    CargoFailed,
    CargoWorkspace,
    parse_build,
    parse_metadata,
)
from envy.testing.drivers.projects.project import SuiteProject, Tools

_OFFLINE = "--offline"


@dataclass(frozen=True, slots=True)
class Cargo:
    """The cargo of one project."""

    program: str
    project: SuiteProject
    tools: Tools

    def call(
        self, words: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
    ) -> Completed:
        """Run cargo, with more variables if there are any, and return what it wrote."""
        return self._run(self.program, [*words], folder, variables)

    def workspace(self) -> CargoWorkspace:
        """Return the workspace of the project.

        Raises:
            CargoFailed: cargo refuses it.
        """
        manifest = self.project.directory / "Cargo.toml"
        words = ["metadata", "--format-version", "1", "--no-deps", _OFFLINE]
        completed = self.call(
            [*words, "--manifest-path", str(manifest)], self.project.directory
        )  # fmt: skip
        if completed.exit_code:
            raise CargoFailed(f"cargo cannot read {manifest}: {complaint(completed)}")
        return parse_metadata(text_of(completed.stdout))

    def build(self, workspace: CargoWorkspace, words: Sequence[str]) -> tuple[CargoBuild, str]:
        """Build the tests that the words select; return the outcome, and what cargo said.

        What was fetched before is used without asking the network, if a lock file says what.
        """
        variables = {}
        if self.tools.coverage is not None:
            variables = build_variables(self.project, self.tools, workspace.target_folder)
        words = ["test", "--no-run", "--message-format=json", *words]
        words += ["--jobs", str(self.tools.build_jobs)]
        first = [_OFFLINE] if (workspace.root / "Cargo.lock").exists() else []
        completed = self.call([*words, *first], workspace.root, variables)
        if completed.exit_code and first and _lacks_network(completed):
            completed = self.call(words, workspace.root, variables)
        build = parse_build(text_of(completed.stdout))
        build.succeeded = completed.exit_code == 0
        return build, text_of(completed.stderr)

    def host_and_sysroot(self) -> tuple[str, str]:
        """Return the target triple of the compiler, and the folder of its libraries.

        Raises:
            CargoFailed: rustc cannot be run.
        """
        environment = self.tools.environment_of(self.project)
        program = environment.get("RUSTC") or self.tools.find_program("rustc", self.project)
        if not program:
            raise CargoFailed("there is a cargo on PATH, and no rustc")
        folder = self.project.directory
        said = []
        for words in (["-vV"], ["--print", "sysroot"]):
            completed = self._run(program, words, folder)
            if completed.exit_code:
                raise CargoFailed(f"rustc cannot be run: {complaint(completed)}")
            said.append(text_of(completed.stdout))
        hosts = [line[6:] for line in said[0].splitlines() if line.startswith("host: ")]
        return (hosts or [""])[0], said[1].strip()

    def version_of_rustc(self) -> str:
        """Return what rustc says of its version; "" if it cannot be run."""
        environment = self.tools.environment_of(self.project)
        program = environment.get("RUSTC") or self.tools.find_program("rustc", self.project)
        completed = self._run(program, ["-vV"], self.project.directory) if program else None
        return text_of(completed.stdout) if completed is not None else ""

    def _run(
        self,
        program: str,
        words: Sequence[str],
        folder: Path,
        variables: Mapping[str, str] | None = None,
    ) -> Completed:
        environment = self.tools.environment_of(self.project)
        return self.tools.capture(
            [program, *words],
            cwd=folder,
            environment={**environment, "CARGO_TERM_COLOR": "never", "PWD": str(folder)}
            | dict(variables or {}),
            label="cargo",
        )


def find_cargo(project: SuiteProject, tools: Tools) -> Cargo:
    """Return the cargo of a project.

    Raises:
        CargoFailed: There is none.
    """
    program = tools.find_program("cargo", project)
    if program is None:
        raise CargoFailed(
            f"the tests of {project.directory / 'Cargo.toml'} need cargo, and none is on PATH",
            hint="install Rust with rustup, or list a package in envy.lua that provides cargo",
        )
    return Cargo(program, project, tools)


def complaint(completed: Completed) -> str:
    """Return the error that a program wrote, as one line."""
    lines = [line.strip() for line in text_of(completed.stderr).splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error")]
    text = errors[0] if errors else (lines or [f"exit {completed.exit_code}"])[-1]
    following = lines[lines.index("Caused by:") + 1 :] if "Caused by:" in lines else []
    return f"{text}: {following[-1]}" if following else text


def text_of(data: bytes) -> str:
    """Return output as text."""
    return data.decode("utf-8", "replace")


def _lacks_network(completed: Completed) -> bool:
    said = completed.stderr
    return b"--offline" in said or b"offline was specified" in said or b"offline mode" in said
