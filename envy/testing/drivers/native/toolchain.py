"""The toolchain of native tests: zig, or clang with the llvm-link of the same version."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.errors import EnvyError, ScriptFailed, UsageError
from envy.host.children import Children
from envy.host.process import ProcessSpec, run

MANIFEST_LINE = 'packages = { "envy.zig@r1" }'
SANITIZERS = ("address", "undefined", "thread", "leak", "memory")
_OPAQUE_POINTERS = 15  # the first LLVM that writes every pointer as `ptr`
_NEWEST = 40  # of the versions of LLVM that are looked for on PATH
_FLAGS = ("CPPFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS")


class NoNativeToolchain(EnvyError):
    """Neither the manifest nor the machine provides what native tests need."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeToolchain:
    """The programs that turn sources into LLVM IR, and IR into an executable."""

    name: str  # `zig` or `llvm`
    program: Path  # zig, or clang
    linker: Path | None = None  # llvm-link
    root: Path  # its own headers lie below, and never change
    version: int = 0  # of LLVM; 0 if it need not be known
    target: tuple[str, ...] = ()
    coverage: bool = False
    sanitize: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    package: str = ""  # of the manifest; "" if it was found on PATH
    identity: str = ""  # changes with the programs, the target and the flags

    @property
    def writes_opaque_pointers(self) -> bool:
        """Whether its IR writes a pointer as `ptr`, not as `i8*`."""
        return self.version == 0 or self.version >= _OPAQUE_POINTERS

    def compiler(self, *, cxx: bool) -> list[str]:
        """Return the command that compiles C or C++."""
        if self.name == "zig":
            words = [str(self.program), "c++" if cxx else "cc", *self.target]
            return [*words, "-fno-sanitize=undefined"]
        return [str(self.program), *(["--driver-mode=g++"] if cxx else []), *self.target]

    def to_bitcode(
        self, source: str, output: Path, headers: Path | None, flags: Sequence[str], *, cxx: bool
    ) -> list[str]:
        """Return the command that compiles one source, and lists the headers that it read."""
        words = [*self.compiler(cxx=cxx), *self._instruments(), *self._debug_words()]
        words += [*flags, *self._words(cxx=cxx)]
        for word in header_list(headers) if headers is not None else ():
            words += ["-Xclang", word]
        return [*words, "-c", "-emit-llvm", source, "-o", str(output)]

    def to_module(self, parts: Sequence[Path], output: Path) -> list[list[str]]:
        """Return the commands that join the bitcode of a package, and write it as text."""
        files = [str(part) for part in parts]
        if self.linker is not None:
            return [[str(self.linker), "-S", *files, "-o", str(output)]]
        joined = output.with_suffix(".bc")
        joining = ["ld.lld", "-r", "--plugin-opt=emit-llvm", "--lto-O0"]
        return [
            [str(self.program), *joining, *files, "-o", str(joined)],
            self.to_text(joined, output),
        ]

    # What instruments the code has done so in the bitcode, and must not do it again.

    def to_text(self, module: Path, output: Path) -> list[str]:
        """Return the command that writes a module as text."""
        return [*self.compiler(cxx=False), *_QUIET, "-S", "-emit-llvm", str(module), "-o",
                str(output)]  # fmt: skip

    def to_object(self, text: Path, output: Path) -> list[str]:
        """Return the command that generates the code of a module."""
        return [*self.compiler(cxx=False), *_QUIET, "-c", str(text), "-o", str(output)]

    def to_executable(
        self, code: Path, output: Path, flags: Sequence[str], *, cxx: bool
    ) -> list[str]:
        """Return the command that links an executable."""
        words = [
            *self.compiler(cxx=cxx),
            *self._instruments(),
            str(code),
            "-o",
            str(output),
            *flags,
        ]
        return [*words, "-lm", "-lpthread", "-ldl", *self.linker_words()]

    def linker_words(self) -> list[str]:
        """Return the words of LDFLAGS."""
        return self._flags("LDFLAGS")

    def _words(self, *, cxx: bool) -> list[str]:
        return [*self._flags("CPPFLAGS"), *self._flags("CXXFLAGS" if cxx else "CFLAGS")]

    def _flags(self, name: str) -> list[str]:
        try:
            return shlex.split(self.environment.get(name, ""))
        except ValueError as error:
            raise UsageError(f"{name} cannot be read as words: {error}") from error

    def _debug_words(self) -> list[str]:
        """Return the words for debug information: a tenth of the time goes into its columns."""
        return ["-g"] if self.sanitize else ["-g", "-gno-column-info"]

    def _instruments(self) -> list[str]:
        words = []
        if self.coverage:
            words += ["-fprofile-instr-generate", "-fcoverage-mapping"]
        if self.sanitize:
            words += [f"-fsanitize={self.sanitize}", "-fno-omit-frame-pointer"]
            if "undefined" in self.sanitize:
                words.append("-fno-sanitize-recover=undefined")
        return words


def header_list(headers: Path) -> list[str]:
    """Return the words for clang itself that write the names of the headers that it reads."""
    # zig passes -MD to its compiler already, and fails if it is given again.
    return ["-header-include-file", str(headers), "-sys-header-deps"]


_QUIET = ("-Wno-override-module", "-Wno-unused-command-line-argument")


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeWishes:
    """What a run asks of its toolchain."""

    coverage: bool = False
    sanitize: str = ""

    @property
    def needs_runtime(self) -> str:
        """The option that needs LLVM's runtime library; "" if none does."""
        if self.coverage:
            return "--coverage"
        return f"--sanitize={self.sanitize}" if self.sanitize else ""


def find_toolchain(
    products: Mapping[str, Path],
    environment: Mapping[str, str],
    wishes: NativeWishes,
    *,
    children: Children,
    zig_cache: Path,
) -> NativeToolchain:
    """Return the manifest's zig or LLVM, else an LLVM on PATH, else a zig on PATH.

    Raises:
        NoNativeToolchain: There is none, or it has not what the options need.
    """
    if platform.system() != "Linux":
        raise NoNativeToolchain(f"native tests run on Linux only, not on {platform.system()}")
    path = environment.get("PATH", "")
    found = products.get("zig")
    if found is None and "clang" in products:
        linker = products.get("llvm-link") or _beside(products["clang"], "llvm-link")
        return _llvm(products["clang"], linker, environment, wishes, children)
    if found is None:
        pair = _llvm_on_path(path)
        if pair is not None:
            return _llvm(*pair, environment, wishes, children)
        found = _which("zig", path)
    if found is not None:
        return _zig(found, environment, wishes, zig_cache)
    others = [name for name in ("gcc", "cc", "clang") if _which(name, path)]
    only = f"; {others[0]} alone cannot join LLVM IR" if others else ""
    raise NoNativeToolchain(
        f"the C tests need zig, or clang with the llvm-link of the same version{only}",
        hint=f"add zig to envy.lua: {MANIFEST_LINE}",
    )


def _zig(
    program: Path, environment: Mapping[str, str], wishes: NativeWishes, cache: Path
) -> NativeToolchain:
    if wishes.needs_runtime:
        raise NoNativeToolchain(
            f"{wishes.needs_runtime} needs an LLVM with its runtime library; zig has none",
            hint="install clang, llvm and compiler-rt, and list no zig in the manifest's packages",
        )
    program = program.resolve()
    target = ("-target", _zig_target())
    # The runtime that zig compiles on its first use takes seconds, so it is kept.
    own = {"ZIG_GLOBAL_CACHE_DIR": str(cache), **environment, **_without_color()}
    return NativeToolchain(
        name="zig",
        program=program,
        root=program.parent,
        target=target,
        environment=own,
        identity=_identity([program], target, environment),
    )


def _zig_target() -> str:
    """Return the target: without its version, the triple would hold the running kernel."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    try:
        libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):  # another C library has no such name
        libc = []
    return f"{machine}-linux-gnu.{libc[1]}" if len(libc) == 2 else f"{machine}-linux-musl"


def _llvm(
    clang: Path,
    linker: Path | None,
    environment: Mapping[str, str],
    wishes: NativeWishes,
    children: Children,
) -> NativeToolchain:
    version = _version(clang, environment, children)
    if linker is None:
        raise NoNativeToolchain(
            f"there is no llvm-link beside {clang}, and native tests need both",
            hint=f"install the llvm package of version {version}, or add zig: {MANIFEST_LINE}",
        )
    other = _version(linker, environment, children)
    if version != other:
        raise NoNativeToolchain(
            f"{clang} is of LLVM {version}, and {linker} of LLVM {other}; IR of one version "
            "cannot be joined by another",
            hint=f"install both in one version, or add zig to envy.lua: {MANIFEST_LINE}",
        )
    clang = clang.absolute()
    if wishes.needs_runtime:
        _check_runtime(clang, environment, wishes, children)
    real = clang.resolve()
    triple = _said([str(clang), "-print-target-triple"], environment, children).strip()
    target = (f"--target={triple}",) if triple else ()
    facts = [*target, str(wishes.coverage), wishes.sanitize]
    return NativeToolchain(
        name="llvm",
        program=clang,
        linker=linker.absolute(),
        root=_resources(clang, environment, children) or real.parent,
        version=version,
        target=target,
        coverage=wishes.coverage,
        sanitize=wishes.sanitize,
        environment={**environment, **_without_color()},
        identity=_identity([real, linker.resolve()], facts, environment),
    )


def _check_runtime(
    clang: Path, environment: Mapping[str, str], wishes: NativeWishes, children: Children
) -> None:
    names = ["profile"] if wishes.coverage else []
    kinds = {"address": "asan", "undefined": "ubsan_standalone", "thread": "tsan",
             "leak": "lsan", "memory": "msan"}  # fmt: skip
    names += [kinds[kind] for kind in wishes.sanitize.split(",") if kind in kinds]
    machine = platform.machine()
    for name in names:
        said = ""
        for file in (f"libclang_rt.{name}-{machine}.a", f"libclang_rt.{name}.a"):
            said = _said([str(clang), f"-print-file-name={file}"], environment, children).strip()
            if os.path.isabs(said) and Path(said).exists():  # noqa: PTH117
                break
        else:
            raise NoNativeToolchain(
                f"{wishes.needs_runtime} needs the runtime library libclang_rt.{name} of "
                f"{clang}, which is not installed",
                hint="install LLVM's compiler-rt in the version of clang "
                "(Debian: libclang-rt-VERSION-dev)",
            )


def _resources(clang: Path, environment: Mapping[str, str], children: Children) -> Path | None:
    said = _said([str(clang), "-print-resource-dir"], environment, children).strip()
    return Path(said).resolve() if said else None


def _version(program: Path, environment: Mapping[str, str], children: Children) -> int:
    text = _said([str(program), "--version"], environment, children)
    found = re.search(r"version (\d+)", text)
    if found is None:
        raise NoNativeToolchain(f"{program} --version names no version of LLVM")
    return int(found[1])


def _said(argv: Sequence[str], environment: Mapping[str, str], children: Children) -> str:
    try:
        completed = run(
            ProcessSpec(
                argv=argv,
                command=" ".join([Path(argv[0]).name, *argv[1:]]),
                cwd=Path("/"),
                environment=environment,
                children=children,
                label="llvm",
                capture=True,
            )
        )
    except ScriptFailed as error:
        raise NoNativeToolchain(f"{argv[0]} cannot be run: {error.message}") from error
    return completed.stdout.decode("utf-8", "replace")


def _llvm_on_path(path: str) -> tuple[Path, Path] | None:
    """Return clang and the llvm-link that belongs to it."""
    for suffix in ("", *(f"-{number}" for number in range(_NEWEST, 10, -1))):
        clang = _which(f"clang{suffix}", path)
        if clang is None:
            continue
        linker = _beside(clang, "llvm-link") or _which(f"llvm-link{suffix}", path)
        if linker is not None:
            return clang, linker
    return None


def _beside(program: Path, name: str) -> Path | None:
    found = program.resolve().parent / name
    return found if found.exists() else None


def _which(name: str, path: str) -> Path | None:
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def _identity(
    programs: Sequence[Path], facts: Sequence[str], environment: Mapping[str, str]
) -> str:
    rows = list(facts)
    for program in programs:
        try:
            status = program.stat()
        except OSError as error:
            raise NoNativeToolchain(f"{program} cannot be read: {error.strerror}") from error
        rows.append(f"{program} {status.st_size} {status.st_mtime_ns}")
    rows += [f"{name}={environment.get(name, '')}" for name in (*_FLAGS, *_INCLUDE_PATHS)]
    return "\n".join(rows)


_INCLUDE_PATHS = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH")


def _without_color() -> dict[str, str]:
    return {"NO_COLOR": "1"}
