"""The fast path: it parses every command line that it understands like the full command line."""

import contextlib
import io
import itertools
import os
import re
import subprocess
import sys

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cache.run_once import run_once_manifest, write_run_once
from envy.cli import asset, env, product, run, sync, x
from envy.cli.cache_root import cache_root
from envy.cli.fast_path import all_cached, answer, find_paths, parse_plain, tool_words
from envy.cli.main import CommandEntry, run_command_line
from envy.cli.options import EnvyCommand, Invocation
from envy.cli.settings import current_directory, merge_settings
from envy.console.summary import SyncResult, final_line
from envy.declarations.manifest_search import find_manifest

WORDS = st.sampled_from([
    "sync", "asset", "app", "lib@r1", "sync", "run", "x", "product", "env", "--format", "json",
    "--format=fish", "--format=xml", "--with", "--json", "-q",
    "--quiet", "-v", "--verbose", "-y", "--yes", "--offline", "--fail-fast",
    "--no-progress", "--jobs", "-j", "3", "0", "-j4", "--jobs=2", "-j=2", "--jobs=",
    "--fetch-jobs", "--fetch-jobs=1", "--trace", "--trace=stderr", "--dry-run", "--no-install",
    "--help", "--version", "--", "-", "--manifest", "--manifest=envy.lua", "--manifest=./envy.lua",
    "envy.lua", "sub/envy.lua", "sub", "../project/envy.lua", "//x", "--cache-root", "/caches",
    "--cache-root=caches", "/caches/", "~/x", "x=y", "-yq", "-qj3", "+3", "1_0", "", " ",
])  # fmt: skip
MANIFESTS = ["", "envy.lua", "sub/envy.lua", "./envy.lua", "sub", "~/x"]
ROOTS = ["", "/c", "/c/", "/c//d", "/c/./d", "c", "~/c", "/c/.."]
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        "ENVY_MANIFEST": st.sampled_from(MANIFESTS),
        "ENVY_CACHE_ROOT": st.sampled_from(ROOTS),
        "ENVY_YES": st.sampled_from(["", "1", "no", " Yes ", "maybe"]),
        "ENVY_OFFLINE": st.sampled_from(["", "1", "maybe"]),
    },
)
PLACES = st.sampled_from(["", "sub/deep"])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a manifest, and a second manifest below it."""
    folder = tmp_path_factory.mktemp("quick") / "project"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "envy.lua").touch()
    (folder / "sub" / "envy.lua").touch()
    return folder


def taken_by_click(arguments, variables):
    """Return how the full command line parses the words; None if it runs no command."""
    taken = []

    def entry(module, name):
        def record(**parameters):
            given = click.get_current_context().ensure_object(Invocation).given
            taken.append((name, parameters, merge_settings(given, variables)))

        command = EnvyCommand(
            name,
            params=module.command.params,
            callback=record,
            context_settings=module.command.context_settings,
        )
        return Loaded(command)

    modules = {"sync": sync, "asset": asset, "run": run, "product": product, "env": env, "x": x}
    table = {name: entry(module, name) for name, module in modules.items()}
    nowhere = io.StringIO()
    with contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
        run_command_line(arguments, environment=variables, commands=table)
    return taken[0] if taken else None


class Loaded(CommandEntry):
    """A row of the table of commands whose command is already imported."""

    def __init__(self, command):
        super().__init__("", "")
        object.__setattr__(self, "target", command)

    def load(self):
        return self.target


@settings(max_examples=1500, deadline=None)
@given(
    words=st.lists(WORDS, max_size=6), variables=VARIABLES, place=st.sampled_from(["", "sub/deep"])
)
def test_both_command_lines_agree(project, words, variables, place):
    """Command, queries, --quiet, manifest and cache are those of the full command line."""
    variables = {"HOME": os.environ.get("HOME", "/"), **variables}
    with contextlib.chdir(project / place):
        understood = parse_plain(words)
        if understood is None:
            return
        if understood.command == "x":
            # Its manifest is in the cache, which is not the same for all of these variables.
            taken = taken_by_click(words, variables)
            if taken is None:
                return  # a variable is not valid, which find_paths notices
            _, parameters, full = taken
            assert list(parameters["words"]) == list(understood.words)
            assert (parameters["program"], full.quiet) == (None, understood.quiet)
            return
        places = find_paths(understood, variables)
        if places is None:
            return
        command, parameters, full = taken_by_click(words, variables)
        expected = understood.queries or understood.words
        given = parameters.get("words") or parameters.get("queries")
        if command == "env":
            assert parameters["form"] == understood.form
            given = parameters["queries"]
        if given is None:
            given = (parameters.get("name", parameters.get("query")),)
        assert (command, list(given)) == (understood.command, list(expected))
        assert not any(parameters.get(name) for name in ("dry_run", "ask_host", "as_json"))
        if command in {"run", "product"}:
            assert not parameters["query" if command == "product" else "queries"]
        assert (full.quiet, full.verbose, full.trace_stderr, full.trace_file) == (
            understood.quiet, False, False, None,
        )  # fmt: skip
        manifest = find_manifest(full.manifest or current_directory(), named=full.manifest)
        assert places[1] == str(manifest)
        if full.cache_root is not None:
            assert places[0] == str(cache_root(full))


LINES = [
    "sync", "sync app", "sync -q", "-q sync", "sync a b --jobs 3 -j 4", "asset app",
    "asset -y app", "asset app --no-install", "--manifest envy.lua sync",
    "sync --cache-root=/x --fail-fast", "product cc", "product --no-install cc", "run true",
    "env", "env --format json", "env --no-install --format=fish",
    "run -- true", "run -q true -v", "run -- true --", "-j 3 run --no-install cc -c x.c",
]  # fmt: skip


def test_the_manifest_of_x_is_in_the_cache(tmp_path):
    """The fast path finds the manifest that a full run has written, whatever project it is in."""
    root = str(tmp_path / "cache")
    variables = {"ENVY_CACHE_ROOT": root, "ENVY_MANIFEST": "/nowhere/envy.lua"}
    assert find_paths(parse_plain(["x", "ninja@1", "--", "-v"]), variables) is None
    write_run_once(run_once_manifest(root, "ninja@1"), "packages = {}")
    assert find_paths(parse_plain(["x", "ninja@1", "--", "-v"]), variables) == (
        root,
        run_once_manifest(root, "ninja@1"),
    )


@pytest.mark.parametrize("word", ["../a", ".", "..", "a/b", "a b", "é", "@", ""])
def test_a_word_that_is_no_folder_is_left_to_the_full_command_line(word):
    """Only words that can be the name of a tool become a part of a path."""
    assert parse_plain(["x", word]) is None


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ninja"], ["ninja"]),
        (["envy.ninja@r1", "--", "--", "a"], ["ninja", "--", "a"]),
        (["ninja@1.11.1", "-v", "--"], ["ninja", "-v", "--"]),
    ],
)
def test_the_words_of_x(words, wanted):
    """One -- after the tool is left out, and the program has the name of the tool."""
    assert tool_words(words) == wanted


@pytest.mark.parametrize("line", LINES)
def test_plain_lines_are_understood(project, line):
    """The fast path understands the lines that people and scripts usually write."""
    with contextlib.chdir(project):
        assert find_paths(parse_plain(line.split()), {"HOME": "/home/someone"}) is not None


ROOT = """
import os, sys
from envy.cli.fast_path import CommandLine, find_paths
from envy.cli.cache_root import cache_root
from envy.cli.settings import Settings
places = find_paths(CommandLine(), dict(os.environ))
print(places[0] if places else "", cache_root(Settings()))
"""


HOMES = ["/home/someone", "/", "/home/x/"]
CACHES = [None, "", "/var/c", "/var/c/", "c", "~/c", " "]


@pytest.mark.parametrize(("home", "xdg"), list(itertools.product(HOMES, CACHES)))
def test_the_user_cache_is_that_of_platformdirs(project, home, xdg):
    """Without an option or a variable, both command lines use the same cache."""
    variables = {"HOME": home, **({"XDG_CACHE_HOME": xdg} if xdg is not None else {})}
    done = subprocess.run(
        [sys.executable, "-c", ROOT],
        cwd=project,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    quick, _, full = done.stdout.strip("\n").partition(" ")
    assert done.returncode == 0
    assert quick in {"", full}
    if (home, xdg) == ("/home/someone", None):
        assert quick == "/home/someone/.cache/envy"


def test_the_version_is_what_the_full_command_line_prints(capsys):
    """The fast path prints the version too, because scripts often ask for it."""
    assert answer(["--version"]) == 0
    quick = capsys.readouterr().out
    assert run_command_line(["--version"], environment={}) == 0
    assert capsys.readouterr().out == quick


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_the_final_line_is_that_of_a_full_sync(count):
    """The final line does not show whether the fast path was used."""
    expected = final_line(SyncResult(packages=count, cached=count, seconds=0.04))
    assert re.fullmatch(r".* in \d+\.\ds", expected)
    assert all_cached(count, 0.04) == expected
