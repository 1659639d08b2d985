"""The terminal view with 10,000 tests: the time of each key, and the CPU of an idle view.

Run this as a program: it prints the processor time of keys, until all that they cause is drawn, and
of an idle view, and fails if a mark is missed. The wall time would include the pauses of the Pilot.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tui_runs import RecordingController, event

from envy.testing.package import PlannedPackage
from envy.testing.views.tui.app import TestApp
from envy.testing.views.tui.model import RunEnd, RunModel

KEY_MARK = 50.0  # milliseconds
IDLE_MARK = 3.0  # % of a core
SECONDS = 5.0  # of idleness
KEYS = (
    *("down", "up", "pagedown", "pageup", "end", "home", "right", "left", "right"),
    *("n", "n", "N", "b", "F", "F", "slash", "T", "1", "7", "enter", "escape"),
    *("home", "enter", "pagedown", "end", "z", "pageup", "end", "z", "right", "w", "w"),
    *("slash", "t", "o", "enter", "n", "N", "c", "o", "escape"),
    *("r", "f", "t", "s", "W", "W", "question_mark", "escape"),
)


def big_model(packages: int, tests: int) -> RunModel:
    """Return a run in which one test of a hundred fails, with all packages unfolded."""
    model = RunModel()
    names = [f"TestNumber{number}" for number in range(tests)]
    model.on_plan(
        [
            PlannedPackage(name=f"m/p{number:03}", directory=Path("/src"), tests=tuple(names))
            for number in range(packages)
        ]
    )
    for number in range(packages):
        package = f"m/p{number:03}"
        model.on_event(event("start", package))
        for at, name in enumerate(names):
            outcome = "pass" if at % 100 else "fail"
            model.on_event(event("run", package, name))
            for line in range(3):
                text = f"    x_test.go:{at}: \x1b[3{line}mline\x1b[0m {line} of a log\n"
                model.on_event(event("output", package, name, output=text))
            model.on_event(event(outcome, package, name, elapsed=0.01))
        model.on_event(event("fail", package, elapsed=5.0))
        model.packages[package].expanded = True
    return model


async def measure(packages: int, tests: int, *, size: tuple[int, int]) -> bool:
    """Press every key, let the view idle, print the figures; return whether they are in bounds."""
    app = TestApp(RecordingController(), model=big_model(packages, tests))
    app.messages.append(lambda model: model.on_end(RunEnd(seconds=100.0)))
    found: list[tuple[float, str]] = []
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for key in KEYS:
            before = time.process_time()
            await pilot.press(key)
            found.append(((time.process_time() - before) * 1000, key))
        before = time.process_time()
        await asyncio.sleep(SECONDS)
        idle = (time.process_time() - before) / SECONDS * 100
    slowest = ", ".join(f"{key} {took:.0f}" for took, key in sorted(found, reverse=True)[:4])
    middle = sorted(found)[len(found) // 2][0]
    print(
        f"{packages} x {tests} tests at {size[0]}x{size[1]}: a key takes {middle:.0f} ms of CPU,"
        f" the slowest {slowest}; {idle:.2f} % of a core when idle"
    )
    return max(found)[0] < KEY_MARK and idle < IDLE_MARK


def main() -> bool:
    """Measure many packages and one large one, on a usual and a wide terminal."""
    sizes = ((80, 24), (160, 50))
    shapes = ((20, 500), (1, 10_000))
    fine = [asyncio.run(measure(*shape, size=size)) for shape in shapes for size in sizes]
    return not all(fine)


if __name__ == "__main__":
    sys.exit(main())
