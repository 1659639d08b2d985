"""What zig tells with -### becomes commands, and nothing that is not understood does."""

import pytest

from envy.testing.drivers.native.commands import template_words

LINE = (
    ' "/z/zig" "-cc1" "-triple" "x86_64-linux-gnu" "-main-file-name" "envy_probe.c" '
    '"-target-cpu" "x86-64" "-D" "PRICE=\\$5 \\"x\\\\y\\"" "-target-feature" "-avx2" '
    '"-target-feature" "+sse2" "-o" "/dev/null" "-x" "c" "/s/envy_probe.c"'
)
WORDS = [
    "/z/zig", "-cc1", "-triple", "x86_64-linux-gnu", "-main-file-name", "\0main",
    "-target-cpu", "x86-64", "-D", 'PRICE=$5 "x\\y"', "-target-feature", "+sse2",
    "-o", "\0output", "-x", "c", "\0input",
]  # fmt: skip


def told(line):
    """Return the words of an answer."""
    return template_words(f"clang version 22\n (in-process)\n{line}\n", "/s/envy_probe.c")


def test_words_are_read_with_gaps_for_files():
    """Quotes are taken off, and features that are off anyway are left out."""
    assert told(LINE) == WORDS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"+sse2"', '"+avx512f"'),  # which implies some of those that are off
        ('"-avx2"', '"-sse"'),  # which x86-64 has
        ('"x86-64"', '"x86-64-v3"'),
    ],
)
def test_features_stay_where_they_mean_something(old, new):
    """Features that are off are left out only beside those of the first x86-64."""
    words = told(LINE.replace(old, new))
    assert words.count("-target-feature") == 2


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"{LINE}\n{LINE}",
        LINE.replace('"-cc1"', '"-cc1as"'),
        LINE.replace('"-o"', '"-O"'),
        LINE.replace('"-x"', '"-o" "y" "-x"'),
        LINE.replace('"/s/envy_probe.c"', '"/s/other.c"'),
        LINE.replace('"-D"', '"-fmodules-cache-path=/s/x" "-D"'),
        LINE.replace("PRICE", "\ufffd"),
        LINE.replace('"-D"', "-D"),
        LINE[:-1],
    ],
)
def test_what_is_not_plain_is_not_used(line):
    """Several compilers, other files, paths of this run and damaged text are not understood."""
    assert told(line) is None
