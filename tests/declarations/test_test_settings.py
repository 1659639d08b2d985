"""The table `tests` of the manifest."""

import pytest

from envy.declarations.test_settings import NO_TESTS, NativeFolder, parse_tests, settings_of
from envy.errors import DeclarationError


def test_the_most_exact_folder_decides():
    """A folder stands for itself, `name/...` for all below it, too."""
    settings = parse_tests(
        {
            "native": {
                "...": {"flags": ["-DA"]},
                "src/...": {"sources": ["lib/*.c"]},
                "./src/x/": {"include": ["inc"], "link": ["-lz"]},
            }
        },
        origin=None,
    )
    assert settings_of(settings, "other") == NativeFolder(folder=".", below=True, flags=("-DA",))
    assert settings_of(settings, ".").flags == ("-DA",)
    assert settings_of(settings, "src").sources == ("lib/*.c",)
    assert settings_of(settings, "src/y").sources == ("lib/*.c",)
    assert settings_of(settings, "src/x").sources is None
    assert settings_of(settings, "src/x").link == ("-lz",)
    assert settings_of(settings, "srcs").flags == ("-DA",)
    assert settings_of(NO_TESTS, "src") is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "`tests` must be a table, not an array"),
        ({"nativ": {}}, "`tests.nativ` has neither `command` nor `kind`"),
        ({"a b": {}}, "`tests` has an entry 'a b', which is not a name"),
        ({"pytest": True}, "`tests.pytest` must be a table, not a boolean"),
        ({"x": {"kind": "pytes"}}, "`kind` cannot be 'pytes'"),
        ({"pytest": {"command": "x"}}, '`tests.pytest` has no field "command"'),
        ({"x": {"command": "x"}}, "`tests.x` has no `format`"),
        ({"x": {"command": "x", "format": "xml"}}, "`format` cannot be 'xml'"),
        ({"x": {"command": [], "format": "tap"}}, "`command` must be"),
        ({"x": {"command": "x", "format": "exit", "report": "r"}}, "`report` is not read"),
        ({"x": {"command": "x", "format": "tap", "folder": ["a", "b"]}}, "several folders"),
        ({"pytest": {"folder": "../x"}}, "the folder '../x' is not below the manifest"),
        ({"pytest": {"env": {"A": 1}}}, "the variable A must be a string, not a number"),
        ({"pytest": {"env": {"A=": "1"}}}, "`env` has 'A=', which is not a variable"),
        ({"pytest": {"inputs": ["a\nb"]}}, "which cannot be the name of a file"),
        ({"pytest": {"args": "-x"}}, "`args` must be an array of strings"),
        ({"native": "x"}, "`tests.native` must be a table, not a string"),
        ({"native": {"a": {"source": []}}}, "the folder `a` of tests.native has no field"),
        ({"native": {"a": {"sources": "x.c"}}}, "`sources`"),
        ({"native": {"../a": {}}}, "the folder `../a` of tests.native is not below the manifest"),
        ({"native": {"a": 3}}, "the folder `a` of tests.native must be a table, not a number"),
    ],
)
def test_what_is_wrong_is_named(value, message):
    """Unknown fields and wrong types are errors."""
    with pytest.raises(DeclarationError) as raised:
        parse_tests(value, origin=None)
    assert message in raised.value.message
