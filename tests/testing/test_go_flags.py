"""Go's flags: every flag is known, with one dash and two, and goes where it belongs."""

import re
import subprocess
from pathlib import Path

import pytest

from envy.errors import UsageError
from envy.testing.drivers.go_flags import FLAGS, GoFlags, Route, Value, split_words

# The flags of `go help build` and `go help testflag`, with a value for those that take one.
DOCUMENTED = {
    "build": "C a n p race msan asan cover covermode coverpkg v work x asmflags buildmode buildvcs "
    "compiler gccgoflags gcflags installsuffix json ldflags linkshared mod modcacherw modfile "
    "overlay pgo pkgdir tags trimpath toolexec",
    "testflag": "artifacts bench benchtime count cover covermode coverpkg cpu failfast fullpath "
    "fuzz fuzztime fuzzminimizetime json list outputdir parallel run short shuffle skip timeout v "
    "vet benchmem blockprofile blockprofilerate coverprofile cpuprofile memprofile memprofilerate "
    "mutexprofile mutexprofilefraction trace",
}
NAMES = sorted({name for text in DOCUMENTED.values() for name in text.split()})
SAMPLES = {Value.TEXT: "x", Value.NUMBER: "3", Value.DURATION: "2s"}


def split(*words, own=()):
    return split_words(words, own=set(own), own_with_value=set())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dashes", ["-", "--"])
def test_every_flag_is_known_in_both_spellings(name, dashes):
    """A flag and its value, joined or separate, are recognized and leave the pattern alone."""
    flag = FLAGS[name]
    sample = SAMPLES.get(flag.value)
    forms = [[f"{dashes}{name}"]]
    if sample:
        forms = [[f"{dashes}{name}={sample}"], [f"{dashes}{name}", sample]]
    for form in forms:
        rest, flags, _ = split(*form, "./pattern")
        if flag.route is Route.OWN:
            assert rest == [flag.target + (f"={sample}" if sample else ""), "./pattern"]
        else:
            assert (rest, flags) == (["./pattern"], [(name, sample)])


@pytest.mark.parametrize("name", [n for n in NAMES if FLAGS[n].route is not Route.OWN])
def test_every_flag_goes_to_build_or_run_or_is_refused(name):
    """No flag is accepted and then ignored."""
    flag = FLAGS[name]
    value = SAMPLES.get(flag.value)
    flags = GoFlags()
    if flag.route is Route.REFUSED:
        with pytest.raises(UsageError, match=f"does not support -{name}"):
            flags.add(name, value, where=Path("/project"))
        return
    flags.add(name, value, where=Path("/project"))
    took = [flags.build, flags.run, flags.directory, flags.cover_profile, flags.execute_with]
    assert any(took)
    if flag.route is Route.BUILD:
        assert flags.build == flags.listing
    if flag.route in {Route.RUN, Route.FILE}:
        assert flags.run[0].startswith(f"-test.{name}")


def test_files_are_relative_to_where_the_command_was_given():
    """A profile is written to the working directory, or to -outputdir relative to it."""
    flags = GoFlags()
    flags.add("cpuprofile", "cpu.out", where=Path("/project"))
    flags.add("coverprofile", "cover.out", where=Path("/project"))
    assert flags.run == ["-test.cpuprofile=cpu.out"]  # the binary puts it into -outputdir
    assert flags.profile_path(Path("/project")) == Path("/project/cover.out")
    flags.add("outputdir", "there", where=Path("/project"))
    assert flags.run[-1] == "-test.outputdir=/project/there"
    assert flags.profile_path(Path("/project")) == Path("/project/there/cover.out")


def test_words_after_args_are_the_binarys():
    """All words after -args or -- are passed to the test binary."""
    for end in ("-args", "--args", "--"):
        assert split("-race", end, "-short", "x") == ([], [("race", None)], ("-short", "x"))


def test_an_option_of_envys_keeps_its_double_dash():
    """--trace is envy's option; -trace FILE and --trace=FILE are Go's flag."""
    assert split("--trace", own=["--trace"])[0] == ["--trace"]
    assert split("--trace=stderr", own=["--trace"])[0] == ["--trace=stderr"]
    assert split("--trace=timeline:t", own=["--trace"])[0] == ["--trace=timeline:t"]
    assert split("--trace=t.out", own=["--trace"])[1] == [("trace", "t.out")]
    assert split("-trace", "t.out", own=["--trace"])[1] == [("trace", "t.out")]


@pytest.mark.parametrize(
    "words", [["-count=x"], ["-timeout", "soon"], ["-tags"], ["-parallel=two"]]
)
def test_a_value_that_cannot_be_is_named(words):
    """A missing or wrong value is a usage error."""
    with pytest.raises(UsageError, match=words[0].partition("=")[0]):
        split(*words)


@pytest.mark.needs("go")
@pytest.mark.parametrize("topic", DOCUMENTED)
def test_the_table_is_that_of_the_installed_go(topic):
    """Every flag that the installed Go documents is in the table."""
    text = subprocess.run(["go", "help", topic], capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^\t-([A-Za-z]+)\b", text, re.MULTILINE))
    assert listed - set(FLAGS) == set()
