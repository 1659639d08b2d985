"""The JSON that commands print, against its schema in docs/output.schema.json."""

import json
from pathlib import Path

import pytest

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "docs" / "output.schema.json").read_text(encoding="utf-8")
)
TYPES = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
    "null": type(None),
}


def faults(value, schema, where="$"):
    """Yield where a value differs from a schema; a field that the schema does not have is one."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(_is(value, name) for name in names):
        yield f"{where}: {value!r} is not of type {names}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, schema["items"], f"{where}[{index}]")
    elif isinstance(value, dict):
        yield from _faults_of_fields(value, schema, where)


def _is(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _faults_of_fields(value, schema, where):
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}: has no {name}"
    for name, item in value.items():
        if name in properties:
            yield from faults(item, properties[name], f"{where}.{name}")
        elif others is None:
            yield f"{where}.{name}: is not documented"
        elif others is not True:
            yield from faults(item, others, f"{where}.{name}")


TOOL = 'install = "echo > x"\n'


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A project in which packages are installed, failed, stopped, user-managed and missing."""
    from project import Project

    project = Project(tmp_path_factory.mktemp("json"))
    project.write(
        "envy.lua",
        """
        aliases = { tool = "local.tool@r1" }
        packages = { "local.tool@r1", "local.app@r1", "local.sys@r1", "local.lib@r1" }
        """,
    )
    project.recipe("local.tool@r1", 'products = { tool = { path = "x", kind = "file" } }\n' + TOOL)
    project.recipe(
        "local.app@r1", 'dependencies = { "local.bad@r1", { recipe = "local.tool@r1" } }\n' + TOOL
    )
    project.recipe("local.bad@r1", 'install = "exit 3"')
    project.recipe("local.sys@r1", 'check = "true"\ninstall = "true"\nproducts = { sh = "sh" }')
    project.recipe(
        "local.lib@r1",
        'dependencies = { { recipe = "tool", weak = { recipe = "local.tool@r1" } } }\n' + TOOL,
    )
    project.envy("sync", code=1)
    project.recipe("local.lib@r1", "fetch = 'data.txt'\n" + TOOL)
    project.write("recipes/data.txt", "data")
    return project


CASES = {
    "plan": ("plan", 0, ["plan", "--json"]),
    "dry run": ("plan", 0, ["sync", "--dry-run", "--json"]),
    "cache": ("cache", 0, ["cache", "--json"]),
    "graph": ("graph", 0, ["graph", "--json"]),
    "critical": ("graph", 0, ["graph", "--critical", "--json"]),
    "why": ("why", 0, ["why", "tool", "--json"]),
    "product": ("product", 0, ["product", "tool", "--json"]),
    "products": ("products", 0, ["product", "--json"]),
    "doctor": ("doctor", 0, ["doctor", "--json"]),
    "list": ("list", 0, ["list", "--json"]),
    "shipped": ("shipped", 0, ["list", "--shipped", "--json"]),
    "bundled": ("bundled", 0, ["list", "--bundles", "--json"]),
    "outdated": ("outdated", 0, ["outdated", "--json"]),
    "sync": ("sync", 1, ["sync", "--json"]),
    "lock": ("lock", 1, ["lock", "--check", "--json"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_command_prints_what_the_schema_says(everything, case):
    """Every field has its type and is documented, and standard output has nothing else."""
    definition, code, words = CASES[case]
    run = everything.envy(*words, code=code)
    assert list(faults(json.loads(run.out), SCHEMA["$defs"][definition])) == []


def test_the_result_of_a_sync(project):
    """Each wanted package has its outcome, and a failed one its phase, error and log."""
    project.packages("local.app@r1", "local.tool@r1")
    project.recipe("local.app@r1", 'dependencies = { "local.bad@r1" }\n' + TOOL)
    project.recipe("local.bad@r1", 'build = "echo no; exit 3"\n' + TOOL)
    project.recipe("local.tool@r1", 'envy.stdout("loaded")\n' + TOOL)
    run = project.envy("sync", "--json", code=1)
    document = json.loads(run.out)
    assert document["outcome"] == "failed"
    rows = {row["key"]: row for row in document["packages"]}
    assert {key: row["outcome"] for key, row in rows.items()} == {
        "local.app@r1": "not built",
        "local.bad@r1": "failed",
        "local.tool@r1": "installed",
    }
    bad, tool = rows["local.bad@r1"], rows["local.tool@r1"]
    assert (bad["phase"], bad["asset_dir"]) == ("build", None)
    assert bad["error"].startswith("local.bad@r1: build failed\n")
    assert Path(bad["log"]).read_text() == "$ echo no; exit 3\nno\n"
    assert Path(tool["asset_dir"], "x").exists()
    assert "loaded" in run.err


def test_a_sync_with_nothing_to_do(project):
    """A sync that would be answered from an earlier one prints the packages nevertheless."""
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", TOOL)
    project.envy("sync")
    document = json.loads(project.envy("sync", "--json").out)
    assert document["outcome"] == "complete"
    assert [row["outcome"] for row in document["packages"]] == ["cached"]


def test_errors_are_not_part_of_the_document(project):
    """An error that ends a command is text on standard error; standard output is empty."""
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", TOOL)
    assert project.envy("why", "nothing", "--json", code=1).out == ""
    run = project.envy("graph", "--json", "--format", "dot", code=2)
    assert (run.out, "--json and --format dot contradict each other" in run.err) == ("", True)
