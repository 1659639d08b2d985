"""The files that the words for the linker of a native package name, and what they leave open.

A word without a dash is a file. Of `-lNAME`, each folder of `-L` may have it, by two names; files
that are missing count, too, since the first one that is there is linked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_OF_THE_SYSTEM = frozenset({"m", "pthread", "dl", "c", "rt"})
# Options whose files are not looked for, or that decide where others are found.
_OPEN = ("-B", "-T", "-fuse-ld", "-specs", "--specs", "--sysroot", "-isysroot", "--gcc-toolchain",
         "--just-symbols", "-R", "-rpath", "--rpath", "--script", "-plugin", "--plugin",
         "-fplugin", "-Xlinker", "-Xclang", "--ld-path", "-framework")  # fmt: skip
_SELF_CONTAINED = b"!<arch>\n"
_ELF, _RELOCATABLE = b"\x7fELF", (b"\1\0", b"\0\1")  # little and big endian


@dataclass(frozen=True, slots=True)
class LinkedFiles:
    """Paths of files, whether they are there or not, and words whose files are not known."""

    paths: tuple[str, ...] = ()
    open_words: tuple[str, ...] = ()


def linked_files(words: Sequence[str], folder: str) -> LinkedFiles:
    """Return what words name; relative paths are those of `folder`, where the linker runs."""
    folders: list[str] = []
    libraries: list[str] = []
    paths: list[str] = []
    left: list[str] = []
    rest = iter([part for word in words for part in _parts(word)])
    for part in rest:
        option, name = _split(part)
        if option:
            name = name or next(rest, "")
            if option == "-L":
                folders.append(_absolute(folder, name))
            else:
                libraries.append(name)
        elif part.startswith(("@", "-")):
            paths += _named_in(part, folder)
            if part.startswith(("@", *_OPEN)):
                left.append(part)
        elif part:
            paths.append(_absolute(folder, part))
    for name in libraries:
        found = [f"{place}/{file}" for place in folders for file in _files_of(name)]
        paths += found
        if name not in _OF_THE_SYSTEM and not any(map(os.path.isfile, found)):
            left.append(f"-l{name}")
    return LinkedFiles(tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(left)))


def _split(part: str) -> tuple[str, str]:
    """Return `-L` or `-l` and what follows in the same word; "" for other words."""
    for option, long in (("-L", "--library-path"), ("-l", "--library")):
        if part in {option, long}:
            return option, ""
        if part.startswith((option, f"{long}=")):
            return option, part.removeprefix(f"{long}=").removeprefix(option)
    return "", ""


def _parts(word: str) -> list[str]:
    """Return a word, or those that it hands to the linker."""
    return word.split(",")[1:] if word.startswith("-Wl,") else [word]


def _absolute(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118


def _files_of(name: str) -> list[str]:
    return [name[1:]] if name.startswith(":") else [f"lib{name}.so", f"lib{name}.a"]


def _named_in(part: str, folder: str) -> list[str]:
    """Return the file in an option such as `--version-script=FILE`, `-TFILE` or `@FILE`."""
    names = [part[1:]] if part.startswith("@") else [part[2:], part.partition("=")[2]]
    paths = [_absolute(folder, name) for name in names if name]
    return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113


def not_alone(paths: Iterable[str]) -> str:
    """Return the first file that may lead to others, as shared libraries and scripts do; or ""."""
    for path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                head = file.read(18)
        except OSError:
            continue  # a file that is missing leads nowhere
        is_object = head.startswith(_ELF) and head[16:18] in _RELOCATABLE
        if not (head.startswith(_SELF_CONTAINED) or is_object):
            return path
    return ""
