"""Tests that need a program are skipped where it does not work."""

import pytest
from installed import works


@pytest.mark.parametrize(("code", "expected"), [(0, True), (1, False)])
def test_a_program_must_say_its_version(tmp_path, monkeypatch, code, expected):
    """A shim whose toolchain is not installed is on PATH, and fails."""
    name = f"shim-{code}"
    (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert works(name) is expected


def test_a_missing_program_does_not_work():
    """It is not an error to ask for it."""
    assert not works("no-such-program-anywhere")
