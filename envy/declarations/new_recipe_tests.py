"""The text of the first tests of a new recipe; see `envy new`.

Pure, as `new_recipe`: what the tests serve is made up from what is known of the source.
"""

from envy.declarations.manifest_text import lua_text
from envy.declarations.new_recipe import NewRecipe

_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_SCRIPT = "#!/bin/sh\n"


def tests_text(new: NewRecipe) -> str:
    """Return the text of a file of tests for a recipe."""
    parts = [
        f"-- Tests of {new.identity}, which `envy test` runs.\n",
        _declares(new),
        _installs(new),
    ]
    return "\n".join(filter(None, parts))


def _declares(new: NewRecipe) -> str:
    lines = [f"  t.platform({lua_text(new.platform)})"] if new.platform else []
    lines.append("  local it = t.load()")
    if new.kind == "user-managed":
        lines.append("  t.ok(it.user_managed)")
    elif new.is_library:
        lines.append('  t.equal(it.exports.cmake_prefix, { "." })')
    else:
        names = ", ".join(map(lua_text, sorted(new.products)))
        lines.append(f"  for _, name in ipairs {{ {names} }} do t.ok(it.products[name], name) end")
    return "function test_what_it_declares(t)\n" + "\n".join(lines) + "\nend\n"


def _installs(new: NewRecipe) -> str:
    """Return a test that installs the package, if its source is easily made up; else ""."""
    paths = sorted(set(new.products.values()))
    if new.kind == "product":
        response = ""
    elif new.kind == "archive":
        top = "top/" * new.strip
        files = "".join(f"    [{lua_text(top + path)}] = {lua_text(_SCRIPT)},\n" for path in paths)
        response = f"{{ files = {{\n{files}  }} }}"
    elif new.kind == "binary" and not (new.dest or new.source).endswith(_COMPRESSED):
        response = lua_text(_SCRIPT)
    else:
        return ""
    lines = [f"  t.platform({lua_text(new.platform)})"] if new.platform else []
    if response:
        lines.append(f"  t.serve(t.load().sources[1].source, {response})")
    lines.append("  local it = t.install()")
    lines += [f"  t.ok(it.is_executable({lua_text(path)}))" for path in paths]
    return "function test_what_it_installs(t)\n" + "\n".join(lines) + "\nend\n"
