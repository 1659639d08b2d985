"""pip's configuration, read from its files without starting pip, which takes half a second.

pip documents the files and their order: those of the machine, of the user, of the environment that
pip is installed in, and the one that PIP_CONFIG_FILE names. Where it is not certain which files a
pip would read, nothing is returned, and pip has to be asked.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.errors import FetchError
from envy.limits import REGISTRY_DOCUMENT

_NAMES = ("pip", "pip3")
_MODULES = ("lib/python3*/site-packages", "lib/python3*/dist-packages")
_SOURCE = "pip/_internal/models/index.py"
_DEFAULT = re.compile(r"""^PyPI = PackageIndex\(\s*['"]([a-z]+://[^'"\s]+/)['"]""", re.MULTILINE)
# A script begins with its interpreter; where that has a long path, a shell starts it.
_INTERPRETER = re.compile(
    r"""#!\s*(\S+)[ \t]*(\S*)[^\n]*\n(?:'''exec' (?:"([^"\n]+)"|'([^'\n]+)'|(\S+)) )?"""
)


def pip_prefixes(environment: Mapping[str, str]) -> list[Path]:
    """Return the folder of the environment of the user's pip; several if it is one of them.

    Empty if that cannot be known.
    """
    path = environment.get("PATH", "")
    found = next(filter(None, (shutil.which(name, path=path) for name in _NAMES)), None)
    if found is None or sys.platform == "win32":
        return []
    pip = Path(found)
    versions = pip.parent.parent / "versions"
    if pip.parent.name == "shims" and versions.is_dir():
        # A version manager chooses among these, and the system's.
        return [*sorted(versions.iterdir()), Path("/usr"), Path("/usr/local")]
    interpreter = _interpreter(pip, path)
    if interpreter is None:
        return []
    prefix = interpreter.parent.parent
    is_prefix = (prefix / "pyvenv.cfg").exists() or any(prefix.glob("lib/python3*/os.py"))
    return [prefix] if prefix != Path("/") and is_prefix else []


def _interpreter(script: Path, path: str) -> Path | None:
    """Return the Python that starts a script; None if that is not certain."""
    try:
        with script.open("rb") as file:
            head = file.read(2000).decode("utf-8", "replace")
    except OSError:
        return None
    found = _INTERPRETER.match(head)
    if found is None:
        return None
    program, argument, *started = found.groups()
    if Path(program).name == "env":
        program = shutil.which(argument, path=path) or ""
    python = Path(next(filter(None, started), program))
    is_certain = python.is_absolute() and python.parent.name != "shims"
    return python if is_certain and python.name.startswith("python") else None


def pip_files(environment: Mapping[str, str]) -> list[Path] | None:
    """Return the configuration files of the user's pip, later ones winning; None if unknown."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(environment.get("HOME", ""))
    prefixes = pip_prefixes(environment)
    if not prefixes or not home.is_absolute():
        return None
    sites = [prefix / "pip.conf" for prefix in prefixes]
    if len(sites) > 1:
        if any(site.exists() for site in sites):
            return None  # only pip knows which one is its own
        sites = []
    files = _machine_files(environment)
    if not (named and Path(named).exists()):
        files += [home / ".pip" / "pip.conf", _user_folder(environment, home) / "pip.conf"]
    return [*files, *sites, *([Path(named)] if named else [])]


def _machine_files(environment: Mapping[str, str]) -> list[Path]:
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip/pip.conf")]
    listed = environment.get("XDG_CONFIG_DIRS", "")
    folders = (listed if listed.strip() else "/etc/xdg").split(os.pathsep)
    return [*(Path(folder) / "pip" / "pip.conf" for folder in folders), Path("/etc/pip.conf")]


def _user_folder(environment: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "darwin":
        folder = home / "Library" / "Application Support" / "pip"
        return folder if folder.is_dir() else home / ".config" / "pip"
    settings = environment.get("XDG_CONFIG_HOME", "")
    return (Path(settings) if settings.strip() else home / ".config") / "pip"


def read_settings(files: Iterable[Path], sections: Iterable[str]) -> dict[str, str]:
    """Return the settings in some sections of pip's files; later files and sections win.

    Raises:
        FetchError: a file cannot be read, or pip could not read it.
    """
    values: dict[tuple[str, str], str] = {}
    for path in files:
        values.update(_read(path))
    return {
        name: value.strip()
        for wanted in sections
        for (section, name), value in values.items()
        if section == wanted and value
    }


def _read(path: Path) -> dict[tuple[str, str], str]:
    import configparser
    import locale

    parser = configparser.RawConfigParser()
    try:
        content = read_plain(str(path), REGISTRY_DOCUMENT).decode(locale.getencoding())
        parser.read_string(content, str(path))
    except FileNotFoundError:
        return {}
    except (configparser.Error, UnicodeError, NotPlain, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise FetchError(
            f"pip's configuration file {path} cannot be read: {reason}",
            uri="pypi:",
            hint="correct it (`pip config debug` lists all files), or set PIP_INDEX_URL",
        ) from error
    return {
        (section, name.lower().replace("_", "-").removeprefix("--")): value or ""
        for section in parser.sections()
        for name, value in parser.items(section)
    }


def default_index(environment: Mapping[str, str]) -> str:
    """Return the index that pip takes packages from by default, as its modules name it; or ""."""
    found = set()
    for prefix in pip_prefixes(environment):
        for source in (source for each in _MODULES for source in prefix.glob(f"{each}/{_SOURCE}")):
            try:
                text = read_plain(str(source), REGISTRY_DOCUMENT).decode("utf-8", "replace")
            except (OSError, NotPlain):
                return ""
            match = _DEFAULT.search(text)
            found.add(f"{match[1]}simple" if match else "")
    return found.pop() if len(found) == 1 else ""
