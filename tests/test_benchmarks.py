"""The benchmarks run and report; these tests do not check the figures."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent / "benchmarks" / "bench.py"


def bench(*words, code=0):
    """Run bench.py and return its output."""
    run = subprocess.run(
        [sys.executable, BENCH, *words], capture_output=True, text=True, check=False
    )
    assert run.returncode == code, (run.stdout, run.stderr)
    return run.stdout + run.stderr


def test_a_part_is_measured_saved_and_compared(tmp_path):
    """Each case has figures, a ratio to a floor, and a ratio to an earlier run."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    words = ("startup", "--quick", "--folder", tmp_path)
    bench(*words, "--json", first)
    text = bench(*words, "--json", second, "--compare", first)
    assert text.count("of before]") == len(json.loads(second.read_text())["rows"]) > 3
    floor, *rows = json.loads(first.read_text())["rows"]
    assert "ratio" not in floor
    assert all({"cpu", "wall", "rss", "switches", "ratio", "against"} <= set(row) for row in rows)
    assert f"written to {second}" in text


def test_an_unknown_part_is_an_error_that_lists_the_known_parts():
    """An unknown part is an error before anything is measured."""
    assert "no part is called grphs; there are startup, graphs" in bench("grphs", code=2)
