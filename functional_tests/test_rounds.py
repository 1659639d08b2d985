"""Syncs killed at random moments, many times: the next one always continues.

Sixty rounds here; `make soak` makes thousands (ENVY_SOAK_ROUNDS, ENVY_SOAK_CROWDS).
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

RESUMED = int(os.environ.get("ENVY_SOAK_ROUNDS", "60"))
CROWDS = int(os.environ.get("ENVY_SOAK_CROWDS", "2"))
SEED = os.environ.get("ENVY_SOAK_SEED")

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="there is no way to wait for one process here"
)


def run_rounds(what, folder, rounds):
    seed = SEED or str(random.SystemRandom().randrange(1 << 31))
    program = Path(__file__).with_name("rounds.py")
    run = subprocess.run(
        [sys.executable, str(program), what, str(folder), str(rounds), seed],
        capture_output=True,
        text=True,
        check=False,
        timeout=300 + rounds * 30,
    )
    assert run.returncode == 0, f"seed {seed}\n{run.stderr}"
    return json.loads(run.stdout)


def summary(counts):
    return ", ".join(f"{number} {what}" for what, number in counts.items() if what != "seed")


def test_a_killed_sync_is_continued(tmp_path, record_property):
    """Entries with a marker are complete, verified downloads stay, installs never overlap."""
    counts = run_rounds("resume", tmp_path / "place", RESUMED)
    assert counts["rounds"] == RESUMED
    assert counts["killed"] > 0
    record_property("shown", f"killed and continued: {summary(counts)}")


def test_sixteen_syncs_at_once_some_of_them_killed(tmp_path, record_property):
    """Installs run one at a time, never after the marker, and again only after a kill."""
    counts = run_rounds("crowd", tmp_path / "place", CROWDS)
    assert counts["rounds"] == CROWDS
    record_property("shown", f"sixteen syncs on one cache: {summary(counts)}")
