"""`envy doctor`: what envy runs on, and what is wrong with it."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

import envy

# With these, doctor asks neither pip nor npm, which take seconds to answer.
REGISTRIES = {
    "PIP_INDEX_URL": "https://index.test/simple",
    "npm_config_registry": "https://npm.test/",
}


def examined(project, *words, code=0, env=REGISTRIES, **details):
    """Return the document of `envy doctor`, and its values as (section, name) -> (value, from)."""
    run = project.envy("doctor", "--json", *words, env=env, code=code, trace=False, **details)
    document = json.loads(run.out)
    values = {
        (section, row["name"]): (row["value"], row["from"])
        for section, rows in document["sections"].items()
        for row in rows
    }
    return document, values


def problems(document, level="error"):
    """Return the problems of this level, and check that each finding has a remedy."""
    assert all(finding["remedy"] for finding in document["findings"])
    return [finding["problem"] for finding in document["findings"] if finding["level"] == level]


def test_a_machine_without_faults(project):
    """The versions are the real ones, the entries are counted, and no error is found."""
    project.sync_one('install = "touch x"')
    document, values = examined(project, env=None)
    assert problems(document) == []
    assert document["broken"] is False
    assert values["software", "envy"][0].startswith(f"{envy.__version__} (")
    version, _, place = values["software", "python"][0].removesuffix(")").partition(" (")
    assert version == sys.version.split()[0]
    assert Path(place).samefile(sys.executable)  # a script may name it python or python3
    assert values["software", "click"][0] == metadata.version("click")
    assert values["cache", "entries"][0].startswith("1 complete, ")
    assert values["cache", "writable"] == ("yes", "")
    assert values["cache", "locks"] == ("work", "")
    assert values["configuration", "manifest"] == (str(project.root / "envy.lua"), "")


def test_it_leaves_the_cache_as_it_was(project):
    """Nothing is added to the cache, and a cache that does not exist is not made."""
    examined(project)
    assert not project.cache.exists()
    project.sync_one('install = "touch x"')
    before = sorted(project.cache.rglob("*"))
    examined(project)
    assert sorted(project.cache.rglob("*")) == before


def test_each_value_says_where_it_comes_from(project, tmp_path):
    """An option, a variable and a default are told apart, and an option wins."""
    variables = {"ENVY_YES": "1", "ENVY_LIMITS": "lua-memory=1G", **REGISTRIES}
    _, values = examined(project, "-j3", env=variables, code=None)
    assert values["cache", "root"] == (str(project.cache), "ENVY_CACHE_ROOT")
    assert values["configuration", "jobs"] == ("3", "--jobs")
    assert values["configuration", "fetch-jobs"] == ("8", "default")
    assert values["configuration", "yes"] == ("yes", "ENVY_YES")
    assert values["configuration", "limit lua-memory"] == ("1 GiB", "ENVY_LIMITS")
    _, values = examined(project, "--cache-root", tmp_path / "other", code=None)
    assert values["cache", "root"] == (str(tmp_path / "other"), "--cache-root")


def test_invalid_variables_are_findings(project):
    """Every variable that is not valid is named, and the report goes on without it."""
    variables = {"ENVY_CACHE_ROOT": "rel", "ENVY_YES": "maybe", "ENVY_LIMITS": "x=1"}
    variables |= {"HOME": str(project.root), **REGISTRIES}
    document, _ = examined(project, env=variables, code=1)
    assert [problem.partition(" ")[0] for problem in problems(document)] == [
        "ENVY_CACHE_ROOT", "ENVY_YES", "ENVY_LIMITS:",
    ]  # fmt: skip
    document, values = examined(project, "--manifest", "nowhere.lua", code=1)
    named = project.root / "nowhere.lua"
    assert problems(document) == [f"there is no manifest {named}"]
    assert values["configuration", "manifest"] == (str(named), "--manifest")


def test_nothing_secret_is_shown(project):
    """User info and passwords of proxies and indexes are shown nowhere, in either form."""
    variables = {
        "HTTP_PROXY": "http://someone:hunter22@proxy.test:3128",
        "https_proxy": "someone:hunter22@proxy.test:3129",
        "PIP_INDEX_URL": "https://someone:hunter22@index.test/simple?token=hunter33",
        "npm_config_registry": "https://someone:hunter22@npm.test/",
        "npm_config__authToken": "hunter44",
    }
    run = project.envy("doctor", env=variables, code=None, trace=False)
    document, values = examined(project, env=variables, code=None)
    for text in (run.out, run.err, json.dumps(document)):
        assert "hunter" not in text
        assert "someone" not in text
    assert values["network", "http_proxy"] == ("http://proxy.test:3128", "HTTP_PROXY")
    assert values["network", "https_proxy"] == ("http://proxy.test:3129", "https_proxy")
    index = ("https://index.test/simple?token=***", "PIP_INDEX_URL")
    assert values["network", "pip index"] == index
    assert values["network", "npm registry"][0] == "https://npm.test/"


def test_certificates_that_cannot_be_read(project):
    """A file of certificates that does not exist or is none is an error that names the variable."""
    for content in (None, "no certificate"):
        if content:
            project.write("ca.pem", content)
        file = str(project.root / "ca.pem")
        document, _ = examined(project, env={"SSL_CERT_FILE": file, **REGISTRIES}, code=1)
        [problem] = problems(document)
        assert problem.startswith(f"the certificates in {file} cannot be read: ")


def test_without_home_git_and_manifest(project, tmp_path):
    """A bare environment gets a report: missing programs are warnings."""
    empty = tmp_path / "empty"
    empty.mkdir()
    variables = {"PATH": str(empty), "PIP_INDEX_URL": "https://index.test/simple"}
    run = project.envy("doctor", env={**variables, "HOME": ""}, cwd=empty, code=None, trace=False)
    assert "warning: programs: the program git is not on PATH" in run.err
    assert "HOME is not set" in run.out
    assert "npm registry" in run.out
    assert "Traceback" not in run.err


def test_a_cache_that_cannot_be_written(project, unprivileged):
    """A read-only cache is an error with a remedy, and its content is still reported."""
    project.sync_one('install = "touch x"')
    project.cache.chmod(0o555)
    try:
        document, values = examined(project, code=1, under=unprivileged)
    finally:
        project.cache.chmod(0o755)
    assert values["cache", "writable"] == ("no", "")
    assert [problem.partition(":")[0] for problem in problems(document)] == [
        "cannot write to the cache"
    ]
    assert values["cache", "entries"][0].startswith("1 complete")


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_file_where_the_cache_should_be(project, below):
    """A file in the place of the cache, or above it, is an error."""
    file = project.write("file", "")
    document, _ = examined(project, "--cache-root", file / below, code=1)
    assert len(problems(document)) == 1
    assert str(file) in problems(document)[0]


def test_entries_that_are_damaged_or_foreign(project, unprivileged):
    """An incomplete entry is counted, a foreign file is a warning, an unreadable entry an error."""
    project.packages("local.bad@r1", "local.one@r1")
    project.recipe("local.bad@r1", 'install = "exit 1"')
    project.recipe("local.one@r1", 'install = "touch x"')
    project.envy("sync", code=1)
    [(_, entry)] = [entry for entry in project.entries() if entry[0] == "local.one@r1"]
    (project.cache / "assets/foreign").write_text("")
    document, values = examined(project)
    assert values["cache", "incomplete"] == ("1", "")
    [foreign] = problems(document, "warning")
    assert foreign == f"{project.cache}/assets/foreign was not created by envy"
    entry.chmod(0)
    try:
        document, values = examined(project, code=1, under=unprivileged)
    finally:
        entry.chmod(0o755)
    assert values["cache", "unreadable"] == ("1", "")
    assert str(entry) in problems(document)[0]


def test_a_removed_directory(project, tmp_path):
    """The report is made also where the current directory has been removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    under = ("sh", "-c", script, "sh", str(gone))
    document, _ = examined(project, code=1, under=under)
    assert problems(document) == ["the current directory has been removed"]


def test_closed_standard_streams(project):
    """A stream that is closed is not a terminal."""
    under = ("sh", "-c", 'exec "$@" <&- 2>&-', "sh")
    _, values = examined(project, under=under)
    assert values["terminal", "stdin"][0].startswith("not a terminal")


def test_the_text_ends_with_what_is_wrong(project):
    """The values are on standard output; the findings, with hints, on standard error."""
    run = project.envy("doctor", env={"ENVY_YES": "maybe", **REGISTRIES}, code=1, trace=False)
    assert "\ncache\n" in run.out
    assert run.err.startswith("error: configuration: ENVY_YES is 'maybe'")
    assert "hint: set ENVY_YES=1 or 0" in run.err
