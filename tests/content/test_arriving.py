"""Archives that are unpacked while they arrive: the same tree, or none that counts."""

import bz2
import contextlib
import gzip
import io
import lzma
import random
import sys
import threading
import zipfile

import pytest
from arriving_files import Sender, extract_while_it_arrives
from packed import tar_of

from envy.content.archive import extract, extract_below, is_unpacked_while_arriving
from envy.content.arriving import Arriving, GivenUp
from envy.content.below_root import open_below
from envy.errors import ArchiveError
from envy.transport.wheel import lay_out_wheel_below

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RANDOM = random.Random(7)
FILES = {"large": bytes(range(256)) * 8192}
FILES |= {f"d{number % 3}/{number}": RANDOM.randbytes(900) * (number % 5) for number in range(450)}
FILES |= {"empty": b"", "a/b/c/deep": b"x"}


class Pipe(io.BytesIO):
    """A zip that is written to it has the size of each member after its content."""

    def tell(self):
        raise OSError


def zip_of(*members, method=zipfile.ZIP_DEFLATED, seekable=True):
    stream = io.BytesIO() if seekable else Pipe()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


TAR = tar_of(*FILES.items(), ("link", (b"2", "a/b/c/deep")), ("d0/again", (b"1", "d0/0")))
PACKED = {
    "x.tar": TAR,
    "x.tar.gz": gzip.compress(TAR),
    "x.tar.bz2": bz2.compress(TAR),
    "x.tar.xz": lzma.compress(TAR),
    "x.tar.zst": zstd.compress(TAR),
    "x.zip": zip_of(*FILES.items()),
    "stored.zip": zip_of(*FILES.items(), method=zipfile.ZIP_STORED),
    "sizes_after.zip": zip_of(*FILES.items(), seekable=False),
    "lzma.zip": zip_of(*FILES.items(), method=zipfile.ZIP_LZMA),
    "bzip2.zip": zip_of(("a", b"x" * 5000), ("b", b"y"), method=zipfile.ZIP_BZIP2),
}


def tree(top):
    found = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path.relative_to(top).as_posix()] = (status.st_mode, status.st_size, content)
        if path.is_file() and not path.is_symlink():
            found[path.relative_to(top).as_posix()] += (status.st_mtime_ns,)
    return found


@pytest.mark.parametrize("name", PACKED)
def test_the_same_tree(tmp_path, name):
    """It is that of the whole file, and nothing but the end of a zip is asked for."""
    archive = tmp_path / name
    archive.write_bytes(PACKED[name])
    assert is_unpacked_while_arriving(name, PACKED[name][:512])
    count = extract(archive, tmp_path / "whole")
    threads = threading.active_count()
    part = tmp_path / "part"
    assert extract_while_it_arrives(archive, tmp_path / "ahead", part) == (count, True)
    assert tree(tmp_path / "ahead") == tree(tmp_path / "whole")
    assert threading.active_count() <= threads  # others may end meanwhile


@pytest.mark.parametrize("name", ["x.tar", "x.tar.zst", "x.zip"])
def test_the_first_files_do_not_wait_for_the_last_bytes(tmp_path, name):
    """They are written while the end of the archive is held back."""
    data = PACKED[name]
    archive, out = tmp_path / name, tmp_path / "out"
    with Sender(tmp_path / "part", data, held=len(data) // 3) as sender:
        written = threading.Event()

        def look_for_the_first():
            while not (out / "large").exists() and not sender.let_go.wait(0.005):
                pass
            written.set()
            sender.let_go.set()

        looking = threading.Thread(target=look_for_the_first, daemon=True)
        looking.start()
        with open_below(out) as below:
            assert extract_below(archive, below, (), arriving=sender.arriving) >= 450
        looking.join()
        assert written.is_set()
        assert sender.arriving.is_confirmed()
        assert len(sender.asked) <= 2
        assert all(start > len(data) // 2 for start, _ in sender.asked)


def test_a_wheel_has_the_layout_of_a_wheel(tmp_path):
    """Its scripts are in bin, though they may be written after all else."""
    tool = ("x-1.data/scripts/tool", b"#!python\nx")
    wheel = zip_of(("x/a.py", b"a"), tool, ("x-1.data/data/d", b""))
    path = tmp_path / "x-1-py3-none-any.whl"
    with Sender(tmp_path / "part", wheel) as sender, open_below(tmp_path / "out") as below:
        assert lay_out_wheel_below(path, below, (), arriving=sender.arriving) == 3
    assert (tmp_path / "out/bin/tool").read_text() == "#!/usr/bin/env python3\nx"
    assert (tmp_path / "out/d").exists()


def test_another_list_of_names_at_the_end(tmp_path):
    """A server that answers with another end than the file turns out to have is not believed."""
    much = RANDOM.randbytes(2000)
    real, other = zip_of(("a", much), ("b", b"2")), zip_of(("a", much), ("c", b"2"))
    assert len(real) == len(other)
    held = {"pieces": (10,), "held": 150}
    (tmp_path / "x.zip").write_bytes(real)
    # The header of a member says what the list does not: an error, and not two trees.
    with pytest.raises(ArchiveError, match="differ"):
        extract_while_it_arrives(
            tmp_path / "x.zip", tmp_path / "out", tmp_path / "part", tail=other, **held
        )
    # Nothing of the file contradicts a comment.
    (tmp_path / "x.zip").write_bytes(commented(real, b"one"))
    found = extract_while_it_arrives(
        tmp_path / "x.zip",
        tmp_path / "two",
        tmp_path / "part",
        tail=commented(real, b"two"),
        **held,
    )
    assert found == (2, False)


def commented(data, comment):
    return data[:-2] + len(comment).to_bytes(2, "little") + comment


def test_a_member_twice(tmp_path):
    """The later one replaces the earlier one, as in the whole file."""
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zip_of(("a", b"1"), ("b", b""), ("a", b"22"))
    (tmp_path / "x.zip").write_bytes(data)
    found = extract_while_it_arrives(tmp_path / "x.zip", tmp_path / "out", tmp_path / "part")
    assert found == (3, True)
    assert (tmp_path / "out/a").read_bytes() == b"22"


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_download_that_ends(tmp_path, name):
    """Whoever waits for the rest is told, in every thread, and no thread is left."""
    threads = threading.active_count()
    data = PACKED[name]
    with Sender(tmp_path / "part", data, held=len(data) // 2) as sender:
        giving_up = threading.Timer(0.05, sender.arriving.give_up)
        giving_up.start()
        with pytest.raises(GivenUp), open_below(tmp_path / "out") as below:
            extract_below(tmp_path / name, below, (), arriving=sender.arriving)
        assert not sender.arriving.is_confirmed()
        giving_up.join()
    assert threading.active_count() <= threads  # others may end meanwhile


def test_a_server_that_does_not_answer_for_the_end(tmp_path):
    """Then a zip is not unpacked before it is there; nor if its list of names is too large."""
    for index, ask_for in enumerate((lambda _a, _b: b"", lambda _a, _b: bytes(3), give_up)):
        path = tmp_path / str(index)
        path.write_bytes(PACKED["x.zip"])
        with path.open("rb") as file:
            arriving = Arriving(str(path), file.fileno(), path.stat().st_size, ask_for)
        arriving.note(5000)
        with pytest.raises(GivenUp), open_below(tmp_path / "out") as below:
            extract_below(tmp_path / "x.zip", below, (), arriving=arriving)
        arriving.close()


def give_up(_start, _stop):
    raise GivenUp


def test_a_server_that_answers_late(tmp_path):
    """Whoever does not want to wait for it tells so, and the reader then writes nothing."""
    path, asked, answers, given_up = tmp_path / "part", *(threading.Event() for _ in range(3))
    path.write_bytes(PACKED["x.zip"])

    def answer_late(start, stop):
        asked.set()
        answers.wait()
        return PACKED["x.zip"][start:stop]

    with path.open("rb") as file:
        arriving = Arriving(str(path), file.fileno(), path.stat().st_size, answer_late, given_up)
    arriving.note(5000)

    def finish():
        asked.wait()
        assert arriving.give_up_asking()
        assert given_up.is_set()
        answers.set()

    finishing = threading.Thread(target=finish)
    finishing.start()
    with pytest.raises(GivenUp), open_below(tmp_path / "out") as below:
        extract_below(tmp_path / "x.zip", below, (), arriving=arriving)
    finishing.join()
    assert not [*(tmp_path / "out").iterdir()]
    assert arriving.is_left
    arriving.close()


def test_nobody_asks_when_all_is_there(tmp_path):
    """A reader that comes to it late reads the file, or gives up; it never waits for a server."""
    path = tmp_path / "part"
    path.write_bytes(PACKED["x.zip"])
    for arrived in (5000, len(PACKED["x.zip"])):
        with path.open("rb") as file:
            arriving = Arriving(str(path), file.fileno(), len(PACKED["x.zip"]), never)
        arriving.note(arrived)
        assert not arriving.give_up_asking()
        outcome = pytest.raises(GivenUp) if arrived == 5000 else contextlib.nullcontext()
        with outcome, open_below(tmp_path / str(arrived)) as below:
            extract_below(tmp_path / "x.zip", below, (), arriving=arriving)
        arriving.close()


def never(_start, _stop):
    raise AssertionError


ACCEPTED = {
    "all of it": (lambda file: file.end("d"), True),
    "another digest": (lambda file: file.end("e"), False),
    "no digest": (lambda _file: None, False),
    "given up before": (lambda file: (file.give_up(), file.end("d")), False),
    "given up afterwards": (lambda file: (file.end("d"), file.give_up()), False),
    "more than all": (lambda file: (file.note(11), file.note(10), file.end("d")), False),
    "more afterwards": (lambda file: (file.end("d"), file.note(10)), False),
    "less than before": (lambda file: (file.note(9), file.note(10), file.end("d")), False),
    "less than all": (lambda file: (file.note(9), file.end("d")), False),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_is_accepted(tmp_path, case):
    """Nothing but the whole file under its digest, and never again what was given up."""
    (tmp_path / "part").write_bytes(bytes(10))
    change, is_accepted = ACCEPTED[case]
    with (tmp_path / "part").open("rb") as file:
        arriving = Arriving(str(tmp_path / "part"), file.fileno(), 10, never)
    arriving.note(10)
    assert not arriving.is_accepted("d")
    change(arriving)
    assert arriving.is_accepted("d") is is_accepted
    assert not arriving.is_accepted("")
    arriving.close()


def test_a_file_that_somebody_cuts_off(tmp_path):
    """What was there is not there any more: no error of the archive, and no end of it."""
    path = tmp_path / "part"
    path.write_bytes(PACKED["x.tar"])
    with path.open("r+b") as file:
        arriving = Arriving(str(path), file.fileno(), len(PACKED["x.tar"]), give_up)
        arriving.note(len(PACKED["x.tar"]))
        file.truncate(70_000)
    with pytest.raises(GivenUp), open_below(tmp_path / "out") as below:
        extract_below(tmp_path / "x.tar", below, (), arriving=arriving)
    assert not arriving.is_confirmed()
    arriving.close()


def test_a_link_to_what_is_cut_off(tmp_path):
    """It needs the archive a second time, so it is left to the whole file."""
    data = tar_of(("top/inner/l", (b"2", "../x")), ("top/x", b"x"), ("top/inner/y", b""))
    with (
        Sender(tmp_path / "part", data) as sender,
        open_below(tmp_path / "out") as below,
        pytest.raises(GivenUp),
    ):
        extract_below(tmp_path / "x.tar", below, (), strip=2, arriving=sender.arriving)


def test_which_files():
    """Those whose name says that they are an archive, and whose content says which."""
    assert not is_unpacked_while_arriving("x.jar", PACKED["x.zip"][:512])
    assert not is_unpacked_while_arriving("x", PACKED["x.tar"][:512])
    assert not is_unpacked_while_arriving("x.gz", PACKED["x.tar.gz"][:512])
    assert not is_unpacked_while_arriving("x.tar", b"text")
    assert not is_unpacked_while_arriving("x.deb", b"!<arch>\ndebian-binary")
    assert is_unpacked_while_arriving("x.whl", PACKED["x.zip"][:512])
