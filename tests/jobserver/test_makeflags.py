"""The options in MAKEFLAGS that name a jobserver, and how GNU make reads them."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.jobserver.makeflags import (
    OuterJobserver,
    jobserver_in,
    naming_jobserver,
    without_jobserver,
)
from envy.jobserver.tokens import make_pipe


@pytest.mark.parametrize(
    ("makeflags", "named"),
    [
        ("", None),
        ("k", None),
        (" -j4 --jobserver-auth=3,4", OuterJobserver(descriptors=(3, 4))),
        ("ks -j --jobserver-fds=3,4 --jobserver-auth=3,4", OuterJobserver(descriptors=(3, 4))),
        (" -j8 --jobserver-auth=fifo:/tmp/GMfifo12", OuterJobserver(fifo="/tmp/GMfifo12")),
        ("--jobserver-auth=3,4 --jobserver-auth=fifo:/x", OuterJobserver(fifo="/x")),
        ("-j --jobserver-auth=-2,-2", None),
        ("-j2 -- FLAGS=--jobserver-auth=3,4", None),
        ("w -- V=1", None),
    ],
)
def test_a_jobserver_is_found(makeflags, named):
    """The last named jobserver counts; words after `--` are variables."""
    assert jobserver_in(makeflags) == named


@pytest.mark.parametrize(
    ("makeflags", "left"),
    [
        ("", ""),
        ("-j8 --no-print-directory", "-j8 --no-print-directory"),
        (" -j4 --jobserver-auth=3,4", ""),
        ("ks -j4 --jobserver-auth=fifo:/x --jobserver-style=fifo -l2", "ks -l2"),
        ("-j --jobserver-fds=3,4 --jobserver-auth=3,4 -- A=-j1 B=2", "-- A=-j1 B=2"),
        ("-j2 -- A=--jobserver-auth=3,4", "-j2 -- A=--jobserver-auth=3,4"),
    ],
)
def test_a_jobserver_is_removed(makeflags, left):
    """Flags without a jobserver are unchanged; with one, the options about jobs are removed too."""
    assert without_jobserver(makeflags) == left


WORDS = st.lists(st.sampled_from(["-k", "-l2", "-j", "-j3", "--no-print-directory", "-s"]))


@given(before=WORDS, after=WORDS, fifo=st.sampled_from(["", "/a/b", "/with space/x", "/a$b"]))
def test_a_named_jobserver_is_found_and_can_be_removed(before, after, fifo):
    """Beside any other flags, a jobserver that envy names is found, and removed without a trace."""
    naming = naming_jobserver(fifo, (100, 101))
    flags = " ".join([*before, naming, *after])
    expected = (
        OuterJobserver(fifo=fifo) if fifo == "/a/b" else OuterJobserver(descriptors=(100, 101))
    )
    assert jobserver_in(flags) == expected
    assert jobserver_in(without_jobserver(flags)) is None
    kept = [word for word in [*before, *after] if not word.startswith("-j")]
    assert without_jobserver(flags).split() == kept


@pytest.mark.parametrize("fifo", ["", "FOLDER/fifo", "FOLDER/a space/fifo"])
def test_make_uses_the_named_jobserver(tmp_path, fifo):
    """The make of this machine finds the descriptors, gives no warning, and takes the tokens."""
    folder = tmp_path / "a space" if "space" in fifo else tmp_path
    pipe = make_pipe(folder, "fifo")
    pipe.put(b"++")
    pair = pipe.open_for_tool()
    # Three recipes that each wait until all three have begun.
    for name in "abc":
        os.mkfifo(tmp_path / name)
    (tmp_path / "Makefile").write_text(
        "all: a.x b.x c.x\n%.x:\n"
        "\t@echo >> count; while [ $$(wc -l < count) -lt 3 ]; do :; done; touch $@\n"
    )
    made = subprocess.run(
        ["make"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "MAKEFLAGS": naming_jobserver(fifo.replace("FOLDER", str(tmp_path)), pair),
        },
        pass_fds=pair,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    for descriptor in pair:
        os.close(descriptor)
    assert (made.returncode, made.stderr) == (0, "")
    assert pipe.count() == 2
    pipe.close()
