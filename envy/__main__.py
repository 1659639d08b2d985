"""The entry point of the process, for the `envy` command and `python -m envy`.

Sets up signals before it imports more of envy: until a command handles them (cli.control),
Ctrl-C ends the process like any program, without a traceback from some import.
"""

import gc
import os
import signal
import site
import sys

from envy.environment import environment

_ALLOCATIONS_BETWEEN_COLLECTIONS = 200_000


def main() -> None:
    """Run the command line of this process, and end it."""
    if sys.getfilesystemencoding() != "utf-8":
        _restart_with_utf_8()
    _leave_out_python_path()
    # A shell makes its background programs ignore Ctrl-C, and that is not changed.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from envy.cli.fast_path import answer

    code = answer(sys.argv[1:])
    if code is not None:
        # The answer is printed and flushed, and no thread was started: taking the interpreter down
        # would only cost time.
        os._exit(code)
    # Modules, and then a graph of thousands of recipes, live long and have few cycles: looking for
    # garbage as often as usual took a twentieth of the imports, and a tenth of a large sync.
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS, 10, 10)
    from envy.cli.main import main as run

    run()


def _leave_out_python_path() -> None:
    """Search no modules in the folders of PYTHONPATH, which may be meant for another Python.

    The variable itself stays, for children. Whoever runs an envy that is in such a folder means it.
    """
    folders = environment().get("PYTHONPATH")
    if not folders or sys.flags.ignore_environment:
        return
    given = {os.path.abspath(folder) for folder in folders.split(os.pathsep)}  # noqa: PTH100
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    # Python drops a path that is there twice, so its own may be among these.
    own = {*site.getsitepackages(), site.USER_SITE, os.path.dirname(os.__file__)}  # noqa: PTH120
    if here not in given:
        sys.path[:] = [path for path in sys.path if path not in given or path in own]


def _restart_with_utf_8() -> None:
    """Start this process over, in Python's UTF-8 mode.

    In other modes, Python would encode paths, scripts and variables by the user's locale: a package
    would have another content under the same key, and characters that the locale lacks would fail.
    The mode is an option, not a variable, because children inherit variables.
    """
    if "utf8" in sys._xoptions or not sys.executable:  # noqa: SLF001 - documented, despite its name
        return  # an option of whoever started Python counts
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
