"""pip's configuration files, compared with what a real pip says of them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envy.errors import FetchError
from envy.transport.pip_configuration import parse_pip_settings
from envy.transport.pip_files import default_index, pip_files, pip_prefixes, read_settings

SECTIONS = ("global", "download", ":env:")
PIP = importlib.util.find_spec("pip")


@pytest.fixture
def pip(tmp_path):
    """A pip in an environment of its own, and a home; returns the variables."""
    if PIP is None or PIP.origin is None:
        pytest.skip("needs pip")
    prefix, home = tmp_path / "own", tmp_path / "home"
    (prefix / "bin").mkdir(parents=True)
    base = Path(sys.executable).resolve()
    (prefix / "bin" / "python").symlink_to(base)
    (prefix / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    script = prefix / "bin" / "pip"
    script.write_text(
        f"#!{prefix}/bin/python\nimport sys\n"
        f"sys.path.insert(0, {str(Path(PIP.origin).parents[1])!r})\n"
        "from pip._internal.cli.main import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    home.mkdir()
    path = f"{prefix}/bin:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "XDG_CONFIG_DIRS": f"{tmp_path}/m1:{tmp_path}/m2"}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def said_by_pip(environment):
    """Return what pip says of its settings for downloads, without empty ones."""
    done = subprocess.run(
        ["pip", "config", "list"],
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = parse_pip_settings(done.stdout)
    return {name: value for name, value in said.items() if value and "version-check" not in name}


@pytest.mark.skipif(sys.platform != "linux", reason="other folders elsewhere")
def test_the_same_as_pip(pip, tmp_path):
    """Each file is as in pip: of the machine, the user, the environment, and of a variable."""
    home, more = Path(pip["HOME"]), tmp_path / "more.conf"

    def check(extra=None):
        environment = {**pip, **(extra or {})}
        own = read_settings(pip_files(environment), SECTIONS)
        asked = {name: text for name, text in said_by_pip(environment).items() if name != "x"}
        asked.pop("config-file", None)
        assert own == asked
        return own

    write(tmp_path / "m1/pip/pip.conf", "[global]\nindex_url = https://m1\ncert=/m1\nINDEX=1\n")
    write(tmp_path / "m2/pip/pip.conf", "[global]\nindex-url: https://m2\n[install]\ncert=/no\n")
    assert check()["index-url"] == "https://m2"
    write(home / ".pip/pip.conf", "[global]\nextra-index-url =\n  https://a\n  https://b\n")
    write(home / ".config/pip/pip.conf", "[download]\ncert = /down%load\n[global]\ntimeout=1\n")
    write(tmp_path / "own/pip.conf", "[global]\n--index-url = https://site\n; a comment\nempty=\n")
    found = check()
    assert found["extra-index-url"].split() == ["https://a", "https://b"]
    assert found["cert"] == "/down%load"
    assert found["index-url"] == "https://site"
    write(
        tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://xdg\n[download]\nretries=2\n"
    )
    check({"XDG_CONFIG_HOME": str(tmp_path / "xdg")})
    write(more, "[global]\nindex-url = https://named\n")
    assert "extra-index-url" not in check({"PIP_CONFIG_FILE": str(more)})
    assert check({"PIP_CONFIG_FILE": f"{more}-missing"})["index-url"] == "https://site"
    assert read_settings(pip_files({**pip, "PIP_CONFIG_FILE": os.devnull}), SECTIONS) == {}


def test_the_environment_of_a_pip(tmp_path):
    """The folder of pip's environment is known from its script, or pip has to be asked."""
    prefix, folder = tmp_path / "own place", tmp_path / "bin"
    for path in (prefix / "bin", folder):
        path.mkdir(parents=True)
    write(prefix / "pyvenv.cfg", "")
    python = prefix / "bin" / "python3.12"
    python.symlink_to(sys.executable)

    def of(head):
        write(folder / "pip", f"{head}\nprint(1)\n")
        (folder / "pip").chmod(0o755)
        return pip_prefixes({"PATH": f"{folder}:{prefix}/bin"})

    quoted = f"'''exec' '{python}' \"$0\" \"$@\""
    for known in (
        f"#!/bin/sh\n{quoted}",
        f"#!/bin/sh\n{quoted}".replace("'/", '"/').replace("12'", '12"'),
        "#!/usr/bin/env python3.12",
    ):
        assert of(known) == [prefix]
    for unknown in ("#!/bin/sh", "#!/usr/bin/env python9", "MZ\0\xff", "", f"#!{folder}/other"):
        assert of(unknown) == []
    assert pip_files({"PATH": str(folder), "HOME": "/home"}) is None
    assert pip_prefixes({"PATH": str(tmp_path)}) == []


def test_one_of_several_environments(tmp_path):
    """A version manager's pip may be each of its versions: their own files have to be asked for."""
    write(tmp_path / "shims/pip", "#!/bin/bash\n")
    (tmp_path / "shims/pip").chmod(0o755)
    for version in ("3.11", "3.12"):
        modules = tmp_path / f"versions/{version}/lib/python{version}/site-packages/pip/_internal"
        write(
            modules / "models/index.py", 'import x\nPyPI = PackageIndex("https://x.invalid/", a)\n'
        )
    environment = {"PATH": f"{tmp_path}/shims", "HOME": str(tmp_path)}
    if not Path("/usr/pip.conf").exists():
        assert tmp_path / ".pip/pip.conf" in pip_files(environment)
    write(tmp_path / "versions/3.12/pip.conf", "")
    assert pip_files(environment) is None
    write(modules / "models/index.py", "PyPI = PackageIndex('https://y.invalid/')\n")
    assert default_index(environment) == ""


def test_the_default_index_of_an_environment(tmp_path):
    """pip's modules name the index that it takes packages from."""
    write(tmp_path / "bin/pip", f"#!{tmp_path}/bin/python\n")
    (tmp_path / "bin/pip").chmod(0o755)
    write(tmp_path / "pyvenv.cfg", "")
    source = tmp_path / "lib/python3.12/site-packages/pip/_internal/models/index.py"
    write(source, 'PyPI = PackageIndex(\n    "https://x.invalid/", file_storage_domain="f"\n)\n')
    environment = {"PATH": f"{tmp_path}/bin"}
    assert default_index(environment) == "https://x.invalid/simple"
    write(source, "PyPI = other()\n")
    assert default_index(environment) == ""


@pytest.mark.parametrize("text", ["index-url = x\n", "[global]\na=1\na=2\n", "[global]\nx = \xff"])
def test_a_file_that_pip_cannot_read(tmp_path, text):
    """The error names the file, and what to do."""
    path = tmp_path / "pip.conf"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(
        FetchError, match=r"configuration file .*pip\.conf cannot be read: "
    ) as caught:
        read_settings([path], SECTIONS)
    assert "pip config debug" in str(caught.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(FetchError, match="is not a plain file"):
        read_settings([path], SECTIONS)
