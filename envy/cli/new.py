"""`envy new`: write a recipe that works, and add it to the manifest."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from envy.cli.added import requested_entry
from envy.cli.edited_install import follow_edit
from envy.cli.edits import manifest_to_edit, shown_key, tell
from envy.cli.new_source import SourceFacts, look_into
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.unwinding import unwind_at_signals
from envy.declarations.key import validate_identity
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import Insertion, ManifestFile, edited, identity_of
from envy.declarations.manifest_text import entry_text
from envy.declarations.manifest_write import write_manifest
from envy.declarations.new_recipe import NewRecipe, recipe_text
from envy.declarations.new_recipe_tests import tests_text
from envy.declarations.recipe_templates import TEMPLATES
from envy.declarations.shipped import TESTS_ENDING
from envy.declarations.sources import Scheme, scheme_of
from envy.errors import EnvyError, ManifestError, UsageError
from envy.masking import remember_address
from envy.transport.addresses import redacted

_FROM_SOURCE = ("archive", "binary", "cmake", "make", "autotools")
_BUILT = ("cmake", "make", "autotools")
_OPTIONS = {
    "url": _FROM_SOURCE,
    "ref": _BUILT,
    "program": ("archive", *_BUILT, "venv", "npm"),
    "library": _BUILT,
    "requirement": ("venv",),
    "package": ("npm",),
    "check": ("user-managed",),
    "install": ("user-managed",),
}
_REQUIRED = {**dict.fromkeys(_FROM_SOURCE, "url"), "venv": "requirement", "npm": "package"}
_PROGRAM = re.compile(r"[\w.+-]+(/[\w.+-]+)*")
_PLAIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:==([A-Za-z0-9][A-Za-z0-9.!+_-]*))?")
_LOCAL = re.compile(r"\s*[-./~]|.*(@\s*[./~]|file:|[\r\n\x00])", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The options of one command line, as they were given."""

    url: str
    ref: str
    program: Sequence[str]
    library: bool
    requirement: Sequence[str]
    package: str
    check: str
    install: str


@envy_command(
    short_help="Write a recipe, and add it to envy.lua.",
    examples=[
        ("envy new archive rg --url https://example.com/rg.tar.gz", "programs of an archive"),
        ("envy new cmake zlib --library --url zlib.git --ref v1", "a library, from a repository"),
        ("envy new venv lint --requirement ruff --program ruff", "a Python environment"),
        ("envy new product hello", "a script in the recipe itself"),
    ],
)
@click.argument("kind", metavar="KIND", type=click.Choice(list(TEMPLATES)))
@click.argument("name", metavar="NAME")
@click.option("--url", default="", metavar="URI", help="The source: a URL, path or repository.")
@click.option("--ref", default="", metavar="REF", help="A commit, tag or branch of a repository.")
@click.option("--program", multiple=True, metavar="PROGRAM", help="A program that it provides.")
@click.option("--library", is_flag=True, help="It has headers and libraries, and no program.")
@click.option("--requirement", multiple=True, metavar="REQ", help="A Python requirement.")
@click.option("--package", default="", metavar="NAME[@VERSION]", help="The package of npm.")
@click.option("--check", default="", metavar="SCRIPT", help="Succeeds if nothing is to be done.")
@click.option("--install", default="", metavar="SCRIPT", help="What is to be done.")
def command(
    settings: Settings,
    kind: str,
    name: str,
    *,
    url: str,
    ref: str,
    program: tuple[str, ...],
    library: bool,
    requirement: tuple[str, ...],
    package: str,
    check: str,
    install: str,
) -> int:
    """Write recipes/local.NAME@r1.lua beside the manifest, and add it to `packages`.

    KIND is one of archive (programs that are unpacked), binary (one program), cmake, make,
    autotools (built from source, with the compiler of the machine), venv (a Python environment),
    npm (a program of npm), user-managed (a change of the machine) and product (a script in the
    recipe itself).

    The first five need --url. envy downloads it, writes its digest or commit into the recipe, and
    looks inside: at the top folder, at the programs of an archive, at the makefile. What is built
    is expected to install the program NAME, unless --program (repeatable) names others or --library
    says that there is none. venv needs --requirement (repeatable); of a plain name, the newest
    version is written. npm needs --package.

    Beside the recipe, a file has its first tests, which `envy test` runs. An existing file is never
    overwritten. If envy cannot edit the manifest, it says which line to add. `envy sync` installs
    the package then.
    """
    given = _Given(
        url=url,
        ref=ref,
        program=program,
        library=library,
        requirement=requirement,
        package=package,
        check=check,
        install=install,
    )
    remember_address(url)
    _check_given(kind, name, given)
    manifest = manifest_to_edit(settings)
    path = manifest.path.parent / "recipes" / f"local.{name}@r1.lua"
    _check_free(path)
    unwind_at_signals()
    new = _new_recipe(kind, name, given, path, settings)
    with contextlib.ExitStack() as undo:
        undo.enter_context(_created(path, recipe_text(new)))
        tell(settings, f"created {shown_path(path)}")
        tests = path.with_name(f"{path.stem}{TESTS_ENDING}")
        if not os.path.lexists(tests):
            undo.enter_context(_created(tests, tests_text(new)))
            tell(settings, f"created {shown_path(tests)}")
        if redacted(new.source) != new.source:
            note = "has the credentials of the URL; os.getenv keeps them out of a repository"
            tell(settings, f"note: {shown_path(path)} now {note}")
        return _add(manifest, new.identity, settings)


def _check_given(kind: str, name: str, given: _Given) -> None:
    try:
        validate_identity(f"local.{name}@r1")
    except EnvyError as error:
        hint = "a name consists of letters, digits, _, -, + and dots between them"
        raise UsageError(f"{name!r} is not a valid name of a recipe", hint=hint) from error
    for option, kinds in _OPTIONS.items():
        if getattr(given, option) and kind not in kinds:
            raise UsageError(
                f"--{option} is not for recipes of the kind {kind}",
                hint=f"it is for {', '.join(kinds)}",
            )
    needed = _REQUIRED.get(kind)
    if needed and not getattr(given, needed):
        value = {"url": "URL", "requirement": "six", "package": "prettier"}[needed]
        raise UsageError(
            f"a recipe of the kind {kind} needs --{needed}",
            hint=f"envy new {kind} {name} --{needed} {value}",
        )
    if given.library and given.program:
        raise UsageError("--library and --program exclude each other")
    if given.ref and scheme_of(given.url) is not Scheme.GIT:
        raise UsageError(f"--ref is for repositories, and {given.url} is a file")
    for program in given.program:
        if not _PROGRAM.fullmatch(program) or ".." in program.split("/"):
            raise UsageError(f"{program!r} is not the name of a program")


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise EnvyError(
            f"{shown_path(path)} exists already",
            hint="edit it, remove it, or choose another name",
        )


def _new_recipe(kind: str, name: str, given: _Given, path: Path, settings: Settings) -> NewRecipe:
    """Return what the recipe is made of; what it names elsewhere is fetched or looked up."""
    new = NewRecipe(kind=kind, name=name, products={}, is_library=given.library)
    if kind in _FROM_SOURCE:
        facts = look_into(
            given.url, given.ref, settings, kind=kind, name=name, programs=given.program
        )
        return _from_source(new, facts, path)
    programs = [program.rpartition("/")[2] for program in given.program]
    if kind == "venv":
        requirements = [_requirement(text, path.parent, settings) for text in given.requirement]
        products = {program: f"bin/{program}" for program in (*programs, "python", "python3")}
        return replace(new, requirements=requirements, products=products)
    if kind == "npm":
        tool = requested_entry(f"npm:{given.package}", path.parent, settings).tool
        assert tool is not None
        package = f"{tool.package}@{tool.version}"
        return replace(new, package=package, products=dict.fromkeys(programs or [tool.program], ""))
    if kind == "user-managed":
        return replace(new, check=given.check, install=given.install)
    return replace(new, products={name: f"bin/{name}"})


def _from_source(new: NewRecipe, facts: SourceFacts, path: Path) -> NewRecipe:
    source = facts.source
    if scheme_of(source) is Scheme.LOCAL:
        source = Path(os.path.relpath(source, path.parent)).as_posix()
        source = source if "/" in source else f"./{source}"
    return replace(
        new,
        source=source,
        pin=facts.pin,
        dest=facts.dest,
        strip=facts.strip,
        products={} if new.is_library else facts.products,
        platform=facts.platform,
        executable=facts.executable,
        make_installs=facts.make_installs,
    )


def _requirement(text: str, folder: Path, settings: Settings) -> str:
    """Return a requirement, with the newest version if it is a plain name.

    Raises:
        EnvyError: it names a file or is an option; or the index has no such release.
    """
    found = _PLAIN.fullmatch(text)
    if found:
        word = f"pypi:{found[1]}" + (f"@{found[2]}" if found[2] else "")
        tool = requested_entry(word, folder, settings).tool
        assert tool is not None
        return f"{tool.package}=={tool.version}"
    if not text.strip() or _LOCAL.match(text):
        raise UsageError(
            f"{text!r} is not a requirement of a package in an index",
            hint="such as requests, requests==2.32.5 or 'requests>=2.32'",
        )
    return text


@contextlib.contextmanager
def _created(path: Path, text: str) -> Iterator[None]:
    """Create a file, which is removed again if the block fails."""
    shown = shown_path(path)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise EnvyError(f"{shown} cannot be created: {error.strerror}") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _add(manifest: ManifestFile, identity: str, settings: Settings) -> int:
    """Add the recipe to the manifest, or say how; return the exit code."""
    there = [i for i, entry in enumerate(manifest.entries) if identity_of(entry) == identity]
    if there:
        tell(settings, f"{shown_key(manifest.entries[there[0]])} is in {manifest.at(there[0])}")
        return 0
    try:
        new = edited(manifest, Insertion(identity), settings.environment)
    except ManifestError as error:
        tell(settings, f"note: {error.message}")
        line = entry_text(identity)
        tell(settings, f"add this line to `packages` in {shown_path(manifest.path)}: {line},")
        return 0
    write_manifest(new.path, new.content, before=manifest.content)
    tell(settings, f"added {identity} to {shown_path(manifest.path)}")
    tell(settings, f"install it: envy sync {identity}")
    return follow_edit(new, manifest, settings)
