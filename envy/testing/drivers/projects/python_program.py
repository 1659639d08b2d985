"""The pytest of a project, and the Python environment that it runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from envy.testing.drivers.projects.inputs import TREE, path_rows, program_rows
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools
from envy.testing.evidence import FILE, LISTING

_ENVIRONMENTS = (".venv", "venv")
_TOPS = (".git", "envy.lua")
_SITES = frozenset({"site-packages", "dist-packages"})
# What version managers read, whose `pytest` and `python` on PATH are scripts.
_CHOSEN_IN = (".python-version", ".tool-versions", "mise.toml", ".mise.toml")
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


def search_rows(project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
    """Return rows for the places where a pytest is looked for, whether it is there or not."""
    environment = tools.environment_of(project)
    rows = path_rows("pytest", environment.get("PATH", ""), project.folder)
    for folder in (project.directory, *project.directory.parents):
        for name in _ENVIRONMENTS:
            place = f"{folder}/{name}"
            rows += [(FILE, f"{place}/pyvenv.cfg"), *program_rows(f"{place}/bin/pytest")]
        if any((folder / name).exists() for name in _TOPS):
            break
    for folder in (project.directory, *project.directory.parents, Path.home()):
        rows += [(FILE, f"{folder}/{name}") for name in _CHOSEN_IN]
    pyenv = environment.get("PYENV_ROOT") or f"{Path.home()}/.pyenv"
    return [*rows, (FILE, f"{pyenv}/version")]


def places_rows(places: Mapping[str, object], project: SuiteProject) -> list[tuple[str, str]]:
    """Return rows for what a Python says about itself: where it lies, and what it imports.

    Its standard library is identified by the program. With `inputs` in the manifest, files that are
    not installed do not count.
    """
    base, executable = str(places.get("base", "")), str(places.get("executable", ""))
    rows = program_rows(executable) if executable else []
    rows.append((FILE, f"{places.get('prefix', '')}/pyvenv.cfg"))
    own = f"{project.folder}/"
    apart: list[str] = [own]  # folders that need no other rows
    for folder in _texts(places.get("path")):
        name = os.path.basename(folder)  # noqa: PTH119
        if name in _SITES:
            rows += _site_rows(Path(folder))
        elif own.startswith(f"{folder}/"):
            continue  # it has the project, and may be the whole machine: what is imported counts
        elif not (folder.startswith(own) or _is_standard(folder, base)):
            rows.append((TREE, folder))
        apart.append(f"{folder}/")
    if project.settings.inputs is not None:
        return [row for row in rows if row[0] != TREE]
    for folder in _texts(places.get("namespaces")):
        inside = f"{folder}/"
        if not (inside.startswith(tuple(apart)) or own.startswith(inside)):
            rows.append((TREE, folder))
    for module in _texts(places.get("modules")):
        if not (module.startswith(tuple(apart)) or _is_standard(module, base)):
            folder, name = os.path.split(module)
            rows.append((TREE, folder) if name == "__init__.py" else (FILE, module))
    return list(dict.fromkeys(rows))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _is_standard(path: str, base: str) -> bool:
    """Return whether a path is in the standard library of a Python."""
    return path.startswith((f"{base}/lib/python", f"{base}/lib64/python"))


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
            rows += _site_rows(folder)
    return rows


def _site_rows(folder: Path) -> list[tuple[str, str]]:
    rows = [(LISTING, str(folder))]
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
