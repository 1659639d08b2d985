"""The content of a recipe file, strictly parsed into one frozen record.

Owns the globals that a recipe may define, their types, and the rules between them. Whether a recipe
is user-managed is decided here and nowhere else. Of the functions of a recipe only `dependencies`
and `alias` are called here; phases call the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from envy.declarations import fields
from envy.declarations.bundles import MAP_NAME
from envy.declarations.entries import parse_alias, parse_dependencies
from envy.declarations.locations import SourceText
from envy.declarations.option_text import OptionValue, serialise_options
from envy.declarations.options import (
    LockedVersion,
    OptionDeclaration,
    apply_declarations,
    not_locked,
    parse_declarations,
)
from envy.declarations.products import Product, parse_products
from envy.declarations.recipe_flags import flag_of, recheck_of, remote_of, variants_of
from envy.declarations.requirements import Requirements, requirements_of
from envy.declarations.sources import SourceItem, parse_source_items
from envy.declarations.spec import BUNDLED, NO_OVERRIDES, Address, Dependency, RecipeSpec
from envy.declarations.tables import (
    NO_EXPORTS,
    Exports,
    InputPattern,
    StageTable,
    is_included,
    parse_about,
    parse_exports,
    parse_host,
    parse_inputs,
    parse_stage_table,
)
from envy.declarations.typos import misspelt, typo_warnings
from envy.errors import DeclarationError, SourceLocation
from envy.host.platform import Platform, host_platform
from envy.lua.values import LuaFunction

Verb: TypeAlias = str | LuaFunction | None

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_PRODUCTS: Mapping[str, Product] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDefinition:
    """Everything that a recipe file declares.

    `options` are the effective options, with defaults; `declarations` is None if the recipe
    declares no options and accepts any. `user_managed`: the recipe has a `check`, changes the
    machine and has no entry in the cache. `excluded`: its `platforms` exclude this one.
    """

    identity: str
    path: Path
    about: Mapping[str, str] = field(default_factory=dict)
    declarations: tuple[OptionDeclaration, ...] | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    inputs: tuple[InputPattern, ...] = ()
    host: tuple[tuple[str, str], ...] = ()
    check: Verb = None
    fetch: tuple[SourceItem, ...] | LuaFunction | None = None
    requirements: Requirements | None = None
    stage: StageTable | Verb = None
    build: Verb = None
    install: Verb = None
    deploy: LuaFunction | None = None
    products: Mapping[str, Product] | LuaFunction = field(default_factory=dict)
    exports: Exports | LuaFunction = NO_EXPORTS
    alias: str = ""
    platforms: tuple[str, ...] = ()
    portable: bool = False
    relocate: tuple[str, ...] = ()
    padded: bool = False  # relocate = "padded"
    remote: bool = False  # scripts of build and install may run on a server
    writable: bool = False
    variants: str = ""
    pass_env: tuple[str, ...] = ()
    secret_env: tuple[str, ...] = ()
    exclusive: str = ""
    recheck: bool = True
    user_managed: bool = False
    excluded: bool = False
    warnings: tuple[str, ...] = ()


FIELDS = frozenset(RecipeDefinition.__dataclass_fields__) - {
    *("path", "declarations", "user_managed", "excluded", "padded", "warnings")
}
VERBS = ("check", "fetch", "stage", "build", "install", "deploy")


def parse_definition(
    values: Mapping[str, object],
    *,
    spec: RecipeSpec,
    path: Path,
    text: str,
    platform: Platform | None = None,
    locked_version: LockedVersion = not_locked,
) -> RecipeDefinition:
    """Return the definition in the globals of a loaded recipe file.

    `text` is the content of the file; a line is searched in it when a message needs one. `platform`
    is the platform to build for, by default the host. `locked_version` is what the lock says.

    Raises:
        DeclarationError: the file does not fit the request, or breaks a rule.
    """
    source = SourceText(path, text)
    parser = _Parser(values, spec, path, source, platform, locked_version=locked_version)
    return parser.definition()


class _Parser:
    """The state of parsing one recipe file."""

    def __init__(
        self,
        values: Mapping[str, object],
        spec: RecipeSpec,
        path: Path,
        source: SourceText,
        platform: Platform | None,
        *,
        locked_version: LockedVersion,
    ) -> None:
        self.values = values
        self.locked_version = locked_version
        self.spec = spec
        self.path = path
        self.source = source
        self.platform = platform or host_platform()
        self.base_dir = path.parent

    def _options(
        self, declarations: tuple[OptionDeclaration, ...] | None
    ) -> Mapping[str, OptionValue]:
        """Return the options that the recipe works with; those of overrides win."""
        spec = self.spec
        chosen = self.locked_version
        if spec.overrides is NO_OVERRIDES:
            return apply_declarations(
                declarations, spec.options, origin=spec.origin, locked_version=chosen
            )
        from envy.declarations.overrides import everywhere_for

        everywhere = everywhere_for(spec, declarations or ())
        given = {**spec.options, **everywhere}
        origin = spec.origin if spec.replaced is None else spec.replaced.origin
        if everywhere and spec.overrides.everywhere is not None:
            origin = spec.overrides.everywhere.origin
        return apply_declarations(declarations, given, origin=origin, locked_version=chosen)

    def at(self, name: str) -> SourceLocation:
        value = self.values.get(name)
        return self.source.at(name, length=len(value) if isinstance(value, list) else 0)

    def definition(self) -> RecipeDefinition:
        values = self.values
        self._check_identity()
        platforms = self._texts("platforms")
        included = not platforms or is_included(platforms, self.platform, self.at("platforms"))
        declarations = (
            parse_declarations(values["options"], self.at("options"))
            if "options" in values
            else None
        )
        options = self._options(declarations)
        verbs = self._verbs()
        return RecipeDefinition(
            identity=self.spec.identity,
            path=self.path,
            about=parse_about(values["about"], self.at("about")) if "about" in values else _NOTHING,
            declarations=declarations,
            options=options,
            dependencies=self._dependencies(options) if included else (),
            inputs=parse_inputs(values["inputs"], self.at("inputs")) if "inputs" in values else (),
            host=self._host(options),
            check=verbs["check"],
            fetch=self._fetch(),
            requirements=requirements_of(values, options, self.at) if included else None,
            stage=self._stage(),
            build=verbs["build"],
            install=verbs["install"],
            deploy=self._deploy(),
            products=self._products(),
            exports=self._exports(),
            alias=self._alias(options),
            platforms=platforms,
            portable=flag_of(values, "portable", self.at),
            relocate=() if values.get("relocate") == "padded" else self._texts("relocate"),
            padded=values.get("relocate") == "padded",
            remote=remote_of(values, self.at),
            writable=flag_of(values, "writable", self.at),
            variants=variants_of(values, self.at),
            pass_env=self._texts("pass_env"),
            secret_env=self._texts("secret_env"),
            exclusive=fields.text(values, "exclusive", origin=self.at("exclusive"))
            if "exclusive" in values
            else "",
            recheck=recheck_of(values, self.at),
            user_managed="check" in values,
            excluded=not included,
            warnings=typo_warnings(self.values, FIELDS, self.at),
        )

    def _check_identity(self) -> None:
        declared = self.values.get("identity")
        requested = self.spec.identity
        if declared == requested:
            return
        if declared is None:
            raise DeclarationError(
                "the recipe has no `identity`",
                origin=SourceLocation(self.source.path),
                hint=f'add identity = "{requested}"',
            )
        if not isinstance(declared, str):
            raise fields.wrong_type("identity", declared, "a string", origin=self.at("identity"))
        if self.spec.source is BUNDLED:
            raise DeclarationError(
                f'the recipe is "{declared}", and {MAP_NAME} of its bundle says that the file is '
                f'"{requested}"',
                origin=self.at("identity"),
                hint=f"make the two the same: change the identity or the entry of {MAP_NAME}",
            )
        raise DeclarationError(
            f'the recipe is "{declared}", and {self.spec.origin} requests "{requested}"',
            origin=self.at("identity"),
            hint="make the two the same: change an identity or the source",
        )

    def _host(self, options: Mapping[str, OptionValue]) -> tuple[tuple[str, str], ...]:
        """Return the programs of the machine: a table, or the result of a function of options."""
        value = self.values.get("host")
        if isinstance(value, LuaFunction):
            value = value.state.call(value, dict(options))
        return () if value is None else parse_host(value, self.at("host"))

    def _alias(self, options: Mapping[str, OptionValue]) -> str:
        """Return the alias: a string, or the result of a function of the options."""
        value = self.values.get("alias")
        if value is None:
            return ""
        if isinstance(value, LuaFunction):
            value = value.state.call(value, dict(options))
            if value is None:
                return ""
        return parse_alias({"alias": value}, origin=self.at("alias"))

    def _texts(self, name: str) -> tuple[str, ...]:
        if name not in self.values:
            return ()
        return fields.texts(self.values, name, origin=self.at(name))

    def _dependencies(self, options: Mapping[str, OptionValue]) -> tuple[Dependency, ...]:
        value = self.values.get("dependencies")
        if value is None:
            return ()
        origin = self.at("dependencies")
        address = Address(self.path, ("dependencies",))
        if isinstance(value, LuaFunction):
            value = value.state.call(value, dict(options))
            address = Address(
                self.path, ("dependencies",), serialise_options(options) if options else "", options
            )
        found = parse_dependencies(value, origin=origin, base_dir=self.base_dir, address=address)
        if self.spec.overrides is NO_OVERRIDES:
            return found
        from envy.declarations.overrides import overridden_dependencies

        return tuple(overridden_dependencies(found, self.spec.overrides))

    def _verbs(self) -> dict[str, Verb]:
        """Check which verbs are defined, and return those that are scripts or functions."""
        present = [verb for verb in VERBS if verb in self.values]
        self._check_verbs(present)
        return {verb: self._script(verb) for verb in ("check", "build", "install")}

    def _check_verbs(self, present: list[str]) -> None:
        if "check" not in present:
            if not {"fetch", "build", "install"}.intersection(present):
                near = [pair for pair in misspelt(self.values, FIELDS) if pair[1] in VERBS]
                raise DeclarationError(
                    "the recipe creates no content",
                    origin=self.at(near[0][0]) if near else SourceLocation(self.source.path),
                    hint=f"did you mean `{near[0][1]}` instead of `{near[0][0]}`?"
                    if near
                    else "add `fetch`, `build` or `install`; or `check` and `install`, if the "
                    "recipe changes the machine",
                )
            return
        for verb in ("fetch", "stage", "build"):
            if verb in present:
                raise DeclarationError(
                    f"a recipe with `check` is user-managed, and must not have `{verb}`",
                    origin=self.at(verb),
                    hint="move the download to a separate recipe, and depend on that",
                )
        if "install" not in present:
            raise DeclarationError(
                "a recipe with `check` is user-managed, and needs `install`",
                origin=self.at("check"),
                hint="`install` must change the machine so that `check` succeeds",
            )

    def _script(self, verb: str) -> Verb:
        value = self.values.get(verb)
        if value is None or isinstance(value, LuaFunction) or (isinstance(value, str) and value):
            return value
        hint = f"write several lines as one string: {verb} = [[ … ]]"
        raise fields.wrong_type(
            verb,
            value,
            "a script (a string) or a function",
            origin=self.at(verb),
            hint=hint if isinstance(value, list) else "",
        )

    def _fetch(self) -> tuple[SourceItem, ...] | LuaFunction | None:
        value = self.values.get("fetch")
        if value is None or isinstance(value, LuaFunction):
            return value
        return parse_source_items(value, origin=self.at("fetch"), base_dir=self.base_dir)

    def _stage(self) -> StageTable | Verb:
        value = self.values.get("stage")
        if isinstance(value, dict):
            return parse_stage_table(value, self.at("stage"))
        return self._script("stage")

    def _deploy(self) -> LuaFunction | None:
        value = self.values.get("deploy")
        if value is None or isinstance(value, LuaFunction):
            return value
        raise fields.wrong_type(
            "deploy",
            value,
            "a function",
            origin=self.at("deploy"),
            hint="deploy = function(ctx, opts) ctx.run([[ … ]]) end",
        )

    def _products(self) -> Mapping[str, Product] | LuaFunction:
        value = self.values.get("products")
        if value is None:
            return _NO_PRODUCTS
        if isinstance(value, LuaFunction):
            return value
        return parse_products(
            value,
            platform=self.platform,
            user_managed="check" in self.values,
            origin=self.at("products"),
        )

    def _exports(self) -> Exports | LuaFunction:
        value = self.values.get("exports")
        if value is None:
            return NO_EXPORTS
        if isinstance(value, LuaFunction):
            return value
        return parse_exports(value, self.at("exports"))
