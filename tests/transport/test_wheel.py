"""Release files are unpacked into the layout that their tools expect."""

import io
import zipfile

import pytest
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_wheel

from envy.errors import ArchiveError
from envy.transport.wheel import lay_out_npm, lay_out_wheel


def wheel_file(folder, files, **settings):
    path = folder / "tool-1-py3-none-any.whl"
    path.write_bytes(make_wheel(files, **settings))
    return path


def test_scripts_become_executables(tmp_path):
    """A wheel's scripts are executable in bin/, whatever mode they were packed with."""
    path = wheel_file(tmp_path, {"tool-1.data/scripts/tool": b"\x7fELF"})
    assert lay_out_wheel(path, tmp_path / "out") == 1
    assert (tmp_path / "out/bin/tool").read_bytes() == b"\x7fELF"
    assert (tmp_path / "out/bin/tool").stat().st_mode & 0o111 == 0o111


def test_data_goes_to_the_root(tmp_path):
    """Data, purelib and platlib go to the root, headers to include/; other paths are kept."""
    path = wheel_file(
        tmp_path,
        {
            "tool-1.data/data/share/doc.txt": "d",
            "tool-1.data/purelib/pure.py": "p",
            "tool-1.data/platlib/plat.so": "s",
            "tool-1.data/headers/tool.h": "h",
            "tool/__init__.py": "i",
            "tool-1.dist-info/METADATA": "m",
        },
    )
    assert lay_out_wheel(path, tmp_path / "out") == 6
    found = sorted(
        file.relative_to(tmp_path / "out").as_posix()
        for file in (tmp_path / "out").rglob("*")
        if file.is_file()
    )
    assert found == [
        "include/tool.h",
        "plat.so",
        "pure.py",
        "share/doc.txt",
        "tool-1.dist-info/METADATA",
        "tool/__init__.py",
    ]


def test_executable_bit_inside_a_package_is_kept(tmp_path):
    """A program inside a package keeps its executable bit."""
    name = "tool/data/bin/tool"
    path = wheel_file(tmp_path, {name: "x", "tool/a.py": ""}, executable=(name,))
    lay_out_wheel(path, tmp_path / "out")
    assert (tmp_path / "out" / name).stat().st_mode & 0o100
    assert not (tmp_path / "out" / "tool/a.py").stat().st_mode & 0o100


@pytest.mark.parametrize("system", [0, 3, 19])
def test_any_executable_bit_counts_on_every_system(tmp_path, system):
    """As with pip, a mode with any x bit makes a file executable, whatever system zipped it."""
    path = tmp_path / "tool-1-py3-none-any.whl"
    modes = {"u": 0o100744, "o": 0o100645, "none": 0o100644, "no mode": 0}
    with zipfile.ZipFile(path, "w") as made:
        for name, mode in modes.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = system, mode << 16
            made.writestr(info, "x")
    lay_out_wheel(path, tmp_path / "out")
    found = {name for name in modes if (tmp_path / "out" / name).stat().st_mode & 0o100}
    assert found == {"u", "o"}


def test_python_scripts_get_an_interpreter(tmp_path):
    """A script with `#!python` runs with any python3."""
    path = wheel_file(tmp_path, {"tool-1.data/scripts/tool": "#!python -E\nprint(1)\n"})
    lay_out_wheel(path, tmp_path / "out")
    assert (tmp_path / "out/bin/tool").read_text() == "#!/usr/bin/env python3\nprint(1)\n"


def test_scripts_cannot_leave(tmp_path):
    """A wheel with a script outside of the folder is refused."""
    path = wheel_file(tmp_path, {"tool-1.data/scripts/../../../evil": "x"})
    with pytest.raises(ArchiveError):
        lay_out_wheel(path, tmp_path / "box" / "out")
    assert not list(tmp_path.rglob("evil"))


def test_empty_wheel(tmp_path):
    """A wheel without files is an error."""
    path = tmp_path / "tool-1-py3-none-any.whl"
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    path.write_bytes(stream.getvalue())
    with pytest.raises(ArchiveError, match="empty wheel"):
        lay_out_wheel(path, tmp_path / "out")


def test_npm_tarball_drops_its_folder(tmp_path):
    """An npm tarball is laid out without `package/`."""
    path = tmp_path / "tool-1.0.0.tgz"
    path.write_bytes(make_npm_tarball({"package.json": "{}", "bin/t": "x"}, executable=("bin/t",)))
    assert lay_out_npm(path, tmp_path / "out") == 2
    assert (tmp_path / "out/bin/t").stat().st_mode & 0o100
