"""Archives of every format that envy unpacks, created in memory."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

from backports import zstd

COMPRESSIONS = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstd.compress,
}


def make_tar(files):
    """Return a tar; a name that ends in `*` is executable, a text `-> x` makes a link to x."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.rstrip("*"))
            info.mode = 0o755 if name.endswith("*") else 0o644
            if text.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, text[3:]
                tar.addfile(info)
            else:
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


def make_zip(files):
    """Return a zip, with the modes of `make_tar`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name.rstrip("*"))
            info.create_system = 3
            info.external_attr = (0o100755 if name.endswith("*") else 0o100644) << 16
            archive.writestr(info, text)
    return stream.getvalue()


def make_archive(name, files):
    """Return an archive of the format that its name implies."""
    if name.endswith(".zip"):
        return make_zip(files)
    tar = make_tar(files)
    ending = name.rpartition(".")[2]
    return COMPRESSIONS[ending](tar) if ending in COMPRESSIONS else tar
