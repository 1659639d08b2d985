"""Counts the operations of a command, which unlike its duration do not depend on the machine.

Run as a program, this is envy with an audit hook: python operations.py ROOT ARGUMENTS…. Python
reports to the hook when a file is opened, a folder is created or listed, or a name is changed.
The program counts these events below ROOT, and the Lua states that exist when an entry is
published. With ENVY_COUNT_CALLS, only the fast path for warm commands runs, and each system call
is counted by name.
"""

import collections
import importlib
import json
import os
import subprocess
import sys

WATCHED = {
    "open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link",
    "os.chmod", "os.utime", "os.truncate",
}  # fmt: skip


def count(project, *words, calls=False):
    """Run envy in a project; count its operations, and the most Lua states during a publish."""
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
    """Run envy, and at the end print the counts."""
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
            states = max(states, living_states())

    def profile(_frame, event, function):
        if event == "c_call" and getattr(function, "__module__", None) == "posix":
            found[f"call {function.__name__}"] += 1

    sys.addaudithook(hook)
    if os.environ.pop("ENVY_COUNT_CALLS", ""):
        from envy.cli.fast_path import answer

        for name in ("answers.lookup", "declarations.manifest_search", "environment"):
            importlib.import_module(f"envy.{name}")  # or its loading would be counted as well
        sys.setprofile(profile)
        code = answer(words)
        sys.setprofile(None)
    else:
        from envy.cli.main import run_command_line

        code = run_command_line(words, environment=dict(os.environ))
    assert code == 0, code
    found["states"] = states
    sys.stderr.write("\n" + json.dumps(found) + "\n")


def living_states():
    """Return the number of Lua states that exist."""
    import gc

    from envy.lua.runtime import LuaState

    return sum(1 for one in gc.get_objects() if isinstance(one, LuaState))


if __name__ == "__main__":
    main()
