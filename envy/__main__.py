"""The entry point of the process, for the `envy` command and `python -m envy`.

Sets up signals before it imports anything of envy: until a command handles them (cli.control),
Ctrl-C ends the process like any program, without a traceback from some import.
"""

import signal
import sys


def main() -> None:
    """Run the command line of this process, and end it."""
    # A shell makes its background programs ignore Ctrl-C, and that is not changed.
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
