"""What `envy new` learns from a source: its digest or commit, its programs, and how it is built.

The source is fetched to a temporary folder with the guards and limits of every fetch, and looked
into there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.cli.fetch_context import command_context
from envy.cli.settings import Settings, current_directory
from envy.content.archive import extract, is_archive, is_single_compressed_file
from envy.content.plain_file import NotPlain, read_plain
from envy.content.scratch import scratch_folder
from envy.declarations.sources import (
    Scheme,
    SourceItem,
    file_name,
    local_path,
    parse_source_item,
    scheme_of,
)
from envy.errors import ArchiveError, DeclarationError, EnvyError, UsageError
from envy.host.platform import host_platform
from envy.limits import LUA_MEMORY
from envy.transport import fetch_source, resolve_ref
from envy.transport.addresses import redacted

_NEEDED = {
    "cmake": ("CMakeLists.txt",),
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "autotools": ("configure",),
}
_INSTALLS = re.compile(rb"^install\s*:", re.MULTILINE)
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_NO_PROGRAM = re.compile(r"(\.(sh|bash|py|pl|so|dylib|a|o|cmake)|\.so[.\d]*|configure|install)$")
_PLAIN = re.compile(r"[\w.+-]+", re.ASCII)
_MOST_PROGRAMS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What a recipe says about a source; fields as those of `NewRecipe`."""

    source: str
    pin: tuple[str, str]
    dest: str = ""
    strip: int = 0
    products: Mapping[str, str]
    platform: str = ""
    executable: Sequence[str] = ()
    make_installs: bool = True


def look_into(
    url: str, ref: str, settings: Settings, *, kind: str, name: str, programs: Sequence[str]
) -> SourceFacts:
    """Fetch a source, and return what a recipe of this kind says about it.

    Raises:
        EnvyError: it cannot be fetched, or is not what this kind of recipe starts from.
    """
    item = _item(url, ref, kind, name)
    context = command_context(settings.environment, offline=settings.offline)
    with scratch_folder("new") as scratch:
        if scheme_of(item.source) is Scheme.GIT:
            commit = resolve_ref(item, context)
            item = replace(item, ref=commit)
            tree = fetch_source(item, scratch, context).path
            pin, source = ("ref", commit), item.source
        else:
            fetched = fetch_source(item, scratch, context)
            if not fetched.sha256:
                raise EnvyError(
                    f"{redacted(url)} is a folder", hint="name an archive, or a git repository"
                )
            pin, source, tree = ("sha256", fetched.sha256), _written(item), fetched.path
        look = _Look(kind=kind, name=name, programs=programs, shown=redacted(url))
        if kind == "binary":
            return look.at_program(tree, source, pin)
        facts = look.at_tree(*_unpacked(tree, scratch, redacted(url)), source, pin)
        return replace(facts, dest=item.dest)


def _item(url: str, ref: str, kind: str, name: str) -> SourceItem:
    table = {"source": url, **({"ref": ref} if ref else {})}
    item = parse_source_item(table, origin=None, base_dir=current_directory())
    try:
        file_name(item)
    except DeclarationError:  # an address such as https://example.com/download/?id=1
        item = replace(item, dest=name)
    scheme = scheme_of(url)
    if scheme in {Scheme.PYPI, Scheme.NPM}:
        word = "venv --requirement NAME" if scheme is Scheme.PYPI else "npm --package NAME"
        raise UsageError(f"{url} is a package of a registry", hint=f"envy new {word}")
    if scheme is Scheme.GIT and kind in {"archive", "binary"}:
        raise UsageError(
            f"{url} is a repository", hint="a recipe that builds it is of the kind cmake, make, …"
        )
    return item


def _written(item: SourceItem) -> str:
    """Return a source as the recipe writes it: a path by its absolute name, until it is placed."""
    return str(local_path(item)) if scheme_of(item.source) is Scheme.LOCAL else item.source


def _unpacked(path: Path, scratch: Path, shown: str) -> tuple[Path, int]:
    """Return the folder that the recipe will see, and how many leading names are dropped."""
    if path.is_dir():
        return path, 0
    if not is_archive(path):
        raise EnvyError(
            f"{shown} is not an archive that envy unpacks", hint="a single program: envy new binary"
        )
    tree = scratch / "tree"
    try:
        extract(path, tree)
    except ArchiveError as error:
        raise EnvyError(error.message.replace(str(path), shown), hint=error.hint) from error
    inner = list(tree.iterdir())
    if len(inner) == 1 and inner[0].is_dir() and not inner[0].is_symlink():
        return inner[0], 1
    return tree, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    kind: str
    name: str
    programs: Sequence[str]
    shown: str

    def at_program(self, path: Path, source: str, pin: tuple[str, str]) -> SourceFacts:
        """Return the facts about a file that is a program itself."""
        dest = product = f"bin/{self.name}"
        if is_archive(path):
            raise EnvyError(f"{self.shown} is an archive", hint="envy new archive takes it")
        if is_single_compressed_file(path):
            dest, product = f"{self.name}{path.suffix}", self.name
        elif not (_is_native(path) or _head(path).startswith(b"#!")):
            raise EnvyError(
                f"{self.shown} is neither a program of this kind of machine nor a script",
                hint="look at it: the server may have sent a page in its place",
            )
        is_script = _head(path).startswith(b"#!")
        return SourceFacts(
            source=source,
            pin=pin,
            dest=dest,
            products={self.name: product},
            platform="" if is_script else host_platform().tag,
        )

    def at_tree(self, tree: Path, strip: int, source: str, pin: tuple[str, str]) -> SourceFacts:
        """Return the facts about a tree: of programs, or to be built."""
        if self.kind == "archive":
            found = self._named(tree) if self.programs else self._found(tree)
            native = any(_is_native(tree / path) for path in found.values())
            return SourceFacts(
                source=source,
                pin=pin,
                strip=strip,
                products=found,
                platform=host_platform().tag if native else "",
                executable=[path for path in found.values() if not _is_executable(tree / path)],
            )
        wanted = _NEEDED[self.kind]
        makefile = next((name for name in wanted if (tree / name).is_file()), "")
        if not makefile:
            raise self._nothing_to_build(tree, wanted)
        installs = self.kind != "make" or _has_install(tree / makefile)
        names = self.programs or (self.name,)
        return SourceFacts(
            source=source,
            pin=pin,
            strip=strip,
            products={name.rpartition("/")[2]: _in_bin(name) for name in names},
            make_installs=installs,
        )

    def _nothing_to_build(self, tree: Path, wanted: Sequence[str]) -> EnvyError:
        kinds = [
            kind
            for kind, names in _NEEDED.items()
            if any((tree / name).is_file() for name in names)
        ]
        hint = f"it has what `envy new {kinds[0]}` needs" if kinds else ""
        if not kinds and self.kind == "autotools" and (tree / "configure.ac").is_file():
            hint = "a release archive has it; a repository often does not"
        return EnvyError(f"{self.shown} has no {wanted[-1]} in its top folder", hint=hint)

    def _found(self, tree: Path) -> dict[str, str]:
        """Return the programs of an archive: in bin, in its top folder, or else anywhere."""
        files = [path for path in sorted(tree.rglob("*")) if _is_executable(path)]
        names = [path.relative_to(tree).as_posix() for path in files if _PLAIN.fullmatch(path.name)]
        top = [name for name in names if name.rpartition("/")[0] in {"", "bin"}]
        found = [name for name in top if not _NO_PROGRAM.search(name)]
        found = found or [name for name in names if _is_native(tree / name)]
        found = [name for name in found if not _NO_PROGRAM.search(name)]
        products = {name.rpartition("/")[2]: name for name in found}
        if len(found) == 1 or (len(found) > _MOST_PROGRAMS and self.name in products):
            return {self.name: products.get(self.name, found[0])}
        if found and len(found) <= _MOST_PROGRAMS:
            return products
        many = f"has {len(found)} programs" if found else "has no file that is marked as a program"
        raise EnvyError(
            f"{self.shown} {many}",
            hint="say which: --program PATH, the path of a file in the archive",
        )

    def _named(self, tree: Path) -> dict[str, str]:
        products = {}
        for program in self.programs:
            path = _find(tree, program)
            if path is None:
                raise EnvyError(
                    f"{self.shown} has no file {program}",
                    hint=f"envy extract --list {self.shown} lists its files, if you download it",
                )
            products[path.name] = path.relative_to(tree).as_posix()
        return products


def _find(tree: Path, program: str) -> Path | None:
    """Return the file that a path means, perhaps with the top folder, or that alone has a name."""
    for path in (tree / program, tree.parent / program):
        if path.is_file() and path.resolve().is_relative_to(tree.resolve()):
            return tree / os.path.relpath(path, tree)
    alike = [path for path in tree.rglob("*") if path.name == program and path.is_file()]
    return alike[0] if len(alike) == 1 else None


def _in_bin(name: str) -> str:
    return name if "/" in name else f"bin/{name}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _is_native(path: Path) -> bool:
    return path.is_file() and _head(path).startswith(_NATIVE)


def _is_executable(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & 0o111)


def _has_install(makefile: Path) -> bool:
    try:
        return _INSTALLS.search(read_plain(str(makefile), LUA_MEMORY)) is not None
    except NotPlain:
        return True
