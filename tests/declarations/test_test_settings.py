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


def test_settings_of_single_tests_are_rows():
    """Rows name tests by patterns; with nothing else in `tests`, suites are found as without it."""
    rows = [
        {"test": "a/Slow*", "timeout": "1m30s", "retries": 2},
        {"package": "*/net", "serial": True},
    ]
    found = parse_tests({"settings": rows}, origin=None)
    assert [(rule.timeout, rule.retries, rule.serial) for rule in found.rules] == [
        (90.0, 2, None), (None, None, True),
    ]  # fmt: skip
    assert not found.names_suites
    assert parse_tests({"settings": rows, "pytest": {}}, origin=None).names_suites
    assert parse_tests({"settings": []}, origin=None).rules == ()
    slow, net = found.rules
    assert slow.matches("any", "a%2FSlowOne")
    assert not slow.matches("any", "b")
    assert net.matches("m/net", "b")
    assert not net.matches("net", "b")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"test": "a"}, "`tests.settings` must be an array of tables, not a table"),
        (["a"], "element 1 of `tests.settings` must be a table"),
        ([{"retries": 1}], "element 1 of `tests.settings` names neither a `package` nor a `test`"),
        ([{"test": "a"}], "element 1 of `tests.settings` gives none of retries, serial, timeout"),
        ([{"test": "a", "retrys": 1}], 'has no field "retrys"'),
        ([{"test": "a", "retries": -1}], "`retries` must be a whole number, 0 or more, not -1"),
        ([{"test": "a", "retries": 101}], "`retries` must be at most 100, not 101"),
        ([{"test": "a", "timeout": 5}], "`timeout` must be a non-empty string"),
        ([{"test": "a", "timeout": "5 min"}], "`timeout` must be a duration, not '5 min'"),
        ([{"test": "a", "serial": 1}], "`serial` must be true or false"),
        ([{"test": "", "serial": True}], "`test` must be a non-empty string"),
    ],
)
def test_a_wrong_row_of_settings_is_an_error(rows, says):
    """The error says which row, and what it may have."""
    with pytest.raises(DeclarationError) as caught:
        parse_tests({"settings": rows}, origin=None)
    assert says in str(caught.value)
