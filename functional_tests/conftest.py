"""Fixtures of the tests that run the installed `envy` command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from casd import fetch_programs, running_casd
from gotests import GoProject, go_folder
from native_tests import NativeProject, zig_folder
from project import Project


@pytest.fixture
def project(tmp_path):
    """A project with a cache of its own."""
    return Project(tmp_path / "project")


@pytest.fixture
def second_project(tmp_path, project):
    """Another project, with the same cache."""
    return Project(tmp_path / "second", cache=project.cache)


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    """The folder of a Go toolchain's programs."""
    return go_folder(tmp_path_factory.mktemp("go"))


@pytest.fixture
def go_project(tmp_path, go):
    """A Go module, with a cache of its own for envy; Go's own build cache is shared."""
    return GoProject(tmp_path / "module", go)


@pytest.fixture(scope="session")
def zig(tmp_path_factory):
    """The folder of a zig, and the folder that all workers of this run share as its cache."""
    scratch = tmp_path_factory.mktemp("zig")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if shared.name.startswith("popen-") else shared
    return zig_folder(scratch), shared / "zig-cache"


@pytest.fixture
def native_project(tmp_path, zig):
    """Folders with C tests, with a cache of their own for envy; zig's own cache is shared."""
    return NativeProject(tmp_path / "native", *zig)


@pytest.fixture(scope="session")
def casd_programs(tmp_path_factory):
    """The folder of the programs of buildbox-casd."""
    return fetch_programs(tmp_path_factory.mktemp("casd"))


@pytest.fixture
def casd(casd_programs, tmp_path):
    """The URL of a buildbox-casd."""
    with running_casd(casd_programs, tmp_path / "cas") as url:
        yield url


@pytest.fixture
def executor(casd_programs, tmp_path):
    """The URL of a buildbox-casd that executes actions in buildbox-run, by bubblewrap."""
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap, of the package bubblewrap, is missing")
    words = ["--buildbox-run", str(casd_programs / "buildbox-run")]
    with running_casd(casd_programs, tmp_path / "cas", *words) as url:
        yield url


@pytest.fixture
def unprivileged():
    """A command prefix under which permissions apply, as they do not for root."""
    if os.geteuid() != 0:
        return ()
    powers = "-dac_override,-dac_read_search"
    words = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("needs a user other than root, or setpriv to drop the privileges of root")
    return words
