"""The variables with which Rust is built to measure coverage, and with which it does."""

from __future__ import annotations

from pathlib import Path

from envy.testing.drivers.projects.measuring import folder_of
from envy.testing.drivers.projects.project import SuiteProject, Tools

_TARGET = "envy-coverage"  # the folder of these builds, below that of others
_FLAG = "-Cinstrument-coverage"


def build_variables(project: SuiteProject, tools: Tools, target: Path) -> dict[str, str]:
    """Return the variables with which cargo builds what measures; `target` is its usual folder."""
    environment = tools.environment_of(project)
    found = {"CARGO_TARGET_DIR": str(target / _TARGET), **listing_variables(project, tools)}
    encoded = environment.get("CARGO_ENCODED_RUSTFLAGS")
    if encoded is not None:  # comes before the other
        found["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(filter(None, [encoded, _FLAG]))
    else:
        found["RUSTFLAGS"] = " ".join(filter(None, [environment.get("RUSTFLAGS"), _FLAG]))
    return found


def listing_variables(project: SuiteProject, tools: Tools) -> dict[str, str]:
    """Return the variables of programs that are measured, too, but run no test: build scripts."""
    return {"LLVM_PROFILE_FILE": str(folder_of(project, tools) / "no-test.raw")}


def run_variables(project: SuiteProject, tools: Tools) -> dict[str, str]:
    """Return the variables with which a test binary writes what it covers."""
    return {"LLVM_PROFILE_FILE": str(folder_of(project, tools) / "%p-%m.profraw")}
