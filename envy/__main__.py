"""Where a process becomes envy: the `envy` command, and `python -m envy`.

Imports nothing of envy before signals are dealt with: until a command watches them (cli.control),
Ctrl-C ends the process as it would any program, and not with a traceback out of some import.
"""

import signal
import sys


def main() -> None:
    """Run the command line of this process, and end it."""
    # A shell lets what it runs in the background ignore Ctrl-C, and so it stays.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from envy.cli.fast_path import answer

    code = answer(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from envy.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
