"""The order of the rooms, and house rules that can be checked from the source.

docs/architecture.md has the map. A module outside of the rooms fails here.
"""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from envy import events

TESTS = Path(__file__).parent
ROOT = TESTS.parent / "envy"

LONGEST_MODULE, LONGEST_FUNCTION = 400, 60  # lines

# A room imports itself and those before it.
ORDER = (
    "root", "host", "content", "lua", "declarations", "locking", "cache", "answers", "transport",
    "sharing", "jobserver", "graph", "scheduler", "execution", "keying", "phases", "engine",
    "console", "testing", "explain", "cli", "__main__",
)  # fmt: skip
# Modules that every room uses. All others are in rooms.
IN_ROOT = {
    "environment", "errors", "events", "extras", "interpreter", "limits", "masking", "os_errors",
    "phase", "suggest",
}  # fmt: skip
SPEAKERS = ("console", "cli")
ENVIRONMENT_READERS = ("environment.py",)
ENVIRONMENT_CALLERS = ("__main__.py", "cli/main.py", "cli/fast_path.py")
# Commands and explain/ see these only through engine/session.
BEHIND_THE_SESSION = {"phases", "execution", "scheduler"}
# Modules that may write to the records of a recipe; scheduler and test runner know no recipes.
RECORD_WRITERS = ("phases/", "execution/", "keying/", "engine/record.py")
RECORDS = {"Recipe", "RecipeFunctions", "Work"}
KNOW_NO_RECIPE = {*ORDER[: ORDER.index("graph")], "scheduler", "testing"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


# These run in the project's Python, and are no modules of envy.
FOREIGN = ROOT / "testing/drivers/projects/reporters"
MODULES = sorted(
    (
        path
        for path in ROOT.rglob("*.py")
        if path != ROOT / "__init__.py" and path.parent != FOREIGN
    ),
    key=name_of,
)


def room_of(module):
    """The room of a module, given by its dotted name below `envy`."""
    first = module.partition(".")[0]
    return "root" if first in IN_ROOT else first


@functools.cache
def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def module_name(path):
    """The dotted name of a module's file."""
    parts = ("envy", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path, known):
    """Yield the modules of envy that a module imports, anywhere in its text."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found = {name if name in known else node.module for name in names}
            yield from found & known


KNOWN = {module_name(path) for path in MODULES} | {"envy"}


def dotted(node):
    """Return `a.b.c` as text; "" for anything but a plain chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


@functools.cache
def used_names(path):
    """Return every dotted name that a module uses or imports from elsewhere, with its line."""
    names = []
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute | ast.Name):
            names.append((node.lineno, dotted(node)))
        elif isinstance(node, ast.ImportFrom):
            names += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return names


def of_each_module(check):
    """A test of all modules, whose failure names each module that breaks the rule.

    A parametrised test of each rule and module would be thousands of tests.
    """

    def test():
        broken = []
        for path in MODULES:
            try:
                check(path)
            except AssertionError as error:
                broken.append(f"{name_of(path)}: {error}")
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


@of_each_module
def test_imports_follow_the_order_of_the_rooms(path):
    """A module imports its own room and those before it."""
    own = room_of(module_name(path).removeprefix("envy."))
    assert own in ORDER, f"{name_of(path)} lies in no room: see ORDER and IN_ROOT"
    rooms = {name: room_of(name.removeprefix("envy.")) for name in imported_modules(path, KNOWN)}
    allowed = ORDER[: ORDER.index(own) + 1]
    assert [name for name, room in rooms.items() if name != "envy" and room not in allowed] == []


@of_each_module
def test_only_the_console_and_the_commands_speak(path):
    """No other module prints, or writes to a standard stream."""
    speaks = {"print", "click.echo", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    spoken = [f"{name_of(path)}:{line} {name}" for line, name in used_names(path) if name in speaks]
    assert spoken == [] or name_of(path).startswith(SPEAKERS)


@of_each_module
def test_only_one_module_reads_the_environment(path):
    """All other modules are passed the variables that they may use."""
    reads = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
    found = [f"{name_of(path)}:{line} {name}" for line, name in used_names(path) if name in reads]
    assert found == [] or name_of(path) in ENVIRONMENT_READERS


@of_each_module
def test_the_environment_is_taken_once_where_a_command_starts(path):
    """`environment()` is called where a command starts, and its result is passed on."""
    taken = "envy.environment.environment"
    found = [f"{name_of(path)}:{line}" for line, name in used_names(path) if name == taken]
    assert found == [] or name_of(path) in ENVIRONMENT_CALLERS


@of_each_module
def test_commands_use_the_session_only(path):
    """Except for the wiring, cli/ and explain/ import no phases, execution/ or scheduler/."""
    own = module_name(path).removeprefix("envy.")
    if room_of(own) not in {"cli", "explain"} or own == "cli.wiring":
        return
    rooms = {name: room_of(name.removeprefix("envy.")) for name in imported_modules(path, KNOWN)}
    assert [name for name, room in rooms.items() if room in BEHIND_THE_SESSION] == []


@of_each_module
def test_nothing_sleeps(path):
    """No module sleeps: every wait can be woken."""
    found = [f"{name_of(path)}:{line}" for line, name in used_names(path) if name == "time.sleep"]
    assert found == []


@of_each_module
def test_every_module_says_what_it_owns(path):
    """A module starts with a docstring; a package that is only a folder may be empty."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body


def test_modules_do_not_import_each_other_in_a_circle():
    """No module imports itself through others, even in functions and for type checking."""
    graph = nx.DiGraph()
    for path in MODULES:
        graph.add_edges_from((module_name(path), name) for name in imported_modules(path, KNOWN))
    circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert [sorted(part) for part in circles] == []


@of_each_module
def test_modules_and_functions_are_short(path):
    """A module has at most 400 lines, and a function at most 60."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_tests_mirror_the_rooms():
    """A folder of tests is named after the room that it tests."""
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    assert folders <= set(ORDER) | {"events"}


def test_no_public_class_name_exists_twice():
    """The name of a public class is unique, so that a search finds the only one."""
    found = {}
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name_of(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


# Imports modules, and prints the modules of envy that are loaded then.
LOADED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*(name for name in sys.modules if name.startswith("envy.")), sep="\\n")
"""
RECIPE_TESTS = "envy.testing.drivers.recipe"  # this driver may know recipes


EVENT_CLASSES = {
    name
    for name, value in vars(events).items()
    if isinstance(value, type) and issubclass(value, events.Event) and value is not events.Event
}


def test_each_event_class_is_constructed_in_one_place():
    """Only one function constructs each event, so that its fields cannot differ."""
    found = {}
    for path in MODULES:
        for node in nodes_of(path):
            name = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if name in EVENT_CLASSES:
                found.setdefault(name, []).append(f"{name_of(path)}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize("room", ["scheduler", "testing"])
def test_a_room_for_any_kind_of_work_loads_nothing_about_recipes(room):
    """Neither the scheduler nor the test runner loads a module of lua, graph or engine."""
    modules = [
        name
        for name in sorted(KNOWN)
        if name.startswith(f"envy.{room}") and not name.startswith(RECIPE_TESTS)
    ]
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *modules], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[1] for name in run.stdout.split()}
    assert room in loaded
    assert loaded & {"lua", "graph", "engine"} == set()


def fields_of_records():
    """The names of the fields of a recipe's records that can be assigned; the others are frozen."""
    tree = ast.parse((ROOT / "graph" / "recipe.py").read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in RECORDS]
    assert {record.name for record in found} == RECORDS
    rows = [row for record in found for row in record.body if isinstance(row, ast.AnnAssign)]
    return {dotted(row.target) for row in rows}


def assigned_attributes(path):
    """Yield every attribute that a module assigns or deletes, except of `self`, with its line."""
    for node in nodes_of(path):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store | ast.Del)
            and dotted(node.value) not in {"self", "cls"}
        ):
            yield node.lineno, node.attr


FIELDS = fields_of_records()


@of_each_module
def test_few_modules_write_to_the_records_of_a_recipe(path):
    """Only phases, and one module of the engine, assign to the fields of a recipe's records."""
    if room_of(module_name(path).removeprefix("envy.")) in KNOW_NO_RECIPE:
        return
    written = [
        f"{name_of(path)}:{line} {name}"
        for line, name in assigned_attributes(path)
        if name in FIELDS
    ]
    assert written == [] or name_of(path).startswith(RECORD_WRITERS)
