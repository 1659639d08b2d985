"""The texts of launchers: scripts that run a program of a project by its name, without Python.

A launcher has no path of the machine, so that it can be committed. What belongs to this machine is
in `.envy/stamp`, a script that the launcher reads: it runs the program, or does nothing; then the
launcher leaves the rest to `envy run`. The time of the stamp is that at which its sync began, and
it is one file, so that it always says what one sync found.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from envy.answers.machine_programs import LAUNCHER_HEAD

_LAUNCHER = """\
{head}
# Runs a program of this project. `envy sync` writes this file; it may be committed.
_envy_file=$0
if [ -h "$0" ]; then
  _envy_file=$(readlink -f -- "$0" && echo .) || exit 126
  _envy_file=${{_envy_file%??}}
fi
case $_envy_file in
  /*) _envy={up_absolute} ;;
  */*) _envy=./{up_absolute} ;;
  *) _envy=./{up} ;;
esac
_envy_name={name}
_envy_root=
if [ -r "$_envy/.envy/stamp" ]; then
  . "$_envy/.envy/stamp"
fi
_envy=$(CDPATH= cd -- "$_envy" && pwd -P && echo .) || exit 126
_envy=${{_envy%??}}
if [ "$_envy_name" != envy ] && command -v envy >/dev/null 2>&1; then
  _envy_program=envy
elif [ -x "$_envy/.envy/envy" ]; then
  _envy_program=$_envy/.envy/envy
elif [ -x "$_envy/envyw" ]; then
  _envy_program=$_envy/envyw
else
  printf '%s\\n' "error: $_envy_name is a program of $_envy, and there is no envy on PATH" \\
    "  hint: install envy, and run: envy sync" >&2
  exit 127
fi
if [ -n "$_envy_root" ]; then
  set -- --cache-root "$_envy_root" -- "$_envy_name" "$@"
else
  set -- -- "$_envy_name" "$@"
fi
exec "$_envy_program" run --manifest "$_envy/"{manifest} "$@"
"""

_STAMP_HEAD = """\
# Read by the launchers of this project. `envy sync` writes this file.
"""

# Puts folders before those of a variable, each folder once.
_JOIN = """\
_envy_join() {
  _envy_all=$1
  _envy_rest=${2:+$2:}
  while [ -n "$_envy_rest" ]; do
    _envy_one=${_envy_rest%%:*}
    _envy_rest=${_envy_rest#*:}
    case ":$_envy_all:" in
      *":$_envy_one:"*) ;;
      *) _envy_all=$_envy_all:$_envy_one ;;
    esac
  done
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a stamp says: programs by name, what they run with, and what must be unchanged.

    The programs run as long as all `markers` exist, no file of `files` is newer than the stamp,
    and those of `absent` do not exist. `missing` are the packages that are not installed, by key.
    """

    programs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    markers: Sequence[str] = ()
    files: Sequence[str] = ()
    absent: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherCache:
    """The cache that launchers use while ENVY_CACHE_ROOT is `variable`.

    `chosen` is the root that --cache-root named; "" if it is what envy finds by itself.
    """

    variable: str = ""
    chosen: str = ""


def launcher_head(folder: str, manifest: str) -> str:
    """Return the first lines of the launchers of a project, without a newline at the end.

    `folder` is that of the launchers, relative to the project, and `manifest` a file name.
    """
    up = "../" * (folder.count("/") + 1)
    return LAUNCHER_HEAD.decode("ascii") + ascii(f"{up}{manifest}")


def launcher_text(name: str, folder: str, manifest: str) -> str:
    """Return the launcher of a program."""
    up = "/".join([".."] * (folder.count("/") + 1))
    return _LAUNCHER.format(
        head=launcher_head(folder, manifest),
        up=up,
        up_absolute="${_envy_file%/*}/" + up,
        name=shlex.quote(name),
        manifest=shlex.quote(manifest),
    )


def stamp_text(stamp: str, launch: Launch, cache: LauncherCache) -> str:
    """Return the text of the file `stamp`."""
    quoted = shlex.quote(stamp)
    checks = [
        f'[ "${{ENVY_CACHE_ROOT-}}" = {shlex.quote(cache.variable)} ]',
        # A copy of the project has another stamp.
        f'[ "$_envy/.envy/stamp" -ef {quoted} ]',
    ]
    text = _STAMP_HEAD
    if cache.chosen:
        text += f"if {' && '.join(checks)}; then\n  _envy_root={shlex.quote(cache.chosen)}\nfi\n"
    if not launch.programs:
        return text
    checks += [
        '[ -x "$_envy_program" ]',
        *(f"[ -e {shlex.quote(path)} ]" for path in launch.markers),
        # A shell may call a file newer than one that is missing.
        *(f"[ -e {path} ] && [ {quoted} -nt {path} ]" for path in map(shlex.quote, launch.files)),
        *(f"[ ! -e {shlex.quote(path)} ]" for path in launch.absent),
    ]
    cases = "".join(
        f"  {shlex.quote(name)}) _envy_program={shlex.quote(program)} ;;\n"
        for name, program in sorted(launch.programs.items())
    )
    condition = " &&\n  ".join(checks)
    return (
        f"{text}{_JOIN}case $_envy_name in\n{cases}  *) _envy_program= ;;\nesac\n"
        f"if {condition}; then\n{''.join(_settings(launch))}"
        '  exec "$_envy_program" "$@"\nfi\n'
    )


def _settings(launch: Launch) -> Iterable[str]:
    for name, value in launch.variables.items():
        yield f"  export {name}={shlex.quote(value)}\n"
    for name, folders in launch.folders.items():
        if folders:
            first = shlex.quote(os.pathsep.join(folders))
            yield f'  _envy_join {first} "${{{name}-}}"\n  export {name}="$_envy_all"\n'
