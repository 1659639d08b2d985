"""What a run of Go tests rests on: variables, the toolchain, modules, folders and sources.

Together with what the tests consulted, it decides whether an unchanged run can be answered without
starting Go. Whatever has a form that is not understood here makes the run unanswerable, and nothing
else: each package still has a result of its own.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from envy.cache.names import ASSET, MARKER
from envy.testing.basis import Basis, BuildUnit, Collector
from envy.testing.consulted import Unkept
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_list import GoPackage, built_files, own_files
from envy.testing.drivers.go_modules import replaced_folders, used_folders
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.evidence import FILE, FOLDER, LISTING, NAMES, REAL, VARIABLE
from envy.testing.package import TestPackage

# Variables that decide what is built or found, beside all with one of these prefixes.
PREFIXES = ("GO", "CGO_", "PKG_CONFIG", "ENVY_")
VARIABLES = (
    *("AR", "CC", "COMPILER_PATH", "CPATH", "CPLUS_INCLUDE_PATH", "CXX", "C_INCLUDE_PATH", "FC"),
    *("GCC_EXEC_PREFIX", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "PATH", "PWD"),
    *("SDKROOT", "TMPDIR", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "ZONEINFO"),
)
TIME_ZONE = "/etc/localtime"  # package time opens it without a trace
# What the runtime and the linker of a test binary read without leaving a trace in its log.
OF_THE_RUNTIME = (
    *("GOCOVERDIR", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOROOT"),
    *("GOTRACEBACK", "LD_LIBRARY_PATH", "LD_PRELOAD", "TZ", "ZONEINFO"),
)
_EVERYTHING = frozenset({"all", "work"})
_EMBEDDED = ("EmbedFiles", "TestEmbedFiles", "XTestEmbedFiles")
_IGNORED = ("IgnoredGoFiles", "IgnoredOtherFiles")


def find_basis(
    toolchain: GoToolchain,
    packages: Sequence[TestPackage],
    patterns: Sequence[str],
    flags: GoFlags,
    environment: Mapping[str, str],
    *,
    since: int,
) -> Basis:
    """Return what the run rests on; `environment` is that of envy itself."""
    found = _Finder(toolchain, environment, since)
    try:
        found.add_variables()
        found.add_toolchain()
        found.add_modules(flags.build)
        found.add_programs_of_cgo()
        found.add_patterns(patterns)
        found.add_packages(packages)
    except Unkept as error:
        return Basis(unkept=str(error))
    return Basis(facts=found.rows.facts, trees=found.trees)


def units_of(packages: Sequence[TestPackage], digest: Any) -> dict[str, BuildUnit]:
    """Return the user's own packages as units, by import path; `digest` gives that of a file."""
    units: dict[str, BuildUnit] = {}
    for row in _records(packages).values():
        if is_fixed(row):
            continue
        renamed = row.get("ImportMap") or {}
        names = [] if _is_generated(row) else built_files(row)
        files = [f"{row.get('Dir', '')}/{name}" for name in names]
        units[row["ImportPath"]] = BuildUnit(
            uses=tuple(renamed.get(name, name) for name in row.get("Imports", ())),
            files={path: digest(path) for path in files},
        )
    return units


def is_fixed(row: Mapping[str, Any]) -> bool:
    """Return whether a package is Go's own, or lies in the module cache."""
    module = row.get("Module") or {}
    return bool(row.get("Standard") or (module.get("Version") and not module.get("Replace")))


def _records(packages: Sequence[TestPackage]) -> Mapping[str, Mapping[str, Any]]:
    detail = packages[0].detail if packages else None
    return detail.records if isinstance(detail, GoPackage) else {}


def _is_generated(row: Mapping[str, Any]) -> bool:
    return row.get("Name") == "main" and str(row["ImportPath"]).endswith(".test")


class _Finder:
    def __init__(self, toolchain: GoToolchain, environment: Mapping[str, str], since: int) -> None:
        self.rows = Collector(environment, since)
        self.trees: list[str] = []
        self._toolchain = toolchain
        self._environment = environment
        self._here = str(toolchain.directory)
        self._roots: list[str] = []  # folders of toolchains
        self._modules: list[str] = []  # folders of the user's modules

    def add_variables(self) -> None:
        names = {name for name in self._environment if name.startswith(PREFIXES)}
        self.rows.add(NAMES, " ".join(PREFIXES))
        for name in sorted(names | set(VARIABLES)):
            self.rows.add(VARIABLE, name)
        settings = self._toolchain.variables.get("GOENV", "")
        if settings not in {"", "off"}:
            self.rows.add(FILE, settings)
        self.rows.add(REAL, TIME_ZONE)
        self.rows.add(FILE, TIME_ZONE)

    # -- the toolchain ---------------------------------------------------------------------------

    def add_toolchain(self) -> None:
        program = str(self._toolchain.program)
        path = self._environment.get("PATH", "")
        if not self._toolchain.package:
            found = self.rows.add_program("go", path, self._here)
            if found is None or os.path.realpath(found) != os.path.realpath(program):
                raise Unkept("PATH does not lead to go")
        else:
            self.rows.add(REAL, program)
        real = os.path.realpath(program)
        for root in {os.path.dirname(os.path.dirname(real)), str(self._toolchain.root)}:
            self._add_root(os.path.realpath(root))
            self._roots.append(root)

    def _add_root(self, root: str) -> None:
        entry, name = os.path.split(root)
        marker = f"{entry}/{MARKER}"
        self._roots.append(root)
        if name == ASSET and os.path.isfile(marker):
            self.rows.add(FILE, marker)
        elif os.path.isfile(f"{root}/VERSION") and os.path.isdir(f"{root}/pkg/tool"):
            self.trees.append(root)
        else:
            # A version manager, say, whose choice depends on more than this.
            raise Unkept(f"{self._toolchain.program} is no toolchain itself, but starts one")

    def add_programs_of_cgo(self) -> None:
        names = self._toolchain.variables
        if names.get("CGO_ENABLED") != "1":
            return
        path = self._toolchain.environment.get("PATH", "")
        for name in ("CC", "CXX", "PKG_CONFIG"):
            for word in shlex.split(names.get(name, ""))[:2]:
                if not word.startswith("-"):
                    self.rows.add_program(word, path, self._here)

    # -- modules ---------------------------------------------------------------------------------

    def add_modules(self, flags: Sequence[str]) -> None:
        names = self._toolchain.variables
        module, work = names.get("GOMOD", ""), names.get("GOWORK", "")
        if not module:
            raise Unkept("it is not in module mode")
        for flag in [*self._toolchain.common_flags, *flags]:
            name, _, value = flag.partition("=")
            name = f"-{name.lstrip('-')}"
            if name == "-modfile":
                self._add_module_file(os.path.join(self._here, value))
            elif name == "-pgo" and value not in {"auto", "off"}:
                self.rows.add(FILE, os.path.join(self._here, value))
        has_module = module != os.devnull
        self._add_upwards("go.mod", os.path.dirname(module) if has_module else "")
        if "GOWORK" not in self._environment:
            self._add_upwards("go.work", os.path.dirname(work) if work else "")
        if has_module:
            self._add_module(os.path.dirname(module))
        if work and work != "off":
            self._add_workspace(work)

    def _add_upwards(self, name: str, until: str) -> None:
        """Add the files of a name from here up to a folder; without one, up to the root."""
        folder = self._here
        while True:
            self.rows.add(FILE, os.path.join(folder, name))
            above = os.path.dirname(folder)
            if above == folder or (until and os.path.samefile(folder, until)):
                return
            folder = above

    def _add_module(self, folder: str) -> None:
        if folder in self._modules:
            return
        self._modules.append(folder)
        self.rows.add(FILE, f"{folder}/vendor/modules.txt")
        self._add_module_file(f"{folder}/go.mod")

    def _add_module_file(self, path: str) -> None:
        self.rows.add(FILE, path)
        self.rows.add(FILE, f"{path.removesuffix('.mod').removesuffix('.work')}.sum")
        for target in replaced_folders(path):
            self.rows.add(FILE, os.path.join(os.path.dirname(path), target, "go.mod"))

    def _add_workspace(self, work: str) -> None:
        folder = os.path.dirname(work)
        self.rows.add(FILE, work)
        self.rows.add(FILE, f"{work}.sum")
        self.rows.add(FILE, f"{folder}/vendor/modules.txt")
        for target in [*replaced_folders(work), *used_folders(work)]:
            self._add_module(os.path.normpath(os.path.join(folder, target)))

    # -- folders and sources ---------------------------------------------------------------------

    def add_patterns(self, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            if pattern.endswith(".go"):
                raise Unkept("it names files")
            is_path = pattern.startswith((".", "/")) or os.path.isabs(pattern)
            if is_path and "..." in pattern:
                top = pattern.partition("...")[0].rpartition("/")[0] or "."
                self._walk(os.path.normpath(os.path.join(self._here, top)))
            elif pattern in _EVERYTHING or "..." in pattern:
                for folder in self._modules:
                    self._walk(folder)

    def _walk(self, top: str) -> None:
        """Add the folders that Go searches for packages."""
        stack = [top]
        while stack:
            folder = stack.pop()
            self.rows.add(FOLDER, folder)
            if folder != top and os.path.exists(f"{folder}/go.mod"):
                continue
            with os.scandir(folder) as entries:
                stack += [
                    f"{folder}/{entry.name}"
                    for entry in entries
                    if entry.name[0] not in "._"
                    and entry.name not in {"testdata", "vendor"}
                    and entry.is_dir(follow_symlinks=False)
                ]

    def add_packages(self, packages: Sequence[TestPackage]) -> None:
        if any(package.name == "command-line-arguments" for package in packages):
            raise Unkept("it names files")
        replaced: dict[str, None] = {}
        for row in _records(packages).values():
            folder = row.get("Dir", "")
            if not folder or _is_generated(row) or self._is_of_toolchain(folder):
                continue
            self._add_sources(row, folder)
            module = row.get("Module") or {}
            self._add_above(folder, module.get("Dir", ""))
            if module.get("GoMod"):
                self.rows.add(FILE, module["GoMod"])
            other = module.get("Replace")
            if other and not other.get("Version") and module.get("Dir"):
                replaced[module["Dir"]] = None
        for top in replaced:
            self.rows.add_whole(top, kind=FOLDER)
        for package in packages:
            for path in testdata_of(package):
                if not self._is_of_toolchain(path):
                    self.rows.add_whole(path)

    def _is_of_toolchain(self, path: str) -> bool:
        return any(path.startswith(f"{root}/") for root in self._roots)

    def _add_sources(self, row: Mapping[str, Any], folder: str) -> None:
        embedded = [name for field in _EMBEDDED for name in row.get(field) or ()]
        self.rows.add(LISTING if embedded else FOLDER, folder)
        ignored = (name for field in _IGNORED for name in row.get(field) or ())
        for name in [*own_files(row), *ignored]:
            self.rows.add(FILE, f"{folder}/{name}")
        if row.get("Name") == "main":
            self.rows.add(FILE, f"{folder}/default.pgo")
        # A new file in an embedded folder is embedded, too.
        for top in {name.partition("/")[0] for name in embedded if "/" in name}:
            self.rows.add_whole(f"{folder}/{top}")

    def _add_above(self, folder: str, top: str) -> None:
        """Add that no folder between a package and its module is a module of its own."""
        if not top:
            return
        while folder != top and folder.startswith(f"{top}/"):
            self.rows.add(FILE, f"{folder}/go.mod")
            folder = os.path.dirname(folder)


def testdata_of(package: TestPackage) -> Iterator[str]:
    """Yield the folder `testdata` of a package, if it has one."""
    path = f"{package.directory}/testdata"
    if package.has_tests and os.path.isdir(path):
        yield path
