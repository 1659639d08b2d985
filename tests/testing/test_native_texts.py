"""The native driver's readers: sources, module text, and what an executable tells."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.testing.drivers.native.channel import Channel, LineLimiter, OutputSplitter, ranges
from envy.testing.drivers.native.module_text import (
    find_tests,
    name_in_source,
    strong_definitions,
    with_table,
)
from envy.testing.drivers.native.sources import (
    find_main,
    find_packages,
    package_name,
    read_functions,
)

SOURCE = r"""
// int test_comment(void) { }
/* int test_block(void) {
} */
#define T(n) int test_##n(void) { return 0; }
const char *text = "int test_string(void) {";
int test_declared(void);
int test_one(void)
{ return test_declared(); }
static void test_hidden(void) { if (x) { } }
void
test_two (void) { }
int main(int argc, char **argv) { return 0; }
int test_old(a, b) int a; char *b[]; { return 0; }
int test_proto(void); int x; struct s { int y; };
"""


def test_tests_are_read_from_a_source():
    """Comments, strings, macros and declarations define nothing."""
    found = [(f.name, f.line, f.is_static) for f in read_functions(SOURCE)]
    assert found == [
        ("test_one", 8, False),
        ("test_hidden", 10, True),
        ("test_two", 12, False),
        ("main", 13, False),
        ("test_old", 14, False),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("int x;\nint main(argc, argv) int argc; char **argv; { }", 2),
        ("main() { }", 1),
        ("int API main OF((int));", 1),
        ("void Thing::main() { this->main(); thing.main(); }", None),
        ("int domain(void); // main()", None),
    ],
)
def test_the_main_of_a_library_is_found_in_any_form(text, line):
    """Old C, macros and a missing type hide no `main`; methods of that name are none."""
    assert [f.line for f in find_main(text)] == ([] if line is None else [line])


def test_a_static_member_of_a_class_is_no_hidden_test():
    """`static` in a class does not hide a function from other files."""
    [found] = read_functions("struct S {\n  static int test_member() { return 1; }\n};\n")
    assert not found.is_static


def test_folders_are_found_by_pattern(tmp_path):
    """A pattern is a folder, all folders below one, or a test file."""
    files = "a/x_test.c a/x.c a/b/y_test.cpp vendor/z_test.c .h/z_test.c c/n.c"
    for name in files.split():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")

    def names(*patterns):
        return [package_name(p.directory, tmp_path) for p in find_packages(tmp_path, patterns)]

    assert names("./...") == ["a", "a/b"]
    assert names("a") == names("./a/x_test.c") == ["a"]
    assert names("c", "nix", "a/x.c", "example.com/m") == []
    assert find_packages(tmp_path, ["a"])[0].library == ("x.c",)
    (tmp_path / "r_test.c").write_text("")
    assert names(".", tmp_path.name) == [tmp_path.name]
    (tmp_path / tmp_path.name).mkdir()
    assert names(".") == ["."]


MODULE = """\
target triple = "x86_64-unknown-linux-gnu"
@envy_test_table = external global ptr, align 8
@envy_test_count = external global i32, align 4
@shared = global i32 3, align 4
@hidden = internal global i32 3, align 4
@borrowed = external global i32, align 4
define i32 @test_b() #0 !dbg !20 {
define void @test_a() #0 !dbg !21 {
define internal i32 @test_static.1() #0 !dbg !22 {
define zeroext i1 @test_bool() #0 !dbg !23 {
define i32 @test_takes(i32 noundef %0) #0 !dbg !24 {
define noundef i32 @_ZN4deep2er6test_cEv() #0 !dbg !25 {
define i32 @test_of_library() #0 !dbg !26 {
define i32 @_ZN1S6test_mEv() #0 !dbg !27 {
define weak i32 @weak() #0 {
!0 = !{i32 7, !"Dwarf Version", i32 4}
!1 = !DIFile(filename: "p/x_test.c", directory: "/d", checksumkind: CSK_MD5, checksum: "ab")
!2 = !DIFile(filename: "p/lib.c", directory: "/d")
!5 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "clang (a, b)")
!6 = distinct !DICompileUnit(language: DW_LANG_C11, file: !2, producer: "clang")
!8 = !DINamespace(name: "deep", scope: null)
!9 = !DINamespace(name: "er", scope: !8)
!10 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "S")
!20 = distinct !DISubprogram(name: "test_b", scope: !1, file: !1, line: 9, type: !3, unit: !5)
!21 = distinct !DISubprogram(name: "test_a", scope: !1, file: !1, line: 3, type: !3, unit: !5)
!22 = distinct !DISubprogram(name: "test_static", scope: !1, file: !1, line: 4, unit: !5)
!23 = distinct !DISubprogram(name: "test_bool", scope: !1, file: !1, line: 5, unit: !5)
!24 = distinct !DISubprogram(name: "test_takes", scope: !1, file: !1, line: 6, unit: !5)
!25 = distinct !DISubprogram(name: "test_c", linkageName: "_ZN4deep2er6test_cEv", scope: !9, \
file: !1, line: 7, unit: !5)
!26 = distinct !DISubprogram(name: "test_of_library", scope: !2, file: !2, line: 7, unit: !6)
!27 = distinct !DISubprogram(name: "test_m", scope: !10, file: !1, line: 8, unit: !5)
"""


def test_tests_are_found_in_a_module():
    """Tests are the external functions of test sources, under the names of the source."""
    found = find_tests(MODULE, ["p/x_test.c"])
    assert [(t.name, t.line, t.returns_nothing, bool(t.problem)) for t in found] == [
        ("test_a", 3, True, False),
        ("test_bool", 5, False, True),
        ("test_takes", 6, False, True),
        ("deep::er::test_c", 7, False, False),
        ("test_b", 9, False, False),
    ]
    assert find_tests("define i32 @f() {\n", ["p/x_test.c"]) == []


def test_strong_definitions_leave_out_what_others_may_define():
    """Weak, internal and borrowed symbols may be defined again."""
    found = strong_definitions(MODULE)
    assert found["shared"] == ""
    assert found["test_b"] == "p/x_test.c:9"
    assert not {"hidden", "borrowed", "weak", "test_static.1"} & set(found)
    assert name_in_source("_ZN4deep2er6test_cEv", MODULE) == "test_c"
    assert name_in_source("plain", MODULE) == "plain"


@pytest.mark.parametrize(
    ("opaque", "line"),
    [
        (True, "{ ptr, ptr, ptr, i32 } { ptr @envy.name.0, ptr @envy.unit.0, ptr @test_a, i32 1 }"),
        (False, "i8* bitcast (void ()* @test_a to i8*), i32 1 }"),
    ],
)
def test_the_table_replaces_its_declaration(opaque, line):
    """The dispatcher's table is written in the syntax of the module's LLVM."""
    [test] = [t for t in find_tests(MODULE, ["p/x_test.c"]) if t.name == "test_a"]
    text = with_table(MODULE, [test], opaque=opaque)
    assert line in text
    assert "external global ptr" not in text
    assert "@envy_test_count = constant i32 1" in text


class Splits:
    """An output splitter, with what it has passed on."""

    def __init__(self):
        self.parts = []
        self.splitter = OutputSplitter(
            "beef", on_output=self._output, on_mark=lambda kind, at: self.parts.append((kind, at))
        )

    def _output(self, data):
        if self.parts and isinstance(self.parts[-1], bytes):
            self.parts[-1] += data
        else:
            self.parts.append(data)


@given(st.lists(st.integers(1, 9), max_size=40))
def test_marks_are_found_wherever_the_output_is_cut(sizes):
    """The chunks in which output arrives change nothing; a foreign nonce is output."""
    data = b"a\x16beef:S0\nhi\x16dead:E0\n\x16beef:E0\n\x16beef:X1\n\x16\x16beef:S12\nend\x16be"
    splits = Splits()
    at = 0
    for size in [*sizes, len(data)]:
        splits.splitter.feed(data[at : at + size])
        at += size
    splits.splitter.finish()
    assert splits.parts == [
        b"a", ("S", 0), b"hi\x16dead:E0\n", ("E", 0), b"\x16", ("S", 12), b"end\x16be",
    ]  # fmt: skip


def test_an_endless_mark_is_output():
    """What begins as a mark and never ends does not pile up."""
    splits = Splits()
    splits.splitter.feed(b"\x16beef:S" + b"1" * 100)
    splits.splitter.finish()
    assert b"".join(splits.parts) == b"\x16beef:S" + b"1" * 100


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\r", b"")), max_size=20))
def test_output_is_passed_on_whole_until_it_is_too_much(chunks):
    """All lines of a test are passed on; of much output the two ends."""
    whole = b"".join(chunks)
    lines = []
    limiter = LineLimiter(lines.append, limit=1 << 20)
    for chunk in chunks:
        limiter.feed(chunk)
    limiter.finish()
    text = whole.decode("utf-8", "replace") if b"\n" not in whole else None
    if text is not None:
        assert "".join(lines) == (text + "\n" if text else "")
    unfinished = bool(whole) and not whole.endswith(b"\n")
    assert "".join(lines).count("\n") == whole.count(b"\n") + unfinished


def test_much_output_loses_its_middle():
    """The line in place of the middle says how many bytes are missing."""
    lines = []
    limiter = LineLimiter(lines.append, limit=40)
    for number in range(100):
        limiter.feed(b"line %03d\n" % number)
    limiter.finish()
    assert lines[0] == "line 000\n"
    assert lines[-1] == "line 099\n"
    [missing] = [line for line in lines if "left out" in line]
    kept = sum(len(line) for line in lines) - len(missing)
    assert f" {900 - kept} bytes" in missing


def test_results_need_the_nonce():
    """Lines with another nonce, or of another form, are ignored."""
    channel = Channel(nonce="beef")
    channel.open()
    os.write(channel.write_end, b"dead E 0 0 1\n\nbeef S 0\nbeef E 0 3 2000000000\nbeef E 0 0 1\n")
    os.write(channel.write_end, b"junk\nbeef E x\nbeef\nbeef D\n")
    channel.drain()
    channel.close()
    assert list(channel.started) == [0]
    assert (channel.ended[0].code, channel.ended[0].seconds) == (3, 2.0)
    assert channel.done


def test_indexes_are_written_as_ranges():
    """Consecutive indexes are one range."""
    assert ranges([0, 1, 2, 4, 6, 7]) == "0-2,4,6-7"
    assert ranges([]) == ""
