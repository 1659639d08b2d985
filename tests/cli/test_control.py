"""How signals end a command."""

import signal
import subprocess
import sys

DRIVER = """
import time
from envy.cli.control import Control
from envy.events import EventBus
from envy.host.children import Children

class Endless:
    def cancel(self, reason): print("asked to end", flush=True)
    def describe_waits(self): return []

control = Control(EventBus(), Children(), patience=600.0)
control.attend(Endless())
with control.running():
    print("begun", flush=True)
    time.sleep(600)
"""


def test_a_second_signal_does_not_wait():
    """At the second signal, a command that cannot be stopped is left at once."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "asked to end\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "cancelled\n")
