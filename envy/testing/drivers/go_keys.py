"""The keys of test binaries, computed from all sources, the toolchain and the flags.

The content of every file counts. The toolchain and the module cache have hundreds of packages that
do not change; their digests are remembered by the status of each file (`testing.digest_memo`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from blake3 import blake3

from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.limits import CACHE_FILE
from envy.testing.consulted import Unkept
from envy.testing.digest_memo import DigestMemo
from envy.testing.drivers.go_compilers import compilers_of
from envy.testing.drivers.go_list import GoPackage, built_files
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.evidence import is_settled, mark_of

DRIVER_VERSION = "go-5"


class KeyMaker:
    """Computes the keys of one run, which share the digests of packages.

    `shown` returns texts without the paths of this machine, for keys that are the same elsewhere.
    """

    def __init__(
        self,
        toolchain: GoToolchain,
        flags: Sequence[str],
        memo: DigestMemo,
        shown: Callable[[str], str] = str,
    ) -> None:
        programs = [f"{path} {memo.digest(path)}" for path in toolchain.programs]
        texts = [DRIVER_VERSION, toolchain.identity, *programs, *toolchain.build_facts, *flags]
        self._base = shown("\0".join(texts)).encode()
        self._shown = shown
        self._memo = memo
        self._toolchain = toolchain
        self._compilers: str | None = None  # of C; asked once a package needs one
        self._flags = [*toolchain.common_flags, *flags]
        self._directory = str(toolchain.directory)
        self._digests: dict[str, bytes] = {}
        self._modules: dict[str, bytes] = {}
        self._contents: dict[str, bytes] = {}
        self._sources: dict[str, list[str]] = {}  # of the user's packages, by import path
        self._marks: dict[str, str] = {}  # of each, before it was read
        self._unsettled: dict[str, str] = {}  # a source that changed; asked once all are built
        self._extra: bytes | None = None

    def key(self, package: GoPackage) -> str:
        """Return the key of a package's test binary."""
        digest = blake3(self._base)
        digest.update(package.binary_name.encode())
        if self._extra is None:
            self._extra = _files_of_flags(self._flags, self._directory)
        digest.update(self._extra)
        root = package.main or package.record["ImportPath"]
        digest.update(self._closure(root, package.records))
        return str(digest.hexdigest())

    def digest_of(self, path: str) -> str:
        """Return the digest of a source, as text."""
        return self._content(path).hex()

    def are_unchanged(self, paths: Iterable[str]) -> bool:
        """Return whether the sources of these packages are those that the keys are made of."""
        return all(
            mark_of(source) == self._marks[source]
            for path in paths
            for source in self._sources.get(path, ())
        )

    def check_settled(self, paths: Iterable[str], since: int) -> None:
        """Check that no source of these packages changed since a moment, in nanoseconds.

        Raises:
            Unkept: one did, and may have been built with another content than its key says.
        """
        for path in paths:
            if path not in self._unsettled:
                sources = self._sources.get(path, ())
                found = (one for one in sources if not is_settled(mark_of(one), since))
                self._unsettled[path] = next(found, "")
            if self._unsettled[path]:
                raise Unkept(f"{self._unsettled[path]} changed just before the run, or during it")

    def _content(self, path: str) -> bytes:
        digest = self._contents.get(path)
        if digest is None:
            self._marks[path] = mark_of(path)
            digest = self._contents[path] = _content(path)
        return digest

    def _closure(self, root: str, records: Mapping[str, Mapping[str, Any]]) -> bytes:
        """Return the digest of a package and all its imports. Not recursive: chains are long."""
        stack = [root]
        begun: set[str] = set()
        while stack:
            path = stack[-1]
            row = records.get(path)
            if path in self._digests or row is None:
                self._digests.setdefault(path, path.encode())
                stack.pop()
                continue
            names = _imports(row)
            open_names = [name for name in names if name not in self._digests]
            if path not in begun and open_names:
                begun.add(path)
                stack += open_names
                continue
            # A name that is still open closes an import cycle, which the build reports.
            self._digests[path] = self._digest(row, names)
            stack.pop()
        return self._digests[root]

    def _digest(self, row: Mapping[str, Any], names: Sequence[str]) -> bytes:
        digest = blake3(row["ImportPath"].encode())
        module = row.get("Module") or {}
        is_fixed = row.get("Standard") or (module.get("Version") and not module.get("Replace"))
        folder = row.get("Dir", "")
        digest.update(self._shown(f"\0{folder}\0{row.get('Error')}\0").encode())
        if not row["ImportPath"].endswith(".test"):  # its only file is generated from the others
            for file in built_files(row):
                digest.update(f"{file}\0".encode())
                path = os.path.join(folder, file)  # noqa: PTH118  thousands of them
                digest.update(self._memo.digest(path).encode() if is_fixed else self._content(path))
                if not is_fixed:
                    self._sources.setdefault(row["ImportPath"], []).append(path)
        if row.get("CgoFiles"):
            if self._compilers is None:
                self._compilers = compilers_of(self._toolchain, self._memo)
            digest.update(self._shown(self._compilers).encode("utf-8", "surrogateescape"))
        if row.get("Name") == "main":
            digest.update(_content(f"{folder}/default.pgo"))
        if module.get("GoMod"):
            digest.update(self._module(module["GoMod"]))
        for name in names:
            digest.update(self._digests.get(name, b"cycle"))
        return bytes(digest.digest())

    def _module(self, go_mod: str) -> bytes:
        """Return the digest of go.mod, which sets the language version, and of the vendor list."""
        if go_mod not in self._modules:
            folder = os.path.dirname(go_mod)  # noqa: PTH120
            self._modules[go_mod] = _content(go_mod) + _content(f"{folder}/vendor/modules.txt")
        return self._modules[go_mod]


def _imports(row: Mapping[str, Any]) -> list[str]:
    renamed = row.get("ImportMap") or {}
    return [renamed.get(name, name) for name in row.get("Imports", ()) if name != "C"]


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return bytes(blake3(file.read()).digest())
    except OSError:
        return b"missing"


def _files_of_flags(flags: Sequence[str], directory: str) -> bytes:
    """Return the digests of files that flags name, and of those that an overlay names."""
    found = b""
    for flag in flags:
        name, _, value = flag.partition("=")
        name = f"-{name.lstrip('-')}"
        if name in {"-overlay", "-pgo", "-modfile"} and value:
            path = os.path.join(directory, value)  # noqa: PTH118
            found += _content(path)
            for replacement in _replacements(path) if name == "-overlay" else ():
                found += _content(os.path.join(directory, replacement))  # noqa: PTH118
    return found


def _replacements(path: str) -> list[str]:
    """Return the files that take the places of others; what is damaged is reported by the build."""
    try:
        row = parse_json(read_plain(path, CACHE_FILE))
        return sorted(str(value) for value in row["Replace"].values() if value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
