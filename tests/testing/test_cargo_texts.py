"""The cargo driver's readers: messages of cargo, the log and the output of a test binary."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.testing.drivers.projects.cargo.doctests import doc_selection
from envy.testing.drivers.projects.cargo.libtest import LibtestFraming, LibtestLog, parse_list
from envy.testing.drivers.projects.cargo.manifests import local_folders
from envy.testing.drivers.projects.cargo.messages import CargoFailed, parse_build, parse_metadata
from envy.testing.drivers.projects.cargo.surroundings import configured_variables, runner_of
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.drivers.projects.serial import Ended, SerialProcess

NAMES = ["tests::adds", "tests::net", "tests::panics", "tests::slow", "tests::wrong"]
LOG = b"""ok tests::adds
ignored: needs net tests::net
failed: panic did not contain expected string
      panic message: "ok tests::panics" tests::panics
ignored tests::slow
failed tests::wrong
"""
OUTPUT = b"""warning: `--logfile` is deprecated
running 5 tests
test tests::adds ... out adds
test tests::net ... ok
ok
test tests::net ... ignored, needs net
test tests::panics - should panic ... \nthread 'tests::panics' panicked
ok
test tests::slow ... ignored
test tests::wrong ... some outFAILED

failures:

---- tests::panics stdout ----
note: test did not panic as expected

failures:
    tests::wrong

test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out
"""


def _reported(chunks, log):
    rows = []

    def take(event):
        row = (event.action, event.test, event.output)
        if rows and event.output is not None and rows[-1][:2] == row[:2]:
            row = (*row[:2], rows.pop()[2] + event.output)
        rows.append(row)

    report, told = SuiteReport("p", take), LibtestLog(NAMES)
    waiting = list(log)
    process = SerialProcess(
        report,
        NAMES,
        framing=LibtestFraming(),
        read=lambda: told.feed(waiting.pop(0)) if waiting else [],
    )
    for chunk in chunks:
        process.feed(chunk)
    process.finish()
    report.close()
    return rows, report


MESSAGE = """panic did not contain expected string
      panic message: "ok tests::panics"
"""
EXPECTED = [
    ("run", "tests::adds", None),
    ("output", "tests::adds", "out adds\ntest tests::net ... ok\n"),
    ("pass", "tests::adds", None),
    ("run", "tests::net", None),
    ("output", "tests::net", "needs net\n"),
    ("skip", "tests::net", None),
    ("run", "tests::panics", None),
    ("output", "tests::panics", f"\nthread 'tests::panics' panicked\n{MESSAGE}"),
    ("fail", "tests::panics", None),
    ("run", "tests::slow", None),
    ("skip", "tests::slow", None),
    ("run", "tests::wrong", None),
    ("output", "tests::wrong", "some out\n"),
    ("fail", "tests::wrong", None),
]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(OUTPUT)), max_size=12))
def test_output_belongs_to_its_test_however_it_comes(cuts):
    """The chunks in which output comes change nothing, nor does a test that prints results."""
    bounds = sorted({0, *cuts, len(OUTPUT)})
    chunks = [OUTPUT[a:b] for a, b in itertools.pairwise(bounds)]
    rows, report = _reported(chunks, [LOG])
    assert rows == EXPECTED
    assert not report.running


def test_a_test_without_a_result_is_the_one_that_ran():
    """What the log does not hold has not passed, whatever the output says."""
    at = OUTPUT.index(b"test tests::slow")
    forged = OUTPUT[:at] + b"test tests::slow ... ok\ntest tests::wrong ... ok\n"
    rows, report = _reported([forged], [b"".join(LOG.splitlines(keepends=True)[:4])])
    assert list(report.running) == ["tests::slow"]
    assert ("run", "tests::wrong", None) not in rows


def test_results_without_output_are_reported():
    """A test that closes standard output hides the others' marks, not their results."""
    rows, report = _reported([OUTPUT[:60]], [LOG])
    ends = {"pass", "skip", "fail"}
    assert [row for row in rows if row[0] in ends] == [row for row in EXPECTED if row[0] in ends]
    assert not report.running
    _, report = _reported([OUTPUT[:60]], [b"ok tests::adds\n"])
    assert list(report.running) == ["tests::net"]
    _, report = _reported([b"error while loading shared libraries\n"], [])
    assert not report.running


def test_a_log_is_read_in_pieces():
    """A line that is not complete is no result, and a name is expected in its order."""
    log = LibtestLog(["a", "b"])
    assert log.feed(b"ok b\nok") == []
    assert log.feed(b" a") == []
    assert log.feed(b"\nfailed (time limit exceeded) b\n") == [
        Ended("fail", message="ok b\nok"),
        Ended("fail", "time limit exceeded"),
    ]


def test_a_list_has_tests_and_benchmarks():
    """Other lines are those of static constructors."""
    assert parse_list("a::b: test\nhello\nc: benchmark\n\na::b: test\n") == ["a::b", "c"]


DOC = [f"src/lib.rs - add (line {line})" for line in (3, 23, 123)]


@pytest.mark.parametrize("names", [DOC, DOC[:1], DOC[1:2], DOC[2:], DOC[:2], DOC[1:], DOC[::2]])
def test_documentation_tests_are_selected_by_words(names):
    """rustdoc divides arguments at spaces, so a whole name cannot be given."""
    words, selected = doc_selection(names, DOC)
    assert not any(" " in word for word in words)
    skips = [words[at + 1] for at, word in enumerate(words) if word == "--skip"]
    filters = words[: words.index("--skip")] if skips else words
    found = [
        name
        for name in DOC
        if (not filters or any(word in name for word in filters))
        and not any(word in name for word in skips)
    ]
    assert selected == found
    # `23)` cannot be left out without `123)`.
    assert found == (DOC if names == DOC[::2] else names)


def test_documentation_tests_that_no_word_tells_apart_run_together():
    """What runs, too, is told."""
    every = ["src/a.rs - f (line 3)", "src/a.rs - g (line 4)", "src/b.rs - g (line 3)"]
    words, selected = doc_selection([every[0]], every)
    assert len(words) == 1
    assert selected == [every[0]]
    words, selected = doc_selection(["x (line 3)"], ["x (line 3)", "x y (line 3)"])
    assert "x (line 3)" in selected


def _artifact(kind, name, *, test=True, executable=None):
    return {
        "reason": "compiler-artifact",
        "package_id": "path+file:///w#one@0.1.0",
        "target": {"kind": [kind], "name": name},
        "profile": {"test": test},
        "executable": executable,
    }


def _message(level, rendered, name="one"):
    return {
        "reason": "compiler-message",
        "package_id": "path+file:///w#one@0.1.0",
        "target": {"kind": ["lib"], "name": name},
        "message": {"level": level, "rendered": rendered, "message": "x"},
    }


def test_messages_tell_executables_errors_and_variables():
    """What is printed between the messages, and rows of another form, are left out."""
    script = {"reason": "build-script-executed", "package_id": "p", "out_dir": "/o",
              "env": [["A", "1"]], "linked_paths": ["native=/o/lib", "/x"]}  # fmt: skip
    rows = [
        _artifact("lib", "one", test=False),
        _artifact("test", "it", executable="/t/it-1"),
        _artifact("example", "ex", test=False, executable="/t/ex"),
        _message("error", "error: no\n"), _message("error", "error: no\n"),
        _message("warning", "warning: meh\n"), script,
        {"reason": "compiler-message", "package_id": 3}, {"reason": "new"}, [1],
    ]  # fmt: skip
    text = "\n".join(["hello", "{not json", *map(json.dumps, rows)])
    build = parse_build(text)
    identity = "path+file:///w#one@0.1.0"
    assert {key: str(path) for key, path in build.executables.items()} == {
        (identity, "test", "it"): "/t/it-1"
    }
    assert build.failed == {(identity, "lib", "one")}
    assert build.messages[identity, "lib", "one"] == ["error: no\n", "warning: meh\n"]
    assert build.variables == {"p": {"A": "1", "OUT_DIR": "/o"}}
    assert build.library_folders == ["/o/lib", "/x"]
    assert not build.succeeded


def test_targets_are_those_that_cargo_test_runs(tmp_path):
    """Examples and benchmarks are not, unless the manifest says so; a harness may be missing."""
    manifest = tmp_path / "Cargo.toml"
    manifest.write_text('[[test]]\nname = "own"\nharness = false\n[lib]\nharness = true\n')
    targets = [
        {"kind": ["proc-macro"], "name": "one", "test": True, "doctest": True},
        {"kind": ["bin"], "name": "prog", "test": True},
        {"kind": ["example"], "name": "ex", "test": False},
        {"kind": ["bench"], "name": "b", "test": False},
        {"kind": ["test"], "name": "own", "test": True},
        {"kind": ["custom-build"], "name": "build-script-build", "test": False},
    ]
    package = {"id": "p", "name": "one", "version": "1.2.3-rc.1+x", "authors": ["A", "B"],
               "manifest_path": str(manifest), "targets": targets, "license": None}  # fmt: skip
    outside = {**package, "id": "q", "source": None, "manifest_path": "/else/Cargo.toml"}
    remote = {**package, "id": "r", "source": "registry+https://example"}
    found = parse_metadata(
        json.dumps(
            {
                "packages": [package, outside, remote],
                "workspace_members": ["p"],
                "workspace_root": str(tmp_path),
                "target_directory": "/t",
            }
        )
    )
    (member,) = found.members
    assert [(t.kind, t.name, t.has_harness, t.label) for t in member.targets] == [
        ("lib", "one", True, ""),
        ("doc", "one", True, ":doc"),
        ("bin", "prog", True, ":bin:prog"),
        ("test", "own", False, ":test:own"),
    ]
    assert [str(path) for path in found.local] == ["/else"]
    assert member.fields["VERSION_PRE"] == "rc.1"
    assert member.fields["AUTHORS"] == "A:B"
    assert member.fields["LICENSE"] == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"workspace_members": [], "packages": 3}'])
def test_an_unknown_answer_of_cargo_is_an_error(text):
    """It names the oldest version that answers otherwise."""
    with pytest.raises(CargoFailed, match=r"unknown form") as caught:
        parse_metadata(text)
    assert "1.56" in caught.value.hint


def test_configuration_gives_variables_and_a_runner(tmp_path):
    """The nearer file decides, and a variable that is set stays unless it is forced."""
    near = (tmp_path / "p/.cargo/config.toml",
            {"env": {"A": "near", "B": {"value": "lib", "relative": True}, "C": "x"},
             "target": {"t-1": {"runner": ["qemu", "-L"]}}})  # fmt: skip
    far = (tmp_path / ".cargo/config.toml",
           {"env": {"A": "far", "D": {"value": "y", "force": True}, "E": 3},
            "target": {"t-1": {"runner": "other"}}})  # fmt: skip
    values = configured_variables([near, far], {"C": "set", "D": "set"})
    assert values == {"A": "near", "B": str(tmp_path / "p/lib"), "D": "y", "E": "3"}
    assert runner_of([near, far], "t-1", {}) == ["qemu", "-L"]
    assert runner_of([far], "t-1", {}) == ["other"]
    assert runner_of([far], "t-2", {}) == []
    assert runner_of([], "t-1", {"CARGO_TARGET_T_1_RUNNER": "a 'b c'"}) == ["a", "b c"]


def test_packages_elsewhere_are_found_by_every_way_to_name_them(tmp_path):
    """Members named by patterns have dependencies, and the configuration names folders, too."""
    texts = {
        "repo/Cargo.toml": '[workspace]\nmembers = ["crates/*", "tools/[ab]", "plain"]\n',
        "repo/crates/a/Cargo.toml": '[dependencies]\nshared = { path = "../../../shared" }\n',
        "repo/tools/a/Cargo.toml": '[build-dependencies]\ngen = { path = "../../../gen" }\n',
        "repo/tools/c/Cargo.toml": '[dependencies]\nno = { path = "../../../no" }\n',
        "repo/plain/Cargo.toml": "[target.'cfg(unix)'.dependencies]\nu = { path = '../../u' }\n",
        "shared/Cargo.toml": '[dependencies]\ninner = { path = "../inner" }\n',
        ".cargo/config.toml": 'paths = ["overlay"]\n[patch.crates-io]\np = { path = "patched" }\n',
    }
    for name, text in texts.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = local_folders(f"{tmp_path}/repo", [f"{tmp_path}/.cargo/config.toml"])
    names = {"shared", "inner", "gen", "u", "overlay", "patched"}
    assert set(found) == {f"{tmp_path}/{name}" for name in names}
