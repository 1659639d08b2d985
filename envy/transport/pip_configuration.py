"""The indexes that the user's pip takes packages from.

Owns the reading of pip's settings: the environment first, then pip's configuration, then the
default that pip names. Files are read, and if that is not enough, pip is asked. So envy needs no
setting, and no address, of its own.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from envy.errors import FetchError, ScriptFailed
from envy.transport.addresses import check_address
from envy.transport.context import FetchContext
from envy.transport.pip_files import default_index, pip_files, read_settings

_PIPS = (["pip"], ["pip3"], ["python3", "-m", "pip"], ["python", "-m", "pip"], ["py", "-m", "pip"])
# Later ones win, as in pip itself; `:env:` is what pip found in its environment.
_SECTIONS = ("global", "download", ":env:")
_DEFAULT = re.compile(r"--index-url\s+<url>.*?\(default\s+(\S+?)\)", re.DOTALL)
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipConfiguration:
    """The indexes in the order of requests, and the file of trusted certificates."""

    indexes: tuple[str, ...]
    certificates: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipSettings:
    """What the user set; an `index` of "" is the default of pip, which is also that of uv."""

    pip: tuple[str, ...] = ()
    index: str
    extra: tuple[str, ...]
    certificates: str


def pip_settings(context: FetchContext) -> PipSettings:
    """Return what the user set for pip; read once for each context.

    Raises:
        FetchError: no index is in the environment, and pip cannot be run to ask it.
    """
    return context.memo.once("pip settings", lambda: _settings(context))


def pip_configuration(context: FetchContext) -> PipConfiguration:
    """Return pip's configuration; read once for each context.

    Raises:
        FetchError: neither the environment nor any pip names an index.
    """
    return context.memo.once("pip configuration", lambda: _find(context))


def unconfigured_index(context: FetchContext) -> str:
    """Return the index that pip uses where none is configured; "" if there is no pip to ask."""
    index = default_index(context.environment)
    if index:
        return index
    for pip in _PIPS:
        found = _DEFAULT.search(_output_of([*pip, "help", "download"], context) or "")
        if found is not None:
            return found[1]
    return ""


def _find(context: FetchContext) -> PipConfiguration:
    found = pip_settings(context)
    index = found.index or default_index(context.environment)
    index = index or _default_of([*found.pip] or _ask_pip(context)[0], context)
    for each in (index, *found.extra):
        check_address(each, "a package index of pip", hint="`pip config list` shows who says so")
    return PipConfiguration(indexes=(index, *found.extra), certificates=found.certificates)


def _settings(context: FetchContext) -> PipSettings:
    environment = context.environment
    pip: list[str] = []
    index = environment.get("PIP_INDEX_URL", "")
    extra = environment.get("PIP_EXTRA_INDEX_URL", "")
    certificates = environment.get("PIP_CERT", "")
    if not index:
        files = pip_files(environment)
        if files is None:
            pip, settings = _ask_pip(context)
        else:
            settings = read_settings(files, _SECTIONS)
        index = settings.get("index-url", "")
        extra = extra or settings.get("extra-index-url", "")
        certificates = certificates or settings.get("cert", "")
    return PipSettings(
        pip=tuple(pip), index=index, extra=tuple(extra.split()), certificates=certificates
    )


def _ask_pip(context: FetchContext) -> tuple[list[str], dict[str, str]]:
    for pip in _PIPS:
        output = _output_of([*pip, "config", "list"], context)
        if output is not None:
            return pip, parse_pip_settings(output)
    raise _no_index("no index for Python packages is configured, and pip cannot be run to ask it")


def parse_pip_settings(output: str) -> dict[str, str]:
    """Return the settings for downloads, from the output of `pip config list`."""
    settings: dict[str, str] = {}
    rows = [line.partition("=") for line in output.splitlines()]
    for section in _SECTIONS:
        for name, _, value in rows:
            if name.startswith(section + "."):
                settings[name.removeprefix(section + ".")] = _unquoted(value)
    return settings


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value)).strip()
    except (ValueError, SyntaxError):
        return value.strip()


def _default_of(pip: list[str], context: FetchContext) -> str:
    output = _output_of([*pip, "help", "download"], context) or ""
    found = _DEFAULT.search(output)
    if found is None:
        raise _no_index("pip does not name the index that it takes packages from")
    return found[1]


def _output_of(argv: list[str], context: FetchContext) -> str | None:
    context.check_cancelled()
    try:
        code, output, _ = context.run(argv, env=_environment(context.environment), timeout=_SECONDS)
    except ScriptFailed:
        return None
    return output.decode(errors="replace") if code == 0 else None


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    # Wide, so that no address is wrapped over two lines.
    return {
        **environment,
        "COLUMNS": "1000",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _no_index(message: str) -> FetchError:
    return FetchError(
        message, uri="pypi:", hint="set PIP_INDEX_URL to your package index, or install pip"
    )
