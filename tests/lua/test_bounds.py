"""What Python does for Lua code is bounded like Lua code itself, and takes linear time."""

import pytest
from bounded import outcome_of

from envy.content import file_operations
from envy.content.patch import apply_patch
from envy.errors import EnvyError, LuaScriptError
from envy.limits import adopt_limits
from envy.lua.template import fill_template

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


@pytest.mark.parametrize(
    "text",
    [
        "{{" + " " * 20_000,
        "{{ a " + " " * 1_000_000 + "b }}",
        "{{" * 500_000,
        "{" * 1_000_000,
        "{{ " * 300_000 + "}}" * 300_000,
        "{{a}" * 300_000,
    ],
    ids=["spaces", "more spaces", "openings", "braces", "nested", "unfinished"],
)
def test_a_template_takes_linear_time(text):
    """No template keeps envy busy for longer than its length asks for."""
    kind, found = outcome_of(fill_template, text, {"a": "b"})
    assert kind == "value" or "has no value" in found, found


def test_white_space_around_names():
    """White space around the name of a placeholder does not count; inside it does."""
    assert fill_template("{{a}} {{ a }} {{\n\ta\u00a0}} {{a b}}", {"a": 1, "a b": 2}) == "1 1 1 2"
    assert fill_template("{{{a}}} { {a} } {{a}", {"a": 1}) == "{1} { {a} } {{a}"
    with pytest.raises(LuaScriptError, match=r"^\{\{ b \}\} has no value"):
        fill_template("{{ b }}", {"a": 1})


def test_the_result_of_a_template_is_bounded():
    """A template that would become larger than the memory of Lua is an error."""
    kind, text = outcome_of(fill_template, "{{a}}" * 10_000, {"a": "x" * MIB})
    assert kind == "error", text
    message, hint = text.split("\n")
    assert message == "the result of the template is larger than 512 MiB, the limit lua-memory"
    assert hint == "  hint: if that is intended, raise the limit: ENVY_LIMITS=lua-memory=1G"


def huge(path):
    path.touch()
    with path.open("r+b") as file:
        file.truncate(600 * MIB)
    return path


def test_a_file_that_is_too_large_for_lua(tmp_path):
    """ctx.read, ctx.replace and ctx.patch refuse a file that Lua code could not hold."""
    path = huge(tmp_path / "huge")
    calls = {
        "read": lambda: file_operations.read(path),
        "change": lambda: file_operations.replace(path, "a", "b"),
        "read the patch": lambda: apply_patch(tmp_path, run=None, file=path),
    }
    for doing, call in calls.items():
        kind, text = outcome_of(call)
        assert kind == "error", text
        assert f"cannot {doing} {path}: it is larger than 512 MiB, the limit lua-memory" in text


def test_a_replacement_that_makes_a_file_too_large(tmp_path):
    """ctx.replace refuses to make a file larger than Lua code could hold, before it does."""
    path = tmp_path / "file"
    path.write_text("a" * MIB)
    kind, text = outcome_of(file_operations.replace, path, "a", "b" * 1000)
    assert kind == "error", text
    assert "with 1048576 replacements it would be larger than 512 MiB, the limit lua-memory" in text
    assert path.read_text() == "a" * MIB


def test_a_file_that_is_not_plain(tmp_path):
    """A device is not read: it may have no end. A folder is one, in the words of the system."""
    with pytest.raises(EnvyError, match="cannot read /dev/zero: it is not a plain file"):
        file_operations.read(file_operations.resolve(tmp_path, "/dev/zero"))
    with pytest.raises(EnvyError, match=r"cannot read .*: Is a directory"):
        file_operations.read(tmp_path)


@pytest.mark.parametrize("function", ["dofile", "loadfile", "require"])
def test_a_lua_file_that_is_too_large(bench, function):
    """dofile, loadfile and require refuse a file that Lua code could not hold."""
    huge(bench.folder / "huge.lua")
    name = "huge" if function == "require" else "huge.lua"
    with pytest.raises(LuaScriptError, match=r"huge\.lua is larger than 512 MiB, the limit"):
        bench.load(f'{function}("{name}")')
