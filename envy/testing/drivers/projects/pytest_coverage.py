"""Coverage of pytest, by the package `coverage` of the environment that pytest runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.measuring import folder_of, new_file, read_traces
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools
from envy.testing.drivers.projects.python_program import find_pytest, interpreter_of

_OF_TESTS = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$|^(?:tests?|\.venv|venv)/")
_OLDEST = (6, 3)  # the first that writes tracefiles
_ASKS = (
    "import coverage, importlib.util as u; "
    "print(*coverage.version_info[:2], int(u.find_spec('pytest_cov') is not None))"
)
_REQUIREMENTS = '{ "pytest", "coverage" }'


def check_coverage(project: SuiteProject, tools: Tools) -> None:
    """Check that the environment of pytest can measure coverage.

    Raises:
        NotTestable: it cannot.
    """
    _asked(project, tools)


def measuring_words(project: SuiteProject, tools: Tools, argv: Sequence[str]) -> list[str]:
    """Return the words of a pytest that runs under coverage; its own plugin must not measure, too.

    Raises:
        NotTestable: the environment cannot measure coverage.
    """
    python, has_plugin = _asked(project, tools)
    data = new_file(project, tools, ".data")
    # `-m pytest` would put the working folder on sys.path, which a script of pytest does not.
    is_module = list(argv[1:3]) == ["-m", "pytest"]
    words = [python, "-m", "coverage", "run", f"--data-file={data}"]
    words += argv[1:] if is_module else argv
    return [*words, *(["--no-cov"] if has_plugin else [])]


def covered_by_pytest(project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
    """Return what all processes of a project covered.

    Raises:
        NotTestable: coverage cannot tell; ScriptFailed: it cannot be run.
    """
    folder = folder_of(project, tools)
    parts = sorted(str(path) for path in folder.glob("*.data*"))
    if not parts:
        return {}
    python, _ = _asked(project, tools)
    whole, trace = folder / "whole", folder / "whole.info"
    for words in (
        ["combine", "--quiet", "--keep", f"--data-file={whole}", *parts],
        ["lcov", "--ignore-errors", f"--data-file={whole}", "-o", str(trace)],
    ):
        completed = tools.capture(
            [python, "-m", "coverage", *words],
            cwd=project.directory,
            environment=tools.environment_of(project),
            label=project.settings.name,
        )
        said = (completed.stdout + completed.stderr).decode("utf-8", "replace").strip()
        if completed.exit_code and "No data to report" in said:
            return {}
        if completed.exit_code and (words[0] == "combine" or not trace.exists()):
            raise NotTestable(f"coverage {words[0]} failed: {said}")
    return read_traces(
        project, tools, ending=".info", counts=lambda path: _OF_TESTS.search(path) is None
    )


def _asked(project: SuiteProject, tools: Tools) -> tuple[str, bool]:
    python = interpreter_of(find_pytest(project, tools)[0])
    completed = tools.capture(
        [python, "-c", _ASKS],
        cwd=project.directory,
        environment=tools.environment_of(project),
        label=project.settings.name,
    )
    words = completed.stdout.decode("ascii", "replace").split()
    if completed.exit_code or len(words) != 3:
        raise NotTestable(
            f"--coverage needs the package coverage beside pytest, and {python} has none",
            hint=f"install it there: {python} -m pip install coverage; from envy.lua, "
            f"requirements = {_REQUIREMENTS}",
        )
    if (int(words[0]), int(words[1])) < _OLDEST:
        raise NotTestable(
            f"--coverage needs coverage 6.3 or later, and {python} has {words[0]}.{words[1]}",
            hint=f"{python} -m pip install --upgrade coverage",
        )
    return python, words[2] == "1"
