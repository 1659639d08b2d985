"""The layering of the modules, and the house rules that a reader of imports can check.

cli → testing, explain → engine → phases → recipe → tools → declarations → lua → foundation; the
console knows the foundation only. A module that is in no layer fails here: say in `LAYERS` where
it belongs.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "envy"

# Each layer may import itself and what it is said to see.
LAYERS = {
    "foundation": {
        "errors",
        "events",
        "file_digest",
        "interpreter",
        "phase",
        "platform",
        "suggest",
        "surroundings",
    },
    "lua": {"lua"},
    "declarations": {
        "fields",
        "manifest",
        "manifest_search",
        "option_text",
        "options",
        "origins",
        "recipe_definition",
        "recipe_entries",
        "recipe_key",
        "recipe_spec",
        "recipe_tables",
        "shipped",
        "sources",
        "spelling",
    },
    "tools": {
        "archive",
        "atomic",
        "cache",
        "children",
        "evidence",
        "files",
        "jobserver",
        "process",
        "shell",
        "shims",
        "transport",
        "unpacking",
    },
    "recipe": {"recipe"},
    "phases": {"phases"},
    "engine": {"engine"},
    "testing": {"testing"},
    "explain": {"explain"},
    "console": {"console"},
    "cli": {"cli", "__main__"},
}
SEES = {
    "foundation": set(),
    "lua": {"foundation"},
    "declarations": {"foundation", "lua"},
    "tools": {"foundation", "lua", "declarations"},
    "recipe": {"foundation", "lua", "declarations", "tools"},
    "phases": {"foundation", "lua", "declarations", "tools", "recipe"},
    "engine": {"foundation", "lua", "declarations", "tools", "recipe", "phases"},
    "testing": {"foundation", "declarations", "tools", "engine", "console"},
    "explain": {
        "foundation",
        "lua",
        "declarations",
        "tools",
        "recipe",
        "phases",
        "engine",
    },
    "console": {"foundation"},
    "cli": set(LAYERS),
}
SPEAKERS = ("console", "cli")
ENVIRONMENT_READERS = ("surroundings.py", "cli/wiring.py")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


MODULES = sorted((path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"), key=name_of)


def layer_of(part):
    return next((layer for layer, parts in LAYERS.items() if part in parts), None)


def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def dotted(node):
    """`a.b.c` as text; "" for anything that is no plain chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def imported_parts(path):
    """The first names below `envy` that a module imports, with the lines."""
    for node in nodes_of(path):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            part = rest.partition(".")[0]
            if first == "envy" and part and part != "__version__":
                yield node.lineno, part


def used_names(path):
    """Every dotted name that a module uses or imports from elsewhere, with its line."""
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute | ast.Name):
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_layering(path):
    """A module imports its own layer and those under it."""
    own = layer_of(name_of(path).partition("/")[0].removesuffix(".py"))
    assert own, f"say in LAYERS where {name_of(path)} belongs"
    wrong = [
        f"{name_of(path)}:{line} ({own}) imports envy.{part} ({layer_of(part)})"
        for line, part in imported_parts(path)
        if layer_of(part) not in {own, *SEES[own]}
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_console_and_the_commands_speak(path):
    """Nothing else prints, or writes to a standard stream."""
    speaks = {"print", "click.echo", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    spoken = [f"{name_of(path)}:{line} {name}" for line, name in used_names(path) if name in speaks]
    assert spoken == [] or name_of(path).startswith(SPEAKERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_platform_and_the_wiring_read_the_environment(path):
    """Everything else is handed the variables that it may see."""
    reads = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
    found = [f"{name_of(path)}:{line} {name}" for line, name in used_names(path) if name in reads]
    assert found == [] or name_of(path) in ENVIRONMENT_READERS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_sleeps(path):
    """A wait has something that wakes it."""
    found = [f"{name_of(path)}:{line}" for line, name in used_names(path) if name == "time.sleep"]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_owns(path):
    """A module starts with a docstring; a package that is only a folder may be empty."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body
