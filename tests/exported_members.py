"""The members of an exported file, as tarfile reads them, to write them again with changes."""

import sys
import tarfile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def exported_members(path):
    """Each member with its content; None if it is not a file."""
    with zstd.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        return [
            (member, tar.extractfile(member).read() if member.isreg() else None) for member in tar
        ]
