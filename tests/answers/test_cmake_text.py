"""The text of `.envy/envy.cmake`."""

from envy.answers.cmake_text import cmake_text, quoted
from envy.answers.launcher_text import Launch


def test_each_variable_is_set_once_and_folders_come_first():
    """Folders precede those of the user, as lists for CMake and joined for its programs."""
    launch = Launch(
        variables={"SAID": "a b"},
        folders={
            "PATH": ["/x/bin", "/y;z/bin"],
            "CMAKE_PREFIX_PATH": ["/x", "/y;z"],
            "PKG_CONFIG_PATH": ["/x/pc"],
            "OTHER": [],
        },
    )
    _, text = cmake_text(launch, "/p/.envy/stamp").split("include_guard(DIRECTORY)\n")
    assert (
        text
        == """\
set(ENV{SAID} "a b")
if("${CMAKE_PROGRAM_PATH}" STREQUAL "")
  set(CMAKE_PROGRAM_PATH "/x/bin" "/y\\;z/bin")
else()
  set(CMAKE_PROGRAM_PATH "/x/bin" "/y\\;z/bin" "${CMAKE_PROGRAM_PATH}")
endif()
if("$ENV{PATH}" STREQUAL "")
  set(ENV{PATH} "/x/bin:/y;z/bin")
else()
  set(ENV{PATH} "/x/bin:/y;z/bin:$ENV{PATH}")
endif()
if("${CMAKE_PREFIX_PATH}" STREQUAL "")
  set(CMAKE_PREFIX_PATH "/x" "/y\\;z")
else()
  set(CMAKE_PREFIX_PATH "/x" "/y\\;z" "${CMAKE_PREFIX_PATH}")
endif()
if("$ENV{PKG_CONFIG_PATH}" STREQUAL "")
  set(ENV{PKG_CONFIG_PATH} "/x/pc")
else()
  set(ENV{PKG_CONFIG_PATH} "/x/pc:$ENV{PKG_CONFIG_PATH}")
endif()
"""
    )


def test_what_must_be_unchanged_is_checked():
    """A package that is gone is an error, a newer file a warning."""
    text = cmake_text(Launch(markers=["/m"], files=["/p/envy.lua"]), "/p/.envy/stamp")
    assert 'if(NOT EXISTS "/m")\n  message(FATAL_ERROR "envy: /m is gone. Run: envy sync")' in text
    assert 'if("/p/envy.lua" IS_NEWER_THAN "/p/.envy/stamp")\n  message(WARNING "envy: /p/' in text


def test_without_an_environment_there_is_an_error():
    """CMake ends where the sync found an error or a missing package; nothing is set."""
    unknown = cmake_text(None, "/p/.envy/stamp")
    assert "message(FATAL_ERROR" in unknown
    assert "envy run -- cmake" in unknown
    missing = cmake_text(Launch(missing=["a.b@r1"], variables={"A": "b"}), "/p/.envy/stamp")
    assert 'message(FATAL_ERROR "envy: not installed: a.b\\@r1. Run: envy sync")' in missing
    assert "set(" not in missing


def test_quoting():
    """Every character that means something in a quoted argument is escaped."""
    assert quoted('a b;é"\\$@{x}\n\r\t[]]') == '"a b;é\\"\\\\\\$\\@{x}\\n\\r\\t[]]"'
