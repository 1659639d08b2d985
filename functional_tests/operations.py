"""Counts what a command does, where a timing would only say how long that took on some machine.

Run as a program it is envy with an audit hook: python operations.py ROOT WORDS…. Python itself says
when a file is opened, a folder made or listed, or a name changed. Counted are
files below ROOT, and Lua states that are there when something is published. With ENVY_COUNT_CALLS
it is what answers warm commands, and counted is each call of a function of the system, by name.
"""

import collections
import json
import os
import subprocess
import sys

WATCHED = {
    "open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link",
    "os.chmod", "os.utime", "os.truncate",
}  # fmt: skip


def count(project, *words, calls=False):
    """Run envy in a project; how often it did what, and the most Lua states alive at a publish."""
    run = subprocess.run(
        [sys.executable, __file__, project.root.parent, *words],
        cwd=project.root,
        env=project.environment({"ENVY_COUNT_CALLS": "1"} if calls else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return collections.Counter(json.loads(run.stderr.splitlines()[-1]))


def main():
    """Be envy, and tell at the end what was done."""
    root, *words = sys.argv[1:]
    found = collections.Counter()
    states = 0

    def hook(event, arguments):
        nonlocal states
        if event not in WATCHED:
            return
        where = os.fspath(arguments[0]) if arguments and isinstance(arguments[0], str) else ""
        if where.startswith(root):
            found[event] += 1
        if event == "os.rename" and "envy.lua.runtime" in sys.modules:
            states = max(states, alive())

    def profile(_frame, event, called):
        if event == "c_call" and getattr(called, "__module__", None) == "posix":
            found[f"call {called.__name__}"] += 1

    sys.addaudithook(hook)
    if os.environ.pop("ENVY_COUNT_CALLS", ""):
        from envy.cli.fast_path import answer

        sys.setprofile(profile)
        code = answer(words)
        sys.setprofile(None)
    else:
        from envy.cli.main import run_command_line

        code = run_command_line(words, environment=dict(os.environ))
    assert code == 0, code
    found["states"] = states
    sys.stderr.write("\n" + json.dumps(found) + "\n")


def alive():
    """How many Lua states there are now."""
    import gc

    from envy.lua.runtime import LuaState

    return sum(1 for one in gc.get_objects() if isinstance(one, LuaState))


if __name__ == "__main__":
    main()
