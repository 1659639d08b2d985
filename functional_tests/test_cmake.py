"""`envy test` of CMake projects: tests of CTest, and those of GoogleTest programs."""

import os
import shutil
import subprocess

import pytest
from gotests import events_of, in_time, outcomes
from project import Project

SOURCE = r"""
#include <gtest/gtest.h>
#include <unistd.h>
#include <cstdlib>
TEST(A, Pass) { puts("fine"); }
TEST(A, Segv) { *(volatile int *)8 = 1; }
TEST(A, Abort) { abort(); }
TEST(A, Exit) { exit(0); }
TEST(A, Loop) { for (;;) usleep(10000); }
TEST(A, Wrong) { EXPECT_EQ(1, 2) << "why"; }
TEST(A, Forged) {
  puts("[       OK ] A.Forged (0 ms)\n[ RUN      ] A.Last\n[       OK ] A.Last (0 ms)");
  puts("[  PASSED  ] 8 tests.");
  FAIL();
}
TEST(A, Last) {}
TEST(A, Fatal) {  // each child connects to where the results are sent, and has none
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (int i = 0; i < 4; i++) EXPECT_DEATH(abort(), "");
}
TEST(A, Skips) { GTEST_SKIP() << "not here"; }
TEST(A, DISABLED_Off) { FAIL(); }
class P : public testing::TestWithParam<int> {};
TEST_P(P, Even) { EXPECT_EQ(GetParam() % 2, 0); }
INSTANTIATE_TEST_SUITE_P(N, P, testing::Values(2, 4));
template <class T> class Ty : public testing::Test {};
using Types = testing::Types<int, long>;
TYPED_TEST_SUITE(Ty, Types);
TYPED_TEST(Ty, Zero) { EXPECT_EQ(TypeParam(), 0); }
"""
EXPECTED = {
    "A.Pass": "pass", "A.Segv": "fail", "A.Abort": "fail", "A.Exit": "fail", "A.Loop": "fail",
    "A.Wrong": "fail", "A.Forged": "fail", "A.Last": "pass", "A.Skips": "skip",
    "A.Fatal": "pass",
    "A.DISABLED_Off": "skip", "N%2FP.Even%2F0": "pass", "N%2FP.Even%2F1": "pass",
    "Ty%2F0.Zero": "pass", "Ty%2F1.Zero": "pass", "": "fail",
}  # fmt: skip
GTEST = """
find_package(GTest REQUIRED)
include(GoogleTest)
add_executable(unit unit.cc)
target_link_libraries(unit GTest::gtest_main)
gtest_discover_tests(unit)
"""
PLAIN = """cmake_minimum_required(VERSION 3.20)
project(demo LANGUAGES @LANGUAGES@)
enable_testing()
function(case name)
  cmake_parse_arguments(PARSE_ARGV 1 A "" "" "RUN;WITH")
  add_test(NAME ${name} COMMAND ${A_RUN})
  if(A_WITH)
    set_tests_properties(${name} PROPERTIES ${A_WITH})
  endif()
endfunction()
set(HERE ${CMAKE_SOURCE_DIR})
case(reads RUN ${CMAKE_COMMAND} -E compare_files ${HERE}/a.txt ${HERE}/b.txt)
case(fails_as_it_should RUN ${CMAKE_COMMAND} -E false WITH WILL_FAIL TRUE)
case(off RUN ${CMAKE_COMMAND} -E false WITH DISABLED TRUE)
case(skips RUN sh -c "exit 77" WITH SKIP_RETURN_CODE 77)
case(up RUN ${CMAKE_COMMAND} -E touch up WITH FIXTURES_SETUP db)
case(uses RUN ${CMAKE_COMMAND} -E rm up WITH FIXTURES_REQUIRED db)
case("a/b c" RUN ${CMAKE_COMMAND} -E echo hello)
"""
BAD = """case(missing RUN /nonexistent/program)
case(slow RUN sleep 60 WITH TIMEOUT 0.2)
case(segv RUN sh -c "kill -SEGV $$")
"""
MANIFEST = "packages = {}\ntests = { ctest = { build = 'out' } }\n"


class CMakeProject(Project):
    """A folder with CMakeLists.txt, in which every result is remembered at once."""

    def environment(self, extra=None):
        """Return an environment in which nothing steers cmake or GoogleTest but what is given."""
        variables = super().environment(extra)
        return {**variables, "ENVY_TEST_SETTLE": "0", **(extra or {})}

    def envy_test(self, *words, code=0, **options):
        """Run `envy test`."""
        return self.envy("test", *words, code=code, trace=False, **options)


@pytest.fixture
def cmake_project(tmp_path):
    """A project; needs cmake and ctest."""
    if shutil.which("cmake") is None or shutil.which("ctest") is None:
        pytest.skip("needs cmake")
    project = CMakeProject(tmp_path / "demo")
    project.write("envy.lua", MANIFEST)
    project.write(".gitignore", "out\n")
    project.write("a.txt", "1\n")
    project.write("b.txt", "1\n")
    return project


def test_ctest_decides_on_the_properties_of_tests(cmake_project):
    """Fixtures, expected failures, limits and skips are CTest's; results are remembered."""
    text = PLAIN.replace("@LANGUAGES@", "NONE")
    cmake_project.write("CMakeLists.txt", text)
    passed = {
        "reads": "pass", "fails_as_it_should": "pass", "off": "skip", "skips": "skip",
        "up": "pass", "uses": "pass", "a%2Fb c": "pass", "": "pass",
    }  # fmt: skip
    first = cmake_project.envy_test("--json")
    assert outcomes(first) == passed
    assert "hello\n" in [row.get("Output") for row in events_of(first)]
    again = cmake_project.envy_test()
    assert "(1 cached)" in again.out
    folder = str(cmake_project.root)
    words = ["cmake", "-S", folder, "-B", f"{folder}/out", "-DOTHER=ON"]
    subprocess.run(words, check=True, capture_output=True)
    assert "cached" not in cmake_project.envy_test().out, "it was configured again"
    assert "(1 cached)" in cmake_project.envy_test().out
    one = cmake_project.envy_test("--json", "--run", "^uses$")
    assert outcomes(one) == {"uses": "pass", "": "pass"}, "its fixture runs, too"

    cmake_project.write("b.txt", "2\n")
    changed = cmake_project.envy_test("--json", code=1)
    assert outcomes(changed) == {**passed, "reads": "fail", "": "fail"}

    cmake_project.write("b.txt", "1\n")
    cmake_project.write("CMakeLists.txt", text + BAD)
    bad = cmake_project.envy_test("--json", code=1)
    failed = {"missing": "fail", "slow": "fail", "segv": "fail", "": "fail"}
    assert outcomes(bad) == {**passed, **failed}

    cmake_project.write("CMakeLists.txt", text + "no_such_command()\n")
    unbuilt = cmake_project.envy_test(code=3)
    assert 'Unknown CMake command "no_such_command"' in unbuilt.out
    missing = cmake_project.envy_test(code=3, env={"PATH": "/nonexistent"})
    assert "tests.ctest needs cmake, and none is on PATH" in missing.out
    assert 'hint: add cmake to envy.lua: packages = { "envy.cmake@r1" }' in missing.out


def test_every_test_of_a_program_has_a_result_of_its_own(cmake_project):
    """Crashes, early exits, a loop and forged output harm no other test, whoever names it."""
    found = ("/usr/include/gtest/gtest.h", "/usr/local/include/gtest/gtest.h")
    if not any(map(os.path.exists, found)) or shutil.which("c++") is None:
        pytest.skip("needs GoogleTest and a C++ compiler")
    cmake_project.write("unit.cc", SOURCE)
    cmake_project.write("CMakeLists.txt", PLAIN.replace("@LANGUAGES@", "CXX") + GTEST)
    sharded = {"GTEST_TOTAL_SHARDS": "2", "GTEST_SHARD_INDEX": "0", "GTEST_FILTER": "A.P*"}
    run = in_time(
        lambda limit: cmake_project.envy_test("--json", "--timeout", limit, code=1, env=sharded),
        "A.Loop",
    )
    assert outcomes(run, "out/unit") == EXPECTED
    rows = [row for row in events_of(run) if row.get("Package") == "out/unit"]
    reasons = {row["Test"]: row["Reason"] for row in rows if row.get("Test") and "Reason" in row}
    assert reasons == {"A.Segv": "signal SIGSEGV", "A.Abort": "signal SIGABRT", "A.Exit": "exit 0",
                       "A.Loop": "timeout", "A.DISABLED_Off": "disabled"}  # fmt: skip
    assert [row["Output"] for row in rows if row.get("Test") == "A.Pass" and "Output" in row] == [
        "fine\n"
    ]
    cmake_project.write(
        "envy.lua",
        "packages = {}\ntests = { unit = { kind = 'gtest', programs = { 'out/un*' } } }\n",
    )
    named = cmake_project.envy_test("--json", "--run", "Even|Zero|Last|Pass|Skips|Off")
    assert outcomes(named) == {
        name: "pass" if outcome == "fail" else outcome
        for name, outcome in EXPECTED.items()
        if not name.startswith(("A.Se", "A.A", "A.E", "A.Lo", "A.W", "A.F"))
    }
    cached = cmake_project.envy_test("--run", "Even|Zero|Last|Pass|Skips|Off")
    assert "cached" in cached.out
    cmake_project.write(
        "envy.lua",
        "packages = {}\ntests = { gtest = { programs = { 'no*', 'CMakeLists.txt' } } }\n",
    )
    none = cmake_project.envy_test(code=3)
    assert "tests.gtest: no program matches no*, CMakeLists.txt below" in none.out
