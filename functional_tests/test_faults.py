"""Real commands in which one system call fails, or is the last of the process.

What tests/cache injects through envy's own file system, faults.c injects below Python, into all
calls that open or change something in the cache: locks, leases, downloads, logs, records, answers.
Here every 45th call; `make soak` takes all of them (ENVY_SOAK_FAULTS).
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fault_injection import memory_dir
from installed import works

STEP = int(os.environ.get("ENVY_SOAK_FAULTS", "45"))
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """faults.c, compiled."""
    if sys.platform != "linux" or not works("cc"):
        pytest.skip("needs Linux and a C compiler, to make system calls fail")
    target = tmp_path_factory.mktemp("faults") / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", target, HERE / "faults.c", "-ldl"]
    subprocess.run(command, check=True)
    return target


@pytest.mark.parametrize("scenario", ["make", "collect"])
def test_a_system_call_fails(library, scenario, record_property):
    """Marked entries are complete, downloads are kept, and the next command succeeds."""
    first = random.SystemRandom().randint(1, STEP)
    with memory_dir() as folder:
        run = subprocess.run(
            [
                sys.executable,
                HERE / "faults.py",
                scenario,
                f"{folder}/place",
                str(first),
                str(STEP),
            ],
            env={**os.environ, "LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, f"from call {first} on\n{run.stderr}"
    counts = json.loads(run.stdout)
    assert counts["faults"] > 0
    what = {"make": "sync", "collect": "gc"}[scenario]
    record_property(
        "shown",
        f"{what} makes {counts['calls']} calls below the cache: {counts['faults']} faults, "
        f"at {', '.join(sorted(counts['met']))}",
    )
