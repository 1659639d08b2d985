"""Coverage as data, and as lcov, JSON, HTML and text."""

import json

import pytest

from envy.declarations.suite_settings import SuiteSettings
from envy.errors import UsageError
from envy.host.children import Children
from envy.testing.coverage.lcov import DamagedTrace, lcov_of, read_lcov
from envy.testing.coverage.model import (
    FileCoverage,
    PackageCoverage,
    Share,
    functions_of,
    merged,
    merged_files,
)
from envy.testing.coverage.page import page_of
from envy.testing.coverage.report import coverage_lines, missing_coverage
from envy.testing.coverage.stored import json_of, read_json
from envy.testing.drivers.go_profiles import covered_in
from envy.testing.drivers.native.coverage import name_as_in_source
from envy.testing.drivers.projects.cargo.calls import Cargo
from envy.testing.drivers.projects.cargo.coverage import find_llvm_tools, rust_name
from envy.testing.drivers.projects.cargo.instrumenting import build_variables
from envy.testing.drivers.projects.measuring import new_file, read_traces
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools
from envy.testing.package import RunSettings

SOURCE = "package p\n\nfunc (t *T[K]) A() {\n\t<b>&\n}\n\nfunc B() {\n}\n"
PROFILE = (
    "mode: set\nm/p/p.go:3.20,5.2 2 1\nm/p/p.go:7.10,8.2 3 0\nno profile\n"
    "m/p/p.go:7.10,8.2 3 0\nother/x.go:1.1,1.2 1 1\n"
)


@pytest.fixture
def packages(tmp_path):
    """What a profile of Go says of a package below tmp_path, and of one that is elsewhere."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/p.go").write_text(SOURCE)
    found = {}
    covered_in(PROFILE, {"m/p": str(tmp_path / "p")}, str(tmp_path), found)
    return list(found.values())


def test_a_profile_of_go_becomes_files_with_functions(packages):
    """Blocks that occur twice count once; functions are found in the source."""
    files = merged_files(packages)
    assert list(files) == ["other/x.go", "p/p.go"]
    file = files["p/p.go"]
    assert file.blocks == {(3, 20, 5, 2): (2, 1), (7, 10, 8, 2): (3, 0)}
    assert functions_of(file) == [(3, "T.A", Share(2, 2)), (7, "B", Share(0, 3))]
    assert coverage_lines(packages, "func,html") == [
        "p/p.go:3:  T.A  100.0%",
        "p/p.go:7:  B      0.0%",
        "coverage  m/p  40.0% of statements",
        "coverage  other  100.0% of statements",
        "coverage  total  50.0% of statements",
    ]


def test_parts_are_merged(packages, tmp_path):
    """What one part covers is covered; JSON keeps all of it."""
    other = {"m/p": str(tmp_path / "p")}
    found = {}
    covered_in("m/p/p.go:7.10,8.2 3 4\n", other, str(tmp_path), found)
    for name, part in (("1.json", packages), ("2.json", found.values())):
        (tmp_path / name).write_text(json_of(part))
    both = merged(one for n in (1, 2) for one in read_json(tmp_path / f"{n}.json"))
    assert coverage_lines(both, "")[-1] == "coverage  total  100.0% of statements"
    assert merged_files(both)["p/p.go"].functions == {3: "T.A", 7: "B"}
    assert json_of(merged([*both, *merged([])])) == json_of(both)


def stored(block):
    """Return a file of coverage with one block."""
    file = {"path": "x", "blocks": [block], "functions": []}
    package = {"name": "p", "unit": "lines", "files": [file]}
    return json.dumps({"format": "envy-coverage-1", "packages": [package]})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": "x"}', '{"format": "envy-coverage-1", "packages": [1]}'),
        stored([1, 0, 9_999_999_999, 0, 1, 1]),
        stored([1, 0, 1, 0, -1, 1]),
        stored([1, 0, True, 0, 1, 1]),
    ],
)
def test_a_file_that_envy_did_not_write_is_refused(tmp_path, text):
    """Damaged, foreign and absurd files are one error that names the file."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json has no coverage that envy wrote"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UsageError, match=r"cannot read .*y\.json"):
        read_json(tmp_path / "y.json")


def test_lcov_is_written_and_read():
    """A trace has lines, functions and totals; reading gives a block for each line."""
    file = FileCoverage(functions={2: "f"})
    file.add((2, 0, 3, 0), 2, 1)
    file.add((3, 0, 3, 0), 1, 0)
    text = lcov_of({"a.c": file})
    assert text.split() == (
        ["TN:", "SF:a.c", "FN:2,f", "FNDA:1,f", "DA:2,1", "DA:3,1", "LF:2", "LH:2", "end_of_record"]
    )
    again = read_lcov(text.replace("FN:2,f", "FN:2,9,f") + "BRDA:1,2,3,-\nDA:7,-1\n")
    assert again["a.c"].lines() == {2: 1, 3: 1, 7: 0}
    assert again["a.c"].functions == {2: "f"}
    with pytest.raises(DamagedTrace, match="line 2"):
        read_lcov("SF:a\nDA:x,1\n")


def test_the_page_is_one_page_that_escapes(packages, tmp_path):
    """Sources and names are escaped; a source that is gone is said."""
    packages[0].files["<x>"] = FileCoverage()
    page = page_of(merged_files(packages), tmp_path)
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page
    assert "<x>" not in page
    assert "cannot be read" in page
    assert "src=" not in page
    assert "http" not in page


def test_too_little_is_said_exactly(packages):
    """The limit itself is enough; nothing measured is not; almost all is not all."""
    assert missing_coverage(packages, 50) == ""
    assert missing_coverage(packages, 50.5) == (
        "50.0% is covered, and --min-coverage asks for 50.5%"
    )
    assert missing_coverage([], 0) == ""
    assert missing_coverage([], 1) == "nothing was measured (--min-coverage)"
    assert str(Share(99999, 100000)) == "99.9%"
    empty = PackageCoverage(name="p", unit="lines")
    assert coverage_lines([empty], "") == ["coverage  p  [no lines]", "coverage  nothing"]
    assert json.loads(json_of([empty]))["packages"][0]["whole"] == 0


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_RNvCsfIZUF2Sbdc9_2rs1f", "rs::f"),
        ("_RNvCsfIZUF2Sbdc9_2rss_1t", "rs::t"),
        ("_RNvNtCsfIZUF2Sbdc9_2rs5inner4x2ab", "rs::inner::x2ab"),
        ("_ZN2rs5inner1f17h0123456789abcdefE", "rs::inner::f"),
        ("_RINvCs1_2rs1fmE", "_RINvCs1_2rs1fmE"),
        ("plain", "plain"),
    ],
)
def test_symbols_of_rust_are_shown_as_paths(symbol, name):
    """What is generic keeps its symbol."""
    assert rust_name(symbol) == name


@pytest.fixture
def suite(tmp_path):
    """A project, and tools that measure; the function takes the variables."""
    project = SuiteProject(directory=tmp_path, settings=SuiteSettings(name="x", kind="x"))

    def made(**environment):
        tools = Tools(
            root=tmp_path, environment=environment, children=Children(), scratch=tmp_path,
            settings=RunSettings(), coverage=tmp_path / "c",
        )  # fmt: skip
        return project, tools

    return made


def test_rust_is_measured_by_the_llvm_tools_of_its_toolchain(tmp_path, suite):
    """Those in the toolchain come first, then those of its LLVM version on PATH."""
    (tmp_path / "rustc").write_text("#!/bin/sh\necho LLVM version: 22.1.3\n")
    (tmp_path / "rustc").chmod(0o755)
    project, tools = suite(PATH=f"{tmp_path}:/bin", RUSTFLAGS="-Cx")
    cargo = Cargo("cargo", project, tools)
    with pytest.raises(NotTestable) as raised:
        find_llvm_tools(cargo, "host", str(tmp_path / "root"))
    assert f"--coverage needs the LLVM tools of the Rust in {tmp_path}/root" in str(raised.value)
    assert "rustup component add llvm-tools; or install llvm-profdata-22 and llvm-cov-22" in (
        raised.value.hint
    )
    own = tmp_path / "root/lib/rustlib/host/bin"
    own.mkdir(parents=True)
    for folder, ending in ((tmp_path, "-22"), (own, "")):
        for name in ("llvm-profdata", "llvm-cov"):
            (folder / f"{name}{ending}").touch(0o755)
        found = find_llvm_tools(cargo, "host", str(tmp_path / "root"))
        assert found == (f"{folder}/llvm-profdata{ending}", f"{folder}/llvm-cov{ending}")
    assert build_variables(project, tools, tmp_path)["RUSTFLAGS"] == "-Cx -Cinstrument-coverage"
    project, tools = suite(CARGO_ENCODED_RUSTFLAGS="-Cy z")
    found = build_variables(project, tools, tmp_path)
    assert found["CARGO_ENCODED_RUSTFLAGS"] == "-Cy z\x1f-Cinstrument-coverage"
    assert "RUSTFLAGS" not in found


def test_traces_of_a_project_count_files_below_it(tmp_path, suite):
    """Several processes add up; relative paths begin at the project; tests do not count."""
    project, tools = suite()
    for text in ("SF:a.py\nDA:1,1\nend_of_record\n", f"SF:{tmp_path}/a.py\nDA:1,2\nDA:2,0\n"):
        other = "SF:test_a.py\nDA:1,1\nSF:/x\nDA:1,1\n"
        new_file(project, tools, ".info").write_text(text + other)
    found = read_traces(project, tools, ending=".info", counts=lambda path: path[:4] != "test")
    assert {path: file.lines() for path, file in found.items()} == {
        f"{tmp_path}/a.py": {1: 3, 2: 0}
    }
    new_file(project, tools, ".info").write_text("DA:x\n")
    with pytest.raises(NotTestable, match="what was measured cannot be read: line 1 is no line"):
        read_traces(project, tools, ending=".info", counts=bool)


def test_functions_of_cxx_are_named_as_in_their_source():
    """Symbols get names where a tool tells some, also below a file; others stay."""
    file = FileCoverage(functions={1: "_Z1fii", 2: "x.cpp:_Z1gv", 3: "main", 4: "_Z1hv"})
    name_as_in_source([file], lambda symbols: ["f(int, int)", "g()"][: len(symbols)])
    assert list(file.functions.values()) == ["f(int, int)", "x.cpp:g()", "main", "_Z1hv"]
    file.add((1, 0, 1, 0), 1, 1)
    assert read_lcov(lcov_of({"x.cpp": file}))["x.cpp"].functions == file.functions
