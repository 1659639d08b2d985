"""What the results of suites rest on beside the files of their folder."""

import os
from pathlib import Path

import pytest

from envy.declarations.suite_settings import SuiteSettings
from envy.host.children import Children
from envy.testing.basis import Collector
from envy.testing.consulted import Unkept
from envy.testing.drivers.projects.command import CommandKind
from envy.testing.drivers.projects.ctest.kind import CTestKind
from envy.testing.drivers.projects.driver import ProjectDriver, SuitePlace
from envy.testing.drivers.projects.finding import Suite
from envy.testing.drivers.projects.gtest.kind import GTestKind
from envy.testing.drivers.projects.inputs import TREE, Snapshot, add_inputs, of_rows
from envy.testing.drivers.projects.listings import Listings
from envy.testing.drivers.projects.node_installed import installed_rows
from envy.testing.drivers.projects.project import ProjectTests, SuiteProject, Tools
from envy.testing.drivers.projects.python_program import places_rows, search_rows
from envy.testing.evidence import FILE, LISTING, REAL, STATUS, changes
from envy.testing.package import PackageRun, RunSettings, TestPackage
from envy.testing.remote.inputs import StaysHere, files_below
from envy.testing.shared.evidence import rows_in_key
from envy.testing.shared.places import NamedPlaces, Unshared


def suite(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    return SuiteProject(directory=folder, settings=SuiteSettings(name="x", kind="x", **settings))


def test_packages_that_node_modules_links_to_count(tmp_path):
    """A link to a package of the workspace counts with its files, one into a store does not."""
    (tmp_path / ".git").mkdir()
    package = tmp_path / "packages/a"
    for name in ("packages/a/inner", "packages/b", "node_modules/.pnpm/c", "node_modules/@x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "node_modules/@x/b").symlink_to("../../packages/b")
    (tmp_path / "node_modules/c").symlink_to(".pnpm/c")
    (tmp_path / "node_modules/gone").symlink_to("nowhere")
    (package / "node_modules").mkdir()
    (package / "node_modules/inner").symlink_to("../inner")
    rows = installed_rows(suite(package))
    assert [subject for kind, subject in rows if kind == TREE] == [str(tmp_path / "packages/b")]
    assert (FILE, f"{tmp_path}/node_modules/.package-lock.json") in rows
    assert not any(subject.startswith(f"{tmp_path.parent}/node_modules") for _, subject in rows)
    assert not any(kind == TREE for kind, _ in installed_rows(suite(package, inputs=("src",))))


def shared(folder, kind, **settings):
    """Return the digest of the only package of a suite, as other machines would have it."""
    given = {"command": ("true",), "format": "exit", "name": "x", "kind": "x", **settings}
    project = SuiteProject(directory=folder, settings=SuiteSettings(**given))
    tools = Tools(
        root=folder, environment={"PATH": "/usr/bin:/bin"}, children=Children(), scratch=folder,
        settings=RunSettings(),
    )  # fmt: skip
    place = SuitePlace(
        manifest_folder=folder, listings=Listings(folder, reads=False, writes=False),
        since=lambda: 1 << 62,
    )  # fmt: skip
    driver = ProjectDriver(Suite(project.settings, kind, (project,)), tools, place)
    tests = ProjectTests(project=project, directory=folder)
    package = TestPackage(name="x", directory=folder, driver="x", detail=tests)
    places = NamedPlaces({"<project>": str(folder)})
    return driver.shared_key(PackageRun(package=package), places).digest


@pytest.mark.parametrize("kind", [CommandKind, CTestKind, GTestKind])
def test_what_a_build_left_is_not_shared(tmp_path, kind):
    """A kind that runs what git ignores is shared only if the manifest says what it rests on."""
    with pytest.raises(Unshared, match=r"tests\.x has no `inputs`, and may run what git ignores"):
        shared(tmp_path, kind())
    assert shared(tmp_path, kind(), inputs=("t.sh",))


def test_the_options_of_a_build_count_by_content_elsewhere(tmp_path):
    """A status counts without its time; that nothing is above the project counts nowhere."""
    digests = []
    for name, text in (("a", "x"), ("b/c", "x"), ("d", "y")):
        file = tmp_path / name / "out/CMakeCache.txt"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        os.utime(file, (len(name), len(name)))
        snapshot = Snapshot({})
        snapshot.add(STATUS, str(file))
        for kind, subject in ((FILE, ".python-version"), (REAL, "bin/pytest")):
            snapshot.add(kind, str(file.parents[2] / subject))
        digests.append(rows_in_key(snapshot.facts, NamedPlaces({"<p>": str(tmp_path / name)})))
    named = [[row.replace(str(tmp_path / name), "<p>") for row in rows]
             for name, rows in zip(("a", "b/c", "d"), digests, strict=True)]  # fmt: skip
    assert named[0] == named[1] != named[2]
    assert [len(rows) for rows in named] == [1, 1, 1]


def test_every_place_where_pytest_may_be_counts(tmp_path):
    """A pytest that comes to PATH, a new .venv and another choice of a version are noticed."""
    (tmp_path / ".git").mkdir()
    later = tmp_path / "later/pytest"
    later.parent.mkdir()
    later.write_text("#!/bin/sh\n")
    later.chmod(0o755)
    tools = Tools(
        root=tmp_path, environment={"PATH": f"{tmp_path}/first:{tmp_path}/later"},
        children=Children(), scratch=tmp_path, settings=RunSettings(),
    )  # fmt: skip
    rows = search_rows(suite(tmp_path / "a/b"), tools)
    for name in ("first/pytest", "later/pytest", "a/.venv/pyvenv.cfg", "venv/bin/pytest",
                 "a/b/.python-version", ".tool-versions"):  # fmt: skip
        assert (FILE, str(tmp_path / name)) in rows
    assert (FILE, str(tmp_path.parent / ".venv/pyvenv.cfg")) not in rows


def test_what_a_python_imports_from_elsewhere_counts(tmp_path):
    """Folders of sys.path count whole; of one that has the project, only what is imported."""
    project = suite(tmp_path / "top/project")
    site = tmp_path / "env/lib/python3.12/site-packages"
    site.mkdir(parents=True)
    base = tmp_path / "usr"
    places = {
        "executable": str(tmp_path / "env/bin/python"),
        "prefix": str(tmp_path / "env"),
        "base": str(base),
        "path": [f"{project.folder}/src", f"{tmp_path}/top", f"{tmp_path}/other", str(site),
                 f"{base}/lib/python312.zip", f"{base}/lib/python3.12"],
        "modules": [f"{base}/lib/python3.12/os.py", f"{site}/six.py", f"{tmp_path}/top/conf.py",
                    f"{tmp_path}/editable/src/pack/__init__.py", f"{project.folder}/conftest.py",
                    f"{tmp_path}/other/module.py"],
    }  # fmt: skip
    rows = places_rows(places, project)
    assert {subject for kind, subject in rows if kind == TREE} == {
        str(tmp_path / "other"), str(tmp_path / "editable/src/pack"),
    }  # fmt: skip
    assert (LISTING, str(site)) in rows
    assert (FILE, f"{tmp_path}/top/conf.py") in rows
    assert not any(name in subject for _, subject in rows for name in ("six", "conftest", "os.py"))
    given = places_rows(places, suite(tmp_path / "top/project", inputs=("src",)))
    assert (LISTING, str(site)) in given
    assert not any(kind == TREE or "conf.py" in subject for kind, subject in given)


def test_a_list_of_tests_holds_while_what_it_has_shown_is_unchanged(tmp_path):
    """Beside its key, a list rests on what only the listing could show."""
    project = suite(tmp_path / "p")
    outside = tmp_path / "outside"
    outside.mkdir()
    listings = Listings(tmp_path / "lists")
    tests = ProjectTests(project=project, directory=project.directory, tests=("a",))
    rests = Snapshot({})
    rests.add_rows([(TREE, str(outside))])
    listings.keep("key", [tests], rests.confirmed(since=1 << 62))
    [found] = listings.find("key", project, {})
    assert found.tests == ("a",)
    assert any(subject == str(outside) for _, subject in found.rests)
    (outside / "new.py").write_text("x")
    assert listings.find("key", project, {}) is None
    (outside / "new.py").unlink()
    assert listings.find("key", project, {}) is not None
    Path(tmp_path, "lists/key.json").write_text('{"packages": [], "facts": "nonsense"}')
    assert listings.find("key", project, {}) is None


@pytest.mark.parametrize(("timeout", "limit"), [(0.0, None), (2.0, 60.0), (300.0, 300.0)])
def test_listing_tests_has_a_time_limit(tmp_path, timeout, limit):
    """It is that of a test, but not less than a program needs to start."""
    settings = RunSettings(timeout=timeout)
    tools = Tools(
        root=tmp_path, environment={}, children=Children(), scratch=tmp_path, settings=settings
    )  # fmt: skip
    assert tools.listing_timeout == limit
    if limit == 60.0:
        assert tools.too_slow("pytest") == (
            "pytest did not list the tests within 1m 00s\n"
            "hint: does a test file wait for something when it is loaded? "
            "--timeout gives more time"
        )


def linked(tmp_path):
    """Return a project in which a link leads to a folder outside, which leads back."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").write_text("1")
    (tmp_path / "shared/back").symlink_to("../project")
    project = tmp_path / "project"
    project.mkdir()
    (project / ".git").mkdir()
    (project / "held").symlink_to("../shared")
    return project


def edits(tmp_path):
    """Edit what is behind a link, and make the link lead elsewhere, with the same files."""
    (tmp_path / "shared/data").write_text("2")
    yield
    (tmp_path / "other").mkdir()
    (tmp_path / "other/data").write_text("2")
    (tmp_path / "project/held").unlink()
    (tmp_path / "project/held").symlink_to("../other")
    yield


@pytest.mark.parametrize("inputs", [None, ("project/held",), ("project/h*",), ("project",)])
def test_folders_behind_links_count(tmp_path, inputs):
    """What a link to a folder leads to is an input, as tests read it, also if it is declared."""
    project = linked(tmp_path)

    def digest():
        snapshot = Snapshot({})
        settings = SuiteSettings(name="x", kind="x", inputs=inputs)
        add_inputs(snapshot, project, settings, (), root=tmp_path)
        assert not snapshot.unkept
        return snapshot.digest

    seen = [digest(), *(digest() for _ in edits(tmp_path))]
    assert len(set(seen)) == 3


def test_folders_behind_links_count_for_what_is_installed(tmp_path):
    """The rows of an installed package are those of the folders that links in it lead to, too."""
    project = linked(tmp_path)
    snapshot = Snapshot({})
    snapshot.add_rows([(TREE, str(project)), (FILE, str(tmp_path / "elsewhere"))])
    own = of_rows([(TREE, str(project))], snapshot.subjects)
    assert (FILE, str(tmp_path / "shared/data")) in own
    assert (FILE, str(tmp_path / "elsewhere")) not in own


def test_folders_behind_links_are_rows_of_the_drivers(tmp_path):
    """The drivers for Go, C and recipes notice the same edits."""
    project = linked(tmp_path)
    rows = Collector({}, 1 << 62)
    rows.add_whole(str(project))
    for _ in edits(tmp_path):
        changed, _ = changes(rows.facts, {}, settled=1 << 62, most=9)
        assert changed
        rows = Collector({}, 1 << 62)
        rows.add_whole(str(project))
    assert changes(rows.facts, {}, settled=1 << 62) == ([], False)


@pytest.mark.parametrize("target", ["/", "/proc", "/sys/kernel"])
def test_links_into_the_system_are_not_followed(tmp_path, target):
    """What is behind them has no end; the results of such tests are not remembered."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "way").symlink_to(target)
    snapshot = Snapshot({})
    snapshot.add_rows([(TREE, str(tmp_path))])
    assert snapshot.unkept == f"{tmp_path}/way is a link to {target}"
    with pytest.raises(Unkept, match="is a link to"):
        Collector({}, 1 << 62).add_whole(str(tmp_path))


def test_a_link_to_a_folder_keeps_tests_on_this_machine(tmp_path):
    """What lies behind a link cannot be laid out on a server as it is here."""
    project = linked(tmp_path)
    with pytest.raises(StaysHere, match=r"its input .*/held is a link to a folder"):
        files_below([project], NamedPlaces({"<project>": str(project)}))
