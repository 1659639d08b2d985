"""Packages and tests that have the same name in CTest, each of which has a result of its own."""

import sys

from gotests import events_of, outcomes
from test_cmake import cmake_project
from test_suites import SuiteProject

__all__ = ["cmake_project"]
PROGRAM = """#!{python}
import os, socket, sys
with open(os.path.dirname(__file__) + "/out/ran", "a") as file:
    file.write("x")
words = dict(word.partition("=")[::2] for word in sys.argv[1:])
host, _, port = words["--gtest_stream_result_to"].partition(":")
names = ["One", "Two"]
wanted = words.get("--gtest_filter")
passed = "--bad" not in words
with socket.create_connection((host, int(port))) as out:
    out.sendall(b"event=TestCaseStart&name=S\\n")
    for name in names:
        if wanted and f"S.{{name}}" not in wanted.split(":"):
            continue
        print(f"[ RUN      ] S.{{name}}", flush=True)
        out.sendall(f"event=TestStart&name={{name}}\\n".encode())
        out.sendall(f"event=TestEnd&passed={{int(passed)}}&elapsed_time=0ms\\n".encode())
        print(f"[{{'       OK' if passed else '  FAILED '}} ] S.{{name}} (0 ms)", flush=True)
sys.exit(not passed)
"""
PROGRAMS = """cmake_minimum_required(VERSION 3.20)
project(demo LANGUAGES NONE)
enable_testing()
foreach(name One Two)
  add_test(good.S.${name} ${CMAKE_SOURCE_DIR}/t --gtest_filter=S.${name})
  add_test(bad.S.${name} ${CMAKE_SOURCE_DIR}/t --gtest_filter=S.${name} --bad)
endforeach()
"""


def test_a_program_with_other_arguments_is_a_package_of_its_own(cmake_project):
    """The failure of one is not answered by the result of the other."""
    cmake_project.write("t", PROGRAM.format(python=sys.executable)).chmod(0o755)
    cmake_project.write("CMakeLists.txt", PROGRAMS)
    for _ in range(3):
        run = cmake_project.envy_test("--json", code=1)
        assert outcomes(run, "t") == {"S.One": "pass", "S.Two": "pass", "": "pass"}
        assert outcomes(run, "t#2") == {"S.One": "fail", "S.Two": "fail", "": "fail"}
    assert [row["Package"] for row in events_of(run) if row.get("Cached")][:1] == ["t"]
    listed = cmake_project.envy_test("--list", "--filter", "package(t#2)").out
    assert listed == "t#2.S.One\nt#2.S.Two\n"
    failed = cmake_project.envy_test("--json", "--failed", code=1)
    assert {row["Package"] for row in events_of(failed) if row.get("Package")} == {"t#2"}


LONG = """
import pytest
@pytest.mark.parametrize("v", [0, 1], ids=["x" * 600 + "a", "x" * 600 + "b"])
def test_v(v): assert v
"""


def test_long_names_that_begin_alike_are_two_tests(tmp_path):
    """Each of them runs when tests run alone."""
    suites = SuiteProject(tmp_path / "project")
    suites.write("pytest.ini", "[pytest]\n")
    suites.write("test_l.py", LONG)
    run = suites.envy_test("--json", "--isolate", code=1)
    assert sorted(end for name, end in outcomes(run).items() if name) == ["fail", "pass"]


FOLDERS = """cmake_minimum_required(VERSION 3.20)
project(demo LANGUAGES NONE)
enable_testing()
add_subdirectory(one)
add_subdirectory(two)
add_test(good.S.One ${CMAKE_SOURCE_DIR}/t --gtest_filter=S.One --bad)
"""
TESTS = """add_test(same ${CMAKE_COMMAND} -E RESULT)
add_test(RESULT ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/RESULT)
"""


def test_tests_of_one_name_in_two_folders_are_two_tests(cmake_project):
    """Each runs alone, and none of a program is run by CTest as well."""
    cmake_project.write("t", PROGRAM.format(python=sys.executable)).chmod(0o755)
    cmake_project.write("CMakeLists.txt", FOLDERS)
    cmake_project.write("one/CMakeLists.txt", TESTS.replace("RESULT", "false"))
    cmake_project.write("two/CMakeLists.txt", TESTS.replace("RESULT", "true"))
    filtered = ("--filter", "!package(t)")
    expected = {"same": "fail", "same#01": "pass", "false": "pass", "true": "pass", "": "fail"}
    for words in ((), ("--isolate",), ("--run", "^same")):
        run = cmake_project.envy_test("--json", *filtered, *words, code=1)
        wanted = {
            k: v for k, v in expected.items() if "--run" not in words or k[:4] in ("same", "")
        }
        assert outcomes(run) == wanted
    one = cmake_project.envy_test("--json", "--filter", "test(same#01)")
    assert outcomes(one) == {"same#01": "pass", "": "pass"}
    cmake_project.write("one/CMakeLists.txt", TESTS.replace("RESULT", "true"))
    cmake_project.write("two/CMakeLists.txt", "")
    assert "2 passed, 0 failed" in cmake_project.envy_test(*filtered).out
    assert not (cmake_project.root / "out/ran").exists()
    cmake_project.write("two/CMakeLists.txt", "# again\n")
    cmake_project.envy_test(code=1)
    assert (cmake_project.root / "out/ran").read_text() == "x"
