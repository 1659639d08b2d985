"""What the words for the linker name counts; what they leave open is not shared."""

import pytest

from envy.host.children import Children
from envy.testing.drivers.native.build import BuildTask, NativeBuilder
from envy.testing.drivers.native.linked import linked_files, not_alone
from envy.testing.drivers.native.results import consulted_by, shared_key_of
from envy.testing.drivers.native.store import Digests, NativeStore
from envy.testing.drivers.native.toolchain import NativeToolchain
from envy.testing.package import PackageRun, RunSettings, TestPackage
from envy.testing.shared.places import NamedPlaces, Unshared


def test_words_name_files(tmp_path):
    """Files, libraries in the folders of -L, and the files of options, whether they are there."""
    (tmp_path / "lib").mkdir()
    for name in ("libv.a", "x.map", "args"):
        (tmp_path / "lib" / name).write_text("")
    words = ["third/libw.a", "-L", "lib", "-Lmore", "-lv", "-lm", "-l:odd.a",
             "-Wl,-T,a.ld,-z,now", "-Wl,--version-script=lib/x.map", "@lib/args",
             "-Wl,--as-needed", "-pthread"]  # fmt: skip
    found = linked_files(words, str(tmp_path))
    named = [path.removeprefix(f"{tmp_path}/") for path in found.paths]
    assert named == ["third/libw.a", "a.ld", "now", "lib/x.map", "lib/args",
                     "lib/libv.so", "lib/libv.a", "more/libv.so", "more/libv.a",
                     "lib/libm.so", "lib/libm.a", "more/libm.so", "more/libm.a",
                     "lib/odd.a", "more/odd.a"]  # fmt: skip
    assert found.open_words == ("-T", "@lib/args", "-l:odd.a")
    for word in ("-lz", "-fuse-ld=x", "--sysroot=/x", "-Wl,-rpath,/x", "-Bdir"):
        assert linked_files([word], str(tmp_path)).open_words
    assert linked_files(["-lm", "-lpthread", "-static"], str(tmp_path)).open_words == ()


def test_what_leads_to_other_files(tmp_path):
    """Archives and objects stand alone; shared libraries, thin archives and scripts do not."""
    contents = {
        "a": b"!<arch>\nx",
        "o": b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\1\0",
        "thin": b"!<thin>\nx",
        "so": b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\3\0",
        "script": b"INPUT(x)",
        "short": b"\x7fELF",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    alone = [name for name in contents if not not_alone([f"{tmp_path}/{name}"])]
    assert alone == ["a", "o"]
    assert not_alone([f"{tmp_path}/missing", f"{tmp_path}/a", f"{tmp_path}/so"]).endswith("/so")


def test_libraries_count(tmp_path):
    """A library is in the key of the executable and in what results rest on."""
    folder, library = tmp_path / "p", tmp_path / "v.a"
    folder.mkdir()
    tool = NativeToolchain(name="llvm", program=tmp_path / "cc", root=tmp_path, identity="x")
    for path in (library, tmp_path / "cc"):
        path.write_bytes(b"!<arch>\n")
    run = PackageRun(package=TestPackage(name="p", directory=folder, driver="native"))

    def task(*words):
        linked = linked_files(words, str(tmp_path))
        return BuildTask(
            name="p", units=(), test_sources=(), has_own_main=False, link_flags=words,
            linked=linked,
        )  # fmt: skip

    def key():
        builder = NativeBuilder(
            tool, NativeStore(tmp_path / "store"), Digests(), children=Children(),
            scratch=tmp_path, jobs=1,
        )  # fmt: skip
        builder.close()
        return builder.key(task("v.a"))

    def share(*words):
        shared_key_of(
            run, task(*words), tool, RunSettings(), environment={}, places=NamedPlaces({}), count=1
        )

    before = key()
    library.write_bytes(b"!<arch>\nother")
    assert key() != before
    rows = consulted_by(folder, task("v.a"), (), (), since=1 << 62)
    assert str(library) in {row.subject for row in rows}
    share("v.a", "-lm")
    with pytest.raises(Unshared, match="nothing tells which files -lz links"):
        share("-lz")
    library.write_bytes(b"INPUT(other.a)")
    with pytest.raises(Unshared, match=r"v\.a is linked, and may load other files"):
        share("v.a")
