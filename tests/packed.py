"""Archives made byte by byte: ar, Debian packages and RPM packages, with faults where wanted."""

import gzip
import io
import stat
import struct
import tarfile


def ar_header(name, size, *, mode=0o644, mtime=1_600_000_000, end=b"`\n"):
    """The header of a member; `size` may be any text."""
    text = f"{name:<16}{mtime:<12}{0:<6}{0:<6}{mode:<8o}{size:<10}"
    return text.encode() + end


def ar_bytes(*members):
    """An ar archive of (name, content) pairs; a name of bytes is a whole header."""
    made = b"!<arch>\n"
    for name, content in members:
        head = name if isinstance(name, bytes) else ar_header(name, len(content))
        made += head + content + b"\n" * (len(content) % 2)
    return made


def tar_of(*members):
    """A tar of (name, content) pairs; content None is a folder, a tuple is (type, link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o755, 1_600_000_000
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                info.type, info.linkname = content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return stream.getvalue()


def deb_bytes(data, *, version=b"2.0\n", data_name="data.tar.gz"):
    """A Debian package with this data; the content of its control archive is never read."""
    return ar_bytes(("debian-binary", version), ("control.tar", b"any"), (data_name, data))


def cpio_entry(name, content=b"", *, mode=stat.S_IFREG | 0o644, inode=0, links=1, **fields):
    """An entry of a cpio archive; `magic`, `name_size` and `size` are true unless given."""
    encoded = name.encode() + b"\0"
    numbers = [inode, mode, 0, 0, links, 1_600_000_000, fields.get("size", len(content))]
    numbers += [0, 0, 0, 0, fields.get("name_size", len(encoded)), 0]
    made = fields.get("magic", b"070701") + b"".join(b"%08x" % number for number in numbers)
    made += encoded
    made += b"\0" * (-len(made) % 4) + content
    return made + b"\0" * (-len(content) % 4)


END = cpio_entry("TRAILER!!!")


def rpm_header(entries=0, size=0, magic=b"\x8e\xad\xe8\x01"):
    return struct.pack(">4s4xII", magic, entries, size)


def rpm_bytes(*entries, compress=gzip.compress, headers=None):
    """An RPM package of cpio entries, whose headers say nothing."""
    lead = b"\xed\xab\xee\xdb".ljust(96, b"\0")
    # The first header has one entry and seven bytes of data, then padding to eight.
    first = rpm_header(1, 7) + b"\0" * (16 + 7) + b"\0"
    second = rpm_header(2, 3) + b"\0" * (32 + 3)
    head = lead + (first + second if headers is None else headers)
    return head + compress(b"".join(entries))
