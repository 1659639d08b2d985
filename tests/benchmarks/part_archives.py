"""Archives: extraction, compared with the usual program and with Python's library."""

import subprocess
import zipfile

from trees import write_tree


def run(bench, report):
    """Measure many small files and a few large ones, in each format."""
    shapes = {
        "small files": bench.choose((5000, 4000), (1000, 4000)),
        "large files": bench.choose((8, 16 << 20), (4, 4 << 20)),
    }
    for what, (files, size) in shapes.items():
        top = write_tree(bench.fresh("tree"), files=files, size=size)
        for suffix, archive in _pack(bench, top):
            _compare(bench, report, f"{suffix}, {files} {what}", archive, suffix)


def _pack(bench, top):
    folder = bench.fresh("archives")
    for suffix, option in (("tar.gz", "--gzip"), ("tar.zst", "--zstd")):
        archive = folder / f"a.{suffix}"
        subprocess.run(["tar", option, "-cf", archive, "-C", top, "."], check=True)
        yield suffix, archive
    archive = folder / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(top.rglob("*")):
            file.write(path, path.relative_to(top))
    yield "zip", archive


def _compare(bench, report, case, archive, suffix):
    dest = bench.folder / "unpacked"
    program = ["unzip", "-q", archive, "-d", dest]
    if suffix != "zip":
        # As for a user: into a folder that does not exist yet.
        program = ["sh", "-c", 'mkdir "$2" && tar -xf "$1" -C "$2"', "sh", archive, dest]
    commands = {"envy": bench.work("extract", archive, dest), "program": program}
    if suffix != "tar.zst":
        commands["library"] = bench.work("extract-by-library", archive, dest)
    found = dict(
        zip(
            commands,
            bench.meter.beside(
                commands.values(), runs=bench.count(5, 3), before=lambda: bench.remove(dest)
            ),
            strict=True,
        )
    )
    name = "unzip" if suffix == "zip" else "tar"
    floor = report.floor(f"{case}: {name}", found["program"])
    if "library" in found:
        report.row(f"{case}: Python's library", found["library"], floor, against=name)
    seen = bench.meter.with_peaks(
        found["envy"], commands["envy"], before=lambda: bench.remove(dest)
    )
    report.row(f"{case}: envy", seen, floor, against=name)
