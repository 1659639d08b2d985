"""The pytest of a project, and the Python environment that it runs in."""

from __future__ import annotations

import os
from pathlib import Path

from envy.testing.drivers.projects.inputs import program_rows
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools
from envy.testing.evidence import FILE, LISTING

_ENVIRONMENTS = (".venv", "venv")
_TOPS = (".git", "envy.lua")
_LINE = '{ recipe = "envy.python@r1", options = { requirements = { "pytest" } } }'
ADD_PYTEST = f"add it to envy.lua: packages = {{ {_LINE} }}"


def find_pytest(project: SuiteProject, tools: Tools) -> list[str]:
    """Return the command of pytest: the manifest's, that of the project's `.venv`, or on PATH.

    Raises:
        NotTestable: there is none.
    """
    provided = tools.find_program("pytest", project)
    if provided is not None and tools.is_provided(provided):
        return [provided]
    for folder in _environments(project):
        for name, words in (("pytest", ()), ("python", ("-m", "pytest"))):
            place = folder / "bin" / name
            if place.is_file() and os.access(place, os.X_OK):
                return [str(place), *words]
    if provided is not None:
        return [provided]
    for name in ("python3", "python"):
        program = tools.find_program(name, project)
        if program is not None:
            return [program, "-m", "pytest"]
    raise NotTestable(
        f"there is no pytest for {project.folder}: none in the manifest's packages, in .venv or on "
        "PATH",
        hint=ADD_PYTEST,
    )


def _environments(project: SuiteProject) -> list[Path]:
    """Return the virtual environments of a project, and of the folders above it."""
    found = []
    for folder in (project.directory, *project.directory.parents):
        named = [folder / name for name in _ENVIRONMENTS]
        found += [place for place in named if (place / "pyvenv.cfg").is_file()]
        if any((folder / name).exists() for name in _TOPS):
            break
    return found


def environment_rows(program: str) -> list[tuple[str, str]]:
    """Return rows for the Python that a script runs in, and the distributions installed there.

    A distribution is identified by its RECORD; what was edited in place is not seen.
    """
    python = interpreter_of(program)
    rows = program_rows(python)
    prefix = Path(python).parent.parent
    rows.append((FILE, str(prefix / "pyvenv.cfg")))
    for pattern in ("lib/python3*/site-packages", "lib/python3/dist-packages"):
        for folder in sorted(prefix.glob(pattern)):
            rows.append((LISTING, str(folder)))
            rows += [
                (FILE, str(path))
                for end in ("*.dist-info/RECORD", "*.pth", "*.egg-link")
                for path in sorted(folder.glob(end))
            ]
    return rows


def interpreter_of(program: str) -> str:
    """Return the Python that a script starts; the program itself if it is none."""
    try:
        with Path(program).open("rb") as file:
            first = file.readline(1024)
    except OSError:
        return program
    if not first.startswith(b"#!"):
        return program
    words = first[2:].decode("utf-8", "replace").split()
    is_python = bool(words) and "python" in Path(words[0]).name
    return words[0] if is_python and Path(words[0]).is_absolute() else program
