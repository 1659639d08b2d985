"""A command of envy on a pseudo-terminal, whose keys are pressed and whose output is read."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from project import envy_command

# In the header; the lines below it may be drawn before it.
PASSED, FAILED = "passed  ✓".encode(), "failed  ✓".encode()


class Terminal:
    """A command that runs on a pseudo-terminal."""

    def __init__(self, project, *words, controls=False, **variables):
        self.primary, secondary = pty.openpty()

        def take():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [envy_command(), "test", *words],
            cwd=project.root,
            env=project.environment({"TERM": "xterm-256color"} | variables),
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            start_new_session=True,
            preexec_fn=take if controls else None,  # noqa: PLW1509  the tests start no threads
        )
        os.close(secondary)
        self.seen = b""

    def read_until(self, text, seconds=300):
        """Read the output until it contains this text; later calls read newer output only."""
        ends = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.primary], [], [], max(0, ends - time.monotonic()))
            assert ready, (text, self.seen[-2000:])
            try:
                self.seen += os.read(self.primary, 1 << 16)
            except OSError:
                break
        before, found, self.seen = self.seen.partition(text)
        assert found, (text, before[-1500:])

    def press(self, keys):
        os.write(self.primary, keys)

    def code(self):
        """Read the remaining output, and return the exit code."""
        ends = time.monotonic() + 300
        while time.monotonic() < ends:
            try:
                ready, _, _ = select.select([self.primary], [], [], 1)
                if ready and not os.read(self.primary, 1 << 16):
                    break
            except OSError:
                break
        return self.process.wait(timeout=300)
