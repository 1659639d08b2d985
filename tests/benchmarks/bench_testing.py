"""The response time of the terminal view with 10,000 tests, and the time to load 50,000 events.

Run this as a program: it prints each measurement with its mark, and fails if a mark is missed.
"""

import asyncio
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
from envy.testing.views.tui.app import TestApp
from envy.testing.views.tui.model import RunModel

KEYS = ["down", "end", "home", "pagedown", "n", "N", "left", "right", "b", "enter", "w", "escape"]
KEY_MARK = 0.1
LOAD_MARK = 5.0


class Nothing:
    """A controller that starts no runs."""

    def start(self, **_request):
        return False

    def stop(self):
        pass

    def is_running(self):
        return False


def big_model():
    model = RunModel()
    for number in range(10_000):
        where = {"package": f"m/{number % 10}", "test": f"Test{number}"}
        model.on_event(StreamEvent(action="run", **where))
        model.on_event(StreamEvent(action="fail", elapsed=0.1, **where))
    return model


async def slowest_key():
    """Return the processor time of the slowest key; wall time would include pauses of the Pilot."""
    app = TestApp(Nothing(), model=big_model())
    worst = (0.0, "")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for key in KEYS:
            started = time.process_time()
            await pilot.press(key)
            worst = max(worst, (time.process_time() - started, key))
    return worst


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
    key_seconds, key = asyncio.run(slowest_key())
    with tempfile.TemporaryDirectory() as folder:
        load_seconds = load_time(folder)
    print(f"slowest key ({key}): {key_seconds * 1000:.0f} ms, mark {KEY_MARK * 1000:.0f} ms")
    print(f"50,000 events: {load_seconds:.2f} s, mark {LOAD_MARK:.0f} s")
    return key_seconds > KEY_MARK or load_seconds > LOAD_MARK


if __name__ == "__main__":
    sys.exit(main())
