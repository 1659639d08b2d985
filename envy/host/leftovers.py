"""What a program leaves running when it has ended: found by a mark, and ended.

The mark is a variable in the environment, which every process inherits, also one that left its
group and its session (`setsid`). It has a name of its own for each program, since an envy that runs
in a script of another envy marks its programs, too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping

from blake3 import blake3

from envy.host.process_table import kill_marked, newest, process_start_time
from envy.interpreter import released

PREFIX = "ENVY_PROGRAM"
_count = itertools.count()


@contextlib.contextmanager
def ending_leftovers() -> Iterator[Mapping[str, str]]:
    """Yield a variable for a program; at the end, kill all processes that were started with it."""
    text = f"{os.getpid()}:{process_start_time(os.getpid())}:{next(_count)}"
    name = f"{PREFIX}_{blake3(text.encode()).hexdigest()[:16]}"
    before = newest()
    try:
        yield {name: "1"}
    finally:
        with released():
            kill_marked(f"{name}=1".encode("ascii"), after=before)
