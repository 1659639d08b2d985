"""The text of a new recipe, one template for each kind of package; see `envy new`.

Pure: the files that a template is filled from were read before. A template is Lua with places such
as `<<name>>`; a line that has nothing but an empty place is left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envy.declarations.manifest_text import lua_text
from envy.declarations.option_text import OptionValue
from envy.declarations.recipe_templates import TEMPLATES

_PLACE = re.compile(r"<<(\w+)>>")
_LIBRARY = 'exports = { cmake_prefix = { "." }, pkg_config = { "lib/pkgconfig" } }'


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecipe:
    """What a new recipe is made of; fields that its kind does not use stay empty.

    `pin` is the field of the source that pins it, with its value. `products` are paths by name.
    `platform` is the one that the programs are for, "" for any. `executable` are files that the
    archive does not mark as programs. `make_installs`: the makefile has a target `install`.
    """

    kind: str
    name: str
    source: str = ""
    pin: tuple[str, str] = ("", "")
    dest: str = ""
    strip: int = 0
    products: Mapping[str, str]
    platform: str = ""
    executable: Sequence[str] = ()
    make_installs: bool = True
    is_library: bool = False
    requirements: Sequence[str] = ()
    package: str = ""
    check: str = ""
    install: str = ""

    @property
    def identity(self) -> str:
        """The identity of the recipe."""
        return f"local.{self.name}@r1"


def recipe_text(new: NewRecipe) -> str:
    """Return the text of a recipe file."""
    values = _values(new)
    lines = []
    for line in TEMPLATES[new.kind].splitlines():
        place = _PLACE.fullmatch(line.strip())
        if place and not values[place[1]]:
            continue
        lines.append(_PLACE.sub(lambda found: values[found[1]], line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n") + "\n")


def _values(new: NewRecipe) -> dict[str, str]:
    check = new.check or f"test -f {new.name}.conf"
    install = new.install or f"echo '# written by envy' > {new.name}.conf"
    return {
        "name": new.name,
        "identity": lua_text(new.identity),
        "platforms": _platforms(new.platform),
        "source": _source(new),
        "stage": _stage(new),
        "products": _products(new),
        "exports": _LIBRARY if new.is_library else _path(new),
        "install_make": _INSTALL if new.make_installs else _COPY % _texts(list(new.products)),
        "programs": _texts(list(new.products)),
        "requirements": _texts(list(new.requirements)),
        "package": lua_text(new.package),
        "check": lua_text(check),
        "install": lua_text(install),
        "path": lua_text(f"bin/{new.name}"),
    }


_INSTALL = """\
install = function(ctx)
  local prefix = ctx.install_dir
  ctx.exec({ "make", "install", "PREFIX=" .. prefix, "prefix=" .. prefix }, { cwd = ctx.stage_dir })
end"""
_COPY = """\
-- The makefile has no target `install`.
install = function(ctx)
  for _, name in ipairs { %s } do ctx.copy(ctx.stage_dir .. "/" .. name, "bin/") end
end"""


def _texts(texts: Sequence[str]) -> str:
    return ", ".join(map(lua_text, texts))


def _platforms(platform: str) -> str:
    if not platform:
        return ""
    return (
        "-- The programs are for this platform. For more: envy.per_platform chooses a source.\n"
        f"platforms = {{ {lua_text(platform)} }}"
    )


def _source(new: NewRecipe) -> str:
    name, value = new.pin
    fields: dict[str, OptionValue] = {"source": new.source, name: value}
    if new.dest:
        fields["dest"] = new.dest
    if new.kind == "binary":
        fields["executable"] = True
    rows = "".join(f"  {key} = {lua_text(field)},\n" for key, field in fields.items())
    return f"fetch = {{\n{rows}}}"


def _stage(new: NewRecipe) -> str:
    if not new.executable:
        strip = f"{{ strip = {new.strip} }} -- without the top folder of the archive"
        return f"stage = {strip}" if new.strip else ""
    modes = "".join(f'  ctx.chmod({lua_text(path)}, "+x")\n' for path in new.executable)
    arguments = f"({{ strip = {new.strip} }})" if new.strip else "()"
    return (
        "-- The archive does not say that these are programs.\n"
        f"stage = function(ctx)\n  ctx.extract_all{arguments}\n{modes}end"
    )


def _products(new: NewRecipe) -> str:
    if new.is_library:
        return ""
    rows = dict(sorted(new.products.items()))
    text = f"products = {lua_text(dict(rows.items()))}"
    if len(text) > 100:
        inner = "".join(f"  {lua_text({name: path})[2:-2]},\n" for name, path in rows.items())
        text = f"products = {{\n{inner}}}"
    return text


def _path(new: NewRecipe) -> str:
    folders = sorted({path.rpartition("/")[0] or "." for path in new.products.values()})
    return f"exports = {{ path = {{ {_texts(folders)} }} }}"
