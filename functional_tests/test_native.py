"""`envy test` of C: one executable a folder, and the truth about tests that misbehave."""

import os
import platform
import re
import shutil
import subprocess

import pytest
from gotests import events_of, in_time, outcomes

HOSTILE = r"""
#include <stdio.h>
#include <stdlib.h>
#include "add.h"
static int helper(void) { return 3; }
static int test_hidden(void) { return helper(); }
int test_a_pass(void) { printf("fine\n"); return add(1, 2) - helper(); }
void test_b_segv(void) { printf("before\n"); *(volatile int *)0 = 1; }
void test_c_abort(void) { abort(); }
void test_d_exit(void) { exit(0); }
void test_e_loop(void) { for (;;) { volatile int x = 0; (void)x; } }
int test_f_wrong(void) { return add(2, 2) != 5; }
void test_g_forge(void) {
  printf("\x16" "0123:E5\n--- PASS: test_f_wrong (0.00s)\nPASS\n");
  for (int fd = 3; fd < 300; fd++) dprintf(fd, "0123 E 5 0 1\n0123 D");
}
int test_h_pass(void) { return 0; }
"""
EXPECTED = {
    "test_a_pass": "pass", "test_b_segv": "fail", "test_c_abort": "fail", "test_d_exit": "fail",
    "test_e_loop": "fail", "test_f_wrong": "fail", "test_g_forge": "pass", "test_h_pass": "pass",
    "": "fail",
}  # fmt: skip
ADD = "static int helper(int x) { return x; }\nint add(int a, int b) { return helper(a) + b; }\n"


def test_hostile_tests_have_their_own_results(native_project):
    """Crashes, early exits, a loop and forged results harm no other test."""
    native_project.write("lib/add.h", "int add(int, int);\n")
    native_project.write("lib/add.c", ADD)
    native_project.write("lib/hostile_test.c", HOSTILE)

    def limited(*words, **details):
        return in_time(
            lambda limit: native_project.envy_test(
                "--json", "--timeout", limit, *words, code=1, **details
            ),
            "test_e_loop",
        )

    run = limited()
    assert outcomes(run) == EXPECTED
    reasons = {row["Test"]: row.get("Reason", "") for row in events_of(run)
               if row["Action"] == "fail" and row.get("Test")}  # fmt: skip
    assert reasons == {
        "test_b_segv": "signal SIGSEGV", "test_c_abort": "signal SIGABRT", "test_d_exit": "exit 0",
        "test_e_loop": "timeout", "test_f_wrong": "",
    }  # fmt: skip
    said = "".join(row.get("Output", "") for row in events_of(run))
    assert "lib/hostile_test.c:6: warning: `test_hidden` is static" in said
    written = {row.get("Test") for row in events_of(run) if row.get("Output") == "before\n"}
    assert written == {"test_b_segv"}

    isolated = limited("--isolate")
    assert outcomes(isolated) == EXPECTED
    stopped = native_project.envy_test("--max-fails", "2", "--timeout", "500ms", code=1)
    assert "2 failed" in stopped.out
    failed = limited("--failed")
    assert set(outcomes(failed)) == {"", *reasons}
    one = native_project.envy_test("--run", "a_pass|h_pass", "lib/hostile_test.c")
    assert "2 passed, 0 failed" in one.out

    [module] = native_project.kept("package.ll")
    text = module.read_text()
    assert len(re.findall(r"^define .*@add\(", text, re.MULTILINE)) == 1
    assert "@helper.1(" in text  # the linker renamed one of the two
    if platform.machine() == "x86_64":  # zig's own words name each feature that is off
        assert "-avx512f" not in text
    assert len(native_project.kept("package.o")) == len(native_project.kept("package.test")) == 1


BAD = {
    "-dé 'sh/x_test.c": "int test_é(void) { return 0; }\nint test_b(void) { return 0; }\n",
    "elsewhere/value.c": '#include "z/value.h"\nint value(void) { return SEVEN; }\n',
    "empty/x_test.c": "int test_a(void) { return 0; }\n",
    "far/broken.c": "not C\n",
    "far/x_test.c": "#include <z/value.h>\nint test_a(void) { return value() - SEVEN; }\n",
    "include/z/value.h": "int value(void);\n",
    "dup/x_test.c": "int test_a(void) { return 0; }\n",
    "dup/y_test.c": "int test_a(void) { return 0; }\n",
    "header/x_test.c": '#include "nope.h"\n',
    "main/x_test.c": "int test_a(void) { return 0; }\nint main(void) { return 0; }\n",
    "twice/tool.h": "int main(void) { return 0; }\nint both(void) { return 1; }\n",
    "twice/x_test.c": '#include "tool.h"\nint test_a(void) { return 0; }\n',
    "twice/y.c": '#include "tool.h"\nvoid envy_test_skip(const char *x) { }\n',
    "wrapped/tool.h": "#define RUN int main(void) { return 77; }\n",
    "wrapped/x_test.c": '#include "tool.h"\nRUN\n',
    "own/x_test.c": "static int test_a(void) { return 77; }\n"
    "int test_b(int x) { return x; }\n"
    "int main(void) { return test_b(test_a()); }\n",
    "program/tool.c": "int twice(int x) { return 2 * x; }\n"
    "int main(n, a) int n; char **a; { return 1; }\n",
    "program/x_test.c": "int twice(int);\nint test_a(void) { return twice(2) - 4; }\n",
    "signature/x_test.c": "int test_a(int x) { return x; }\n_Bool test_b(void) { return 0; }\n",
    "strong/x.c": "int f(void) { return 0; }\nint g = 3;\n",
    "strong/y.c": "int g = 4;\n\nint f(void) { return 1; }\n",
    "strong/x_test.c": "int test_a(void) { return 0; }\n",
    "undefined/x_test.c": "int nothere(void);\nint test_a(void) { return nothere(); }\n",
    "words/x_test.c": """#include "envy_test.h"
#define T(n) int test_##n(void) { return 0; }
T(one) T(two)
static int ready;
SETUP { ready++; }
TEARDOWN { ready--; }
void test_three(void) { CHECK(ready == 1); SKIP("not today"); }
void test_four(void) { CHECK(ready == 1); CHECK(1 == 2); LOG("x is %d", 3); REQUIRE(2 == 3);
                       LOG("never"); }
""",
}


MANIFEST = """packages = {}
tests = { native = {
  far = { sources = { "elsewhere/*.c" }, include = { "include" }, flags = { "-DSEVEN=7" } },
  empty = { sources = { "nix/*.c" } },
} }
"""


def test_bad_packages_are_explained(native_project):
    """Each fault names its file and line; the other packages run."""
    native_project.write("envy.lua", MANIFEST)
    for name, text in BAD.items():
        native_project.write(name, text)
    run = native_project.envy_test(code=3)
    for line in (
        "dup/y_test.c:1: error: `test_a` is defined in dup/x_test.c:1, too",
        "header/x_test.c:1:10: fatal error: 'nope.h' file not found",
        "main/x_test.c:2: error: `main` is defined beside tests",
        "signature/x_test.c:1: error: `test_a` has the wrong signature; a test is `int NAME(void)`",
        "signature/x_test.c:2: error: `test_b` has the wrong signature",
        "twice/tool.h:1: error: `main` is defined beside tests",
        "twice/tool.h:2: error: `both` is defined in twice/y.c and twice/x_test.c, which both",
        "twice/y.c:2: error: `envy_test_skip` is a name of envy's own; rename it",
        "strong/y.c:3: error: `f` is defined in strong/x.c:1, too",
        "strong/y.c: error: `g` is defined in strong/x.c, too",
        "undefined symbol: nothere",
        "words/x_test.c:8: CHECK(1 == 2) failed",
        "words/x_test.c:8: x is 3",
        "words/x_test.c:8: REQUIRE(2 == 3) failed",
        "empty: error: `nix/*.c` in `sources` of tests.native matches no C or C++ source",
        "ok    far",
        "ok    program",
        "ok    -dé 'sh",
        "6 passed, 1 failed, 3 skipped",
    ):
        assert line in run.out
    assert "never" not in run.out
    assert str(native_project.cache) not in run.out
    listed = native_project.envy_test("--list", "words").out.splitlines()
    assert listed == ["words.test_one", "words.test_two", "words.test_three", "words.test_four"]
    for words, message in (
        (["nix_test.c"], "there is no file nix_test.c"),
        (["strong/x.c"], "strong/x.c is not a test file; its name must end with _test.c"),
        (["./nix"], "there is no folder ./nix"),
        (["words", "--run", "Nope"], "--run 'Nope' leaves no test"),
    ):
        assert message in native_project.envy_test(*words, code=4).err
    assert "-race is a flag of Go" in native_project.envy_test("words", "-race", code=2).err
    error = native_project.envy_test("words", "--sanitize=nix", code=2).err
    assert "--sanitize: 'nix' is not a sanitizer" in error
    for word in ("--coverage", "--sanitize=address"):
        error = native_project.envy_test("words", word, code=3).err
        assert f"{word} needs an LLVM with its runtime library; zig has none" in error


def test_only_what_changed_is_built(native_project):
    """Touching builds nothing; a header builds exactly its users; a comment links nothing."""
    test = '#include "{}"\nint test_a(void) {{ return VALUE - 1; }}\n'
    native_project.write("shared.h", "#define VALUE 1\n")
    native_project.write("a/x_test.c", test.format("../shared.h"))
    native_project.write("b/x_test.c", test.format("own.h"))
    native_project.write("b/own.h", "#define VALUE 1\n")
    native_project.write("c/x_test.c", test.format("own.h"))
    native_project.write("c/own.h", "#define VALUE 1\n")

    def built():
        out = native_project.envy_test("--build-only").out
        return [line.split()[1] for line in out.splitlines() if line.startswith("built ")][:-1]

    assert built() == ["a", "b", "c"]
    assert built() == []
    for path in native_project.root.rglob("*.[ch]"):
        path.touch()
    assert built() == []
    native_project.write("shared.h", "#define VALUE 2\n")
    assert built() == ["a"]
    assert "a.test_a" in native_project.envy_test(code=1).out
    native_project.write("shared.h", "#define VALUE 1\n")
    assert built() == ["a"]
    executables = native_project.kept("package.test")
    native_project.write("b/x_test.c", test.format("own.h") + "// a comment changes no IR\n")
    assert built() == ["b"]
    assert native_project.kept("package.test") == executables
    native_project.write("c/own2.h", "")  # of no one
    assert built() == []
    native_project.write("include/stddef.h", "#define VALUE 1\n")
    native_project.write("envy.lua", 'packages = {}\ntests = { native = { c = {\n'
                         '  include = { "include" } } } }\n')  # fmt: skip
    native_project.write("c/x_test.c", test.replace('"{}"', "<stddef.h>").format())
    assert built() == ["c"]
    (native_project.root / "include" / "stddef.h").unlink()
    assert "FAIL  c  [build failed]" in native_project.envy_test(code=3).out
    native_project.write("include/stddef.h", "#define VALUE 1\n")  # hides that of the toolchain
    assert built() == []
    for path in native_project.kept("package.test"):
        path.chmod(0o755)
        path.write_bytes(path.read_bytes()[:5000])  # a machine that stopped
    for path in [*native_project.kept("tests.json"), *native_project.kept("unit.bc")]:
        path.write_text("x")
    assert "3 passed" in native_project.envy_test().out
    freed = native_project.envy_test("--clean-cache").out
    assert freed.startswith("freed ")
    assert native_project.kept("package.test") == []


def test_results_are_remembered(native_project):
    """What did not change is not run; a file that the tests may read runs exactly its package."""
    native_project.write("data/x.txt", "1\n")
    native_project.write(
        "envy.lua", 'packages = {}\ntests = { native = { a = { inputs = { "data" } } } }\n'
    )
    for name in ("a", "b"):
        native_project.write(f"{name}/x_test.c", "int test_a(void) { return 0; }\n")
    settled = {"ENVY_TEST_SETTLE": "0"}

    def ran(*words, code=0):
        run = native_project.envy_test("--explain", *words, env=settled, code=code)
        return re.findall(r"^(?:ok|FAIL)\s+(\S+) .*tests?(?: failed)?\)", run.out, re.MULTILINE)

    assert ran() == ["a", "b"]
    assert ran() == []
    for path in native_project.root.rglob("*.*"):
        path.touch()
    assert ran() == []
    native_project.write("data/x.txt", "2\n")
    assert ran() == ["a"]
    native_project.write("b/new.txt", "2\n")
    assert ran() == ["b"]
    assert ran("--rerun") == ["a", "b"]
    native_project.write("b/x_test.c", "int test_a(void) { return 3; }\n")
    assert ran(code=1) == ran(code=1) == ["b"]
    assert "returned 3" in native_project.envy_test(env=settled, code=1).out


def test_without_an_llvm_the_manifest_line_is_named(native_project, tmp_path):
    """gcc alone cannot join IR: the error says what to add."""
    native_project.write("x_test.c", "int test_a(void) { return 0; }\n")
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    run = native_project.envy_test(env={"PATH": str(tmp_path)}, code=3)
    assert "gcc alone cannot join LLVM IR" in run.err
    assert 'add zig to envy.lua: packages = { "envy.zig@r1" }' in run.err
    for name, version in (("clang", 14), ("llvm-link", 15)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho x version {version}.0.1\n")
        (tmp_path / name).chmod(0o755)
    run = native_project.envy_test(env={"PATH": str(tmp_path)}, code=3)
    assert f"{tmp_path}/clang is of LLVM 14, and {tmp_path}/llvm-link of LLVM 15" in run.err
    (tmp_path / "llvm-link").write_text("#!/bin/sh\necho x version 14.0.0\n")
    for word, library in (("--coverage", "profile"), ("--sanitize=leak,address", "lsan")):
        run = native_project.envy_test(word, env={"PATH": str(tmp_path)}, code=3)
        assert f"{word} needs the runtime library libclang_rt.{library} of" in run.err
        assert "install LLVM's compiler-rt in the version of clang" in run.err


def test_llvm_measures_coverage_and_finds_overflows(native_project):
    """clang and llvm-link of one version do what zig does, and more with LLVM's runtime."""
    path = os.environ["PATH"]
    if not (shutil.which("clang") and shutil.which("llvm-link")):
        pytest.skip("clang or llvm-link is missing")
    native_project.write("lib/add.h", "int add(int, int);\n")
    native_project.write("lib/add.c", ADD + "int unused(void) {\n  return 1;\n}\n")
    native_project.write("lib/hostile_test.c", HOSTILE)
    run = in_time(
        lambda limit: native_project.envy_test(
            "--json", "--timeout", limit, env={"PATH": path}, code=1
        ),
        "test_e_loop",
    )
    assert outcomes(run) == EXPECTED
    native_project.write(
        "lib/hostile_test.c",
        "#include <stdlib.h>\n"
        "int test_over(void) { char *p = malloc(4); p[4] = 1; free(p); return 0; }\n",
    )
    words = ["--coverage=func,lcov:x.info"]
    covered = native_project.envy_test(*words, env={"PATH": path}, code=None)
    if "libclang_rt" in covered.err:
        pytest.skip("LLVM's runtime library is missing")
    assert "coverage  lib  0.0% of lines" in covered.out
    assert re.search(r"^lib/add\.c:3:\s+unused +0\.0%$", covered.out, re.MULTILINE)
    assert "SF:lib/add.c\n" in (native_project.root / "x.info").read_text()
    words = ["--sanitize=address"]
    found = native_project.envy_test(*words, env={"PATH": path}, code=1)
    assert "heap-buffer-overflow" in found.out


MAIN = """#include <stdio.h>
#include "x_test.c"
int main(void) { %s return 0; }
"""


def test_outcomes_are_those_of_an_executable_a_file(native_project, tmp_path):
    """Equal static names, macros and globals of several files do not meet in one executable."""
    native_project.write("lib/lib.h", "int lib(int);\n")
    native_project.write(
        "lib/lib.c", "static int state = 2;\nint lib(int x) { return x * state; }\n"
    )
    expected = {}
    for name, factor in (("a", 1), ("b", 2)):
        tests = "".join(
            f"int test_{name}_{i}(void) {{ static int s = {i}; return lib(helper(s)) + state ? "
            f"{i} % 3 ? {i} : 0 : 0; }}\n"
            for i in range(6)
        )
        text = (
            f'#include "lib.h"\n#define F {factor}\nenum {{ KIND = F }};\nstatic int state = F;\n'
            f"static int helper(int x) {{ state++; return x * F - KIND; }}\n{tests}"
        )
        native_project.write(f"lib/{name}_test.c", text)
        calls = "".join(f'printf("test_{name}_{i} %d\\n", test_{name}_{i}());' for i in range(6))
        own = tmp_path / f"{name}.c"
        own.write_text(MAIN.replace("x_test.c", f"{native_project.root}/lib/{name}_test.c") % calls)
        # Of envy's target, zig has compiled its runtime already.
        command = [
            *native_project.compiler(),
            str(own), str(native_project.root / "lib/lib.c"), "-o", str(tmp_path / name),
        ]  # fmt: skip
        subprocess.run(command, env=native_project.environment(), check=True)
        said = subprocess.run([tmp_path / name], capture_output=True, text=True, check=True).stdout
        for line in said.splitlines():
            test, code = line.split()
            expected[test] = "fail" if int(code) else "pass"
    assert set(expected.values()) == {"pass", "fail"}
    found = outcomes(native_project.envy_test("--json", code=1))
    assert found == {**expected, "": "fail"}


def test_go_and_c_run_together(native_project, go):
    """One report and one exit code for a folder in two languages."""
    native_project.write("go.mod", "module example.com/m\n\ngo 1.21\n")
    native_project.write(
        "g/x_test.go", 'package g\nimport "testing"\nfunc TestIt(t *testing.T) {}\n'
    )
    native_project.write("c/x_test.c", "int test_a(void) { return 1; }\n")
    path = f"{go}:{native_project.zig}:{os.environ['PATH']}"
    run = native_project.envy_test("--json", env={"PATH": path}, code=1)
    assert outcomes(run, "c") == {"test_a": "fail", "": "fail"}
    assert outcomes(run, "example.com/m/g") == {"TestIt": "pass", "": "pass"}
