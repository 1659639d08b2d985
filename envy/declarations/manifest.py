"""Loading `envy.lua`, the manifest: the packages that a project needs.

Owns the fields of the manifest and the rules between its entries: versions of envy, duplicates,
aliases, and entries for other platforms, which are left out.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations import fields
from envy.declarations.bundles import Bundle, check_has_bundles, parse_bundles
from envy.declarations.dotenv import check_variable, is_variable
from envy.declarations.entries import parse_spec
from envy.declarations.key import RecipeKey
from envy.declarations.locations import SourceText
from envy.declarations.mirrors import PrefixMap, prefix_map
from envy.declarations.required_envy import check_required_envy, written_requirement
from envy.declarations.spec import (
    BUNDLED,
    NO_OVERRIDES,
    Address,
    Overrides,
    RecipeSpec,
    source_text,
)
from envy.declarations.tables import is_included
from envy.declarations.typos import misspelt, typo_warnings
from envy.errors import LuaScriptError, ManifestError, SourceLocation
from envy.host.named_platforms import named_platform
from envy.host.platform import Platform
from envy.limits import LUA_MEMORY
from envy.lua.runtime import LuaState, ReadLog
from envy.lua.values import LuaFunction, LuaValue

if TYPE_CHECKING:
    from envy.declarations.depots import Depots
    from envy.declarations.test_settings import TestSettings

FIELDS = frozenset(
    {
        "requires_envy",
        "packages",
        "default_shell",
        "depot",
        "depot_keys",
        "env",
        "dotenv",
        "launchers",
        "mirrors",
        "overrides",
        "bundles",
        "platforms",
        "require_digest",
        "tests",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A loaded manifest; `reads` lists the files and variables that its Lua read while loading.

    Programs of the project run with the variables of `env`, and with those in the file `dotenv`.
    """

    path: Path
    packages: tuple[RecipeSpec, ...]
    aliases: Mapping[str, RecipeKey]
    default_shell: LuaValue
    shell_origin: SourceLocation | None = None
    state: LuaState
    reads: ReadLog
    digest: str  # BLAKE3 of the file
    warnings: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    dotenv: Path | None = None
    launchers: str = ""  # the folder of launchers, relative to the manifest's
    overrides: Overrides = NO_OVERRIDES
    bundles: tuple[Bundle, ...] = ()
    platforms: tuple[str, ...] = ()  # that the lock must have; without any, it has the usual ones
    require_digest: bool = False  # a download without a digest, in a recipe or the lock, is refused
    tests: "TestSettings | None" = None
    mirrors: PrefixMap = field(default_factory=dict)
    depots: "Depots | None" = None


def load_manifest(
    path: Path,
    *,
    platform: Platform,
    make_state: Callable[[Path], LuaState],
    content: bytes | None = None,
) -> Manifest:
    """Run a manifest and check its fields; `make_state` is called with the manifest's folder.

    `content` is its text, if that is not what the file has.

    Raises:
        ManifestError: the manifest needs another version of envy, or a field is invalid.
        DeclarationError: an entry is invalid.
        LuaScriptError: its Lua code fails.
    """
    state = make_state(path.parent)
    content = read_manifest(path) if content is None else content
    # Decoded like a text file: its lines may end in \r\n.
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape").read()
    source = SourceText(path, text)
    try:
        state.load_file(path, content)
    except LuaScriptError:
        # It may use features of a newer envy; then the version is the error to report.
        check_required_envy(written_requirement(text), source)
        raise
    values = state.user_globals()
    check_required_envy(values.get("requires_envy"), source)
    overrides = _parse_overrides(values, source, path.parent, platform)
    bundles = parse_bundles(values.get("bundles"), source, path.parent)
    packages, aliases = _parse_packages(values, source, path, platform, overrides)
    for spec in packages:
        if spec.source is BUNDLED:
            check_has_bundles(spec.identity, bundles, spec.origin)
    return Manifest(
        path=path,
        packages=packages,
        aliases=aliases,
        default_shell=_parse_default_shell(values.get("default_shell"), source),
        shell_origin=source.at("default_shell"),
        state=state,
        reads=state.reads,
        digest=blake3(content).hexdigest(),
        warnings=typo_warnings(values, FIELDS, source.at),
        env=_parse_env(values.get("env"), source, path.parent),
        dotenv=_parse_dotenv(values, source, path.parent),
        launchers=_parse_launchers(values, source),
        overrides=overrides,
        bundles=bundles,
        platforms=_parse_platforms(values.get("platforms"), source),
        require_digest=fields.flag(values, "require_digest", origin=source.at("require_digest")),
        tests=_parse_tests(values, source),
        mirrors=prefix_map(values.get("mirrors"), origin=source.at("mirrors")),
        depots=_parse_depots(values, source),
    )


def read_manifest(path: Path) -> bytes:
    """Return the content of a manifest.

    Raises:
        ManifestError: it cannot be read.
    """
    try:
        return read_plain(str(path), LUA_MEMORY)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except NotPlain as error:
        hint = error.limit.hint if error.limit else "a manifest is a file of Lua code"
        raise ManifestError(f"the manifest {path} {error}", hint=hint) from error


def _parse_packages(
    values: Mapping[str, object],
    source: SourceText,
    path: Path,
    platform: Platform,
    overrides: Overrides,
) -> tuple[tuple[RecipeSpec, ...], dict[str, RecipeKey]]:
    entries = _entries(values, source)
    base_dir = path.parent
    specs: dict[RecipeKey, RecipeSpec] = {}
    aliases: dict[str, RecipeSpec] = {}
    array = source.at("packages", length=len(entries))
    for i, entry in enumerate(entries):
        spec = parse_spec(
            entry,
            origin=array.at_element(i),
            base_dir=base_dir,
            recipes_dir=base_dir / "recipes",
            address=Address(path, ("packages", i + 1)),
        )
        if not is_included(spec.platforms, platform, spec.origin):
            continue
        if overrides is not NO_OVERRIDES:
            from envy.declarations.overrides import overridden

            spec = overridden(spec, overrides)
        first = specs.setdefault(spec.key, spec)
        _check_duplicate(first, spec)
        if spec.exports and not first.exports:
            specs[spec.key] = replace(first, exports=True)
        if spec.alias:
            _check_alias(aliases.setdefault(spec.alias, spec), spec)
    return tuple(specs.values()), {alias: spec.key for alias, spec in aliases.items()}


def _parse_overrides(
    values: Mapping[str, object], source: SourceText, folder: Path, platform: Platform
) -> Overrides:
    if "overrides" not in values:
        return NO_OVERRIDES
    from envy.declarations.overrides import parse_overrides

    origin = source.at("overrides")
    return parse_overrides(values["overrides"], origin=origin, base_dir=folder, platform=platform)


def _parse_tests(values: Mapping[str, object], source: SourceText) -> "TestSettings | None":
    if "tests" not in values:
        return None
    from envy.declarations.test_settings import parse_tests

    return parse_tests(values["tests"], origin=source.at("tests"))


def _parse_depots(values: Mapping[str, object], source: SourceText) -> "Depots | None":
    if "depot" not in values and "depot_keys" not in values:
        return None
    from envy.declarations.depots import parse_depots

    return parse_depots(values, at=source.at("depot"), keys_at=source.at("depot_keys"))


def _entries(values: Mapping[str, object], source: SourceText) -> Sequence[object]:
    value = values.get("packages")
    if isinstance(value, list):
        return value
    if value == {}:
        return ()
    hint = 'it lists the packages of the project, such as packages = { "envy.ninja@r1" }'
    if value is None:
        meant = {meant: name for name, meant in misspelt(values, FIELDS)}
        if "packages" in meant:
            line = source.at(meant["packages"]).line
            hint = f"did you mean `packages` instead of `{meant['packages']}`, on line {line}?"
        raise ManifestError(
            "the manifest has no `packages`", origin=SourceLocation(source.path), hint=hint
        )
    origin = source.at("packages")
    if not isinstance(value, dict):
        raise ManifestError(
            f"`packages` must be an array of entries, not {fields.describe(value)}",
            origin=origin,
            hint=hint,
        )
    if "recipe" in value:
        hint = "a single entry needs an array, too: packages = { { recipe = … } }"
    elif any(isinstance(key, int) for key in value):
        hint = "an entry is nil, or has a name"
    raise ManifestError(
        "`packages` must be an array of entries, without names and gaps", origin=origin, hint=hint
    )


def _check_duplicate(first: RecipeSpec, spec: RecipeSpec) -> None:
    if first is spec or first.source is None or spec.source is None:
        return
    sources = source_text(first.source), source_text(spec.source)
    if sources[0] != sources[1]:
        raise ManifestError(
            f"{spec.key} comes from two sources:\n"
            f"    {sources[0]}, in {first.origin}\n    {sources[1]}, in {spec.origin}",
            origin=spec.origin,
            hint="keep one of them, or give one recipe another identity",
        )


def _check_alias(first: RecipeSpec, spec: RecipeSpec) -> None:
    if first.key != spec.key:
        raise ManifestError(
            f'two packages have the alias "{spec.alias}":\n'
            f"    {first.key}, in {first.origin}\n    {spec.key}, in {spec.origin}",
            origin=spec.origin,
            hint="rename one of them",
        )


def _parse_env(value: object, source: SourceText, folder: Path) -> dict[str, str]:
    """Return the variables of the project; `{{project}}` is the manifest's folder."""
    if value is None:
        return {}
    origin = source.at("env")
    if not isinstance(value, dict):
        raise ManifestError(
            f"`env` must be a table of variables, not {fields.describe(value)}",
            origin=origin,
            hint='give each a name, such as env = { LOG_LEVEL = "debug" }',
        )
    variables: dict[str, str] = {}
    for name, text in value.items():
        at_name = origin.at_field(str(name))
        if not isinstance(name, str) or not is_variable(name):
            raise ManifestError(f"`env` has an invalid variable name: {name!r}", origin=at_name)
        if not isinstance(text, str):
            raise ManifestError(
                f"`env.{name}` must be a string, not {fields.describe(text)}",
                origin=at_name,
                hint=f'write it in quotes: {name} = "{text}"' if type(text) in {int, float} else "",
            )
        check_variable(name, text, at_name)
        variables[name] = text.replace("{{project}}", str(folder))
    return variables


def _parse_dotenv(values: Mapping[str, object], source: SourceText, folder: Path) -> Path | None:
    """Return the dotenv file, which is relative to the manifest's folder."""
    value = values.get("dotenv")
    if value is None:
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        raise ManifestError(
            f"`dotenv` must be the path of a file, not {fields.describe(value)}",
            origin=source.at("dotenv"),
            hint='such as dotenv = ".env"',
        )
    return folder / value


def _parse_launchers(values: Mapping[str, object], source: SourceText) -> str:
    """Return the folder of launchers, which is inside the project; "" for none."""
    value = values.get("launchers")
    if value is None:
        return ""
    parts = value.split("/") if isinstance(value, str) else []
    if not parts or "\0" in str(value) or parts[0] == ".envy" or {"", ".", ".."} & set(parts):
        shown = f'"{value}"' if isinstance(value, str) else fields.describe(value)
        raise ManifestError(
            f"`launchers` must be a folder inside the project, not {shown}",
            origin=source.at("launchers"),
            hint='such as launchers = "bin"',
        )
    return str(value)


def _parse_platforms(value: object, source: SourceText) -> tuple[str, ...]:
    """Return the platforms that the lock must have, sorted."""
    if value is None:
        return ()
    origin = source.at("platforms")
    names = value if isinstance(value, list) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise ManifestError(
            f"`platforms` must be an array of platforms, not {fields.describe(value)}",
            origin=origin,
            hint='such as platforms = { "linux-x86_64", "darwin-arm64" }',
        )
    for name in names:
        named_platform(name, origin=origin)
    return tuple(sorted({str(name) for name in names}))


def _parse_default_shell(value: LuaValue, source: SourceText) -> LuaValue:
    is_text = isinstance(value, str) and value != ""
    if value is None or is_text or isinstance(value, dict | LuaFunction):
        return value
    raise ManifestError(
        f"`default_shell` must be a constant, a table or a function, not {fields.describe(value)}",
        origin=source.at("default_shell"),
        hint="such as default_shell = ENVY_SHELL.BASH",
    )
