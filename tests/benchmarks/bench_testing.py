"""The time to load 50,000 events; bench_view.py measures the terminal view.

Run this as a program: it prints each measurement with its mark, and fails if a mark is missed.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

from envy.console.text import Streams
from envy.testing.events import StreamEvent, as_json
from envy.testing.replay import replay
from envy.testing.results import read_run
from envy.testing.views.plain import PlainView

LOAD_MARK = 5.0


def load_time(folder):
    path = Path(folder, "run.json")
    with path.open("w") as file:
        for number in range(12_500):
            where = {"package": f"m/{number % 20}", "test": f"Test{number}", "time": 1.7e9}
            rows = [
                StreamEvent(action="run", **where),
                StreamEvent(action="output", output="one\n", **where),
                StreamEvent(action="output", output="two\n", **where),
                StreamEvent(action="pass", elapsed=0.1, **where),
            ]
            file.writelines(as_json(row) + "\n" for row in rows)
    started = time.perf_counter()
    streams = Streams(output=io.StringIO(), errors=io.StringIO())
    replay(read_run(path), [PlainView(streams)])
    return time.perf_counter() - started


def main():
    with tempfile.TemporaryDirectory() as folder:
        load_seconds = load_time(folder)
    print(f"50,000 events: {load_seconds:.2f} s, mark {LOAD_MARK:.0f} s")
    return load_seconds > LOAD_MARK


if __name__ == "__main__":
    sys.exit(main())
