"""Wheels made again of what is installed here, and Pythons that lack something."""

import csv
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

_NOT_OF_THE_WHEEL = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def wheel_of(name: str) -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel of an installed package, without programs."""
    found = metadata.distribution(name)
    dist_info = f"{found.name.replace('-', '_')}-{found.version}.dist-info"
    files = {}
    for path in found.files or ():
        parts = path.parts
        if parts[0] == ".." or "__pycache__" in parts or path.name in _NOT_OF_THE_WHEEL:
            continue
        if parts[0].endswith(".dist-info"):
            parts = (dist_info, *parts[1:])
        files["/".join(parts)] = Path(str(path.locate())).read_bytes()
    tags = [
        line.partition(":")[2].strip()
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag:")
    ]
    columns = zip(*(tag.split("-", 2) for tag in tags), strict=True)
    tag = "-".join(".".join(dict.fromkeys(column)) for column in columns)
    filename = f"{found.name.replace('-', '_')}-{found.version}-{tag}.whl"
    return filename, _packed(files, dist_info)


def empty_wheel(name: str, version: str) -> tuple[str, bytes]:
    """Return a wheel with nothing but metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
        f"Version: {version}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    return f"{stem}-py3-none-any.whl", _packed(files, f"{stem}.dist-info")


def _packed(files: dict[str, bytes], dist_info: str) -> bytes:
    record = io.StringIO()
    csv.writer(record).writerows([name, "", ""] for name in [*files, f"{dist_info}/RECORD"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as wheel:
        for name, content in {**files, f"{dist_info}/RECORD": record.getvalue().encode()}.items():
            wheel.writestr(zipfile.ZipInfo(name, date_time=(2020, 1, 2, 3, 4, 6)), content)
    return stream.getvalue()


def make_python(folder: Path, *, without: Sequence[str] = (), pip: bool = False) -> Path | None:
    """Make a Python of its own, which its system manages (PEP 668); return it.

    It lacks the modules of `without`, and has no packages but, perhaps, pip. None is returned if
    this Python cannot be copied.
    """
    version = "python{}.{}".format(*sys.version_info)
    library = folder / "lib" / version
    packages = library / "site-packages"
    packages.mkdir(parents=True)
    skipped = {"site-packages", "dist-packages", "EXTERNALLY-MANAGED", "sitecustomize.py", *without}
    for path in Path(os.__file__).parent.iterdir():
        if path.name not in skipped:
            (library / path.name).symlink_to(path)
    (library / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=not here\n")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python3"
    base = getattr(sys, "_base_executable", sys.executable)
    shutil.copy2(Path(base).resolve(), python)
    if pip:
        own = Path(str(metadata.distribution("pip").locate_file("")))
        for path in own.glob("pip*"):
            (packages / path.name).symlink_to(path)
    words = [str(python), "-I", "-c", "import sys; print(sys.prefix)"]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    is_usable = run.stdout.strip() == str(folder) and not sysconfig.get_config_var(
        "PYTHONFRAMEWORK"
    )
    return python if is_usable else None
