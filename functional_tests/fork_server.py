"""Runs envy's command line many times, each time in a process that has everything imported.

The server imports envy once and is forked for each run, so that a run does not pay for the start
of Python. The server has a single thread, so that forking is safe.

It reads lines of JSON, {argv, cwd, environment}, and answers each with {code, out, err, warm}.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

DEADLINE = 300  # seconds after which a run counts as hanging


class ForkServer:
    """The server process, which does one run after another; a context manager."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=DEADLINE)
        self._process.stdout.close()

    def run(self, argv, *, cwd, environment):
        """Run envy with these arguments; return how it ended, as a dictionary."""
        request = {"argv": list(argv), "cwd": str(cwd), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve():
    """Answer requests until the input ends."""
    # Everything that a full run loads.
    import envy.cli.asset
    import envy.cli.fast_path
    import envy.cli.main
    import envy.cli.outcome
    import envy.cli.product
    import envy.cli.run
    import envy.cli.sync
    import envy.cli.wiring
    import envy.execution.ctx  # noqa: F401

    for line in sys.stdin.buffer:
        answer = run_forked(json.loads(line))
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def run_forked(request):
    """Run envy in a forked process."""
    with tempfile.TemporaryDirectory() as folder:
        out, err, warm = (Path(folder, name) for name in ("out", "err", "warm"))
        child = os.fork()
        if not child:
            be_envy(request, out, err, warm)
        _, status = os.waitpid(child, 0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read_text(errors="replace"),
            "err": err.read_text(errors="replace"),
            "warm": warm.exists(),
        }


def be_envy(request, out, err, warm):
    """Run envy in this process, and end the process."""
    import signal

    from envy.cli.fast_path import answer
    from envy.cli.main import run_command_line

    def execute(program, words, variables):
        warm.touch()
        os.execve(program, words, variables)

    code = 99
    try:
        signal.alarm(DEADLINE)
        for path, descriptor in ((out, 1), (err, 2)):
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(file, descriptor)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        code = answer(request["argv"], execute=execute)
        if code is None:
            code = run_command_line(request["argv"], environment=request["environment"])
        else:
            warm.touch()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
