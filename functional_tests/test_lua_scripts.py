"""`envy lua`: scripts in the sandbox of recipes."""

import os
import signal

SCRIPT = r"""#!/usr/bin/env envy
local words = { ... }
print(arg[0], #arg, arg[1], words[2])
envy.stdout(require("inner.module").name)
envy.info("a note")
envy.warn("care")
envy.debug("detail")
local file <close> = assert(io.open("made.txt", "w"))
file:write(envy.template("{{word}} on " .. ENVY_PLATFORM, { word = os.getenv("WORD") }))
file:close()
print(io.open("made.txt"):read("a"):match("%w+"))
return 7
"""


def test_a_script(project):
    """It has arguments, modules, files and an exit code; messages go to standard error."""
    project.write("tools/report.lua", SCRIPT)
    project.write("tools/inner/module.lua", 'return { name = "inner" }')
    words = ("lua", "tools/report.lua", "--release", "-x y")
    run = project.envy(*words, env={"WORD": "green"}, code=7, trace=False)
    assert run.out == "tools/report.lua\t2\t--release\t-x y\ninner\ngreen\n"
    assert run.err == "a note\nwarning: care\n"
    assert (project.root / "made.txt").read_text().startswith("green on ")
    run = project.envy("lua", "--", "tools/report.lua", env={"WORD": "a"}, code=7, trace=False)
    assert run.out.startswith("tools/report.lua\t0\tnil\tnil\n")
    run = project.envy("-v", *words, env={"WORD": "a"}, code=7, trace=False)
    assert run.err == "a note\nwarning: care\ndebug: detail\n"
    assert project.envy("-q", *words, env={"WORD": "a"}, code=7, trace=False).err == ""


def test_what_goes_wrong(project):
    """Errors have their line; nothing of the machine can be started."""
    os.mkfifo(project.root / "pipe")
    for text, code, message in (
        ("local x\nx.y()", 1, "x.lua:2: attempt to index a nil value"),
        ("error('no', 0)", 1, "error: x.lua:1: no"),
        ("x =", 1, "x.lua:1: unexpected symbol near"),
        ("os.execute('true')", 1, "os.execute is not available"),
        ("os.exit(3)", 1, "os.exit is not available"),
        ("io.open('pipe')", 1, "pipe is a pipe"),
        ("require('none')", 1, "module 'none' not found"),
        ("return 256", 1, "x.lua returned 256, which is not an exit code"),
        ("return {}", 1, "which is not an exit code"),
        ("return false", 1, ""),
        ("return true", 0, ""),
        ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6 + i) end", 1, "lua-memory"),
    ):
        project.write("x.lua", text)
        run = project.envy("lua", "x.lua", code=code, trace=False)
        assert message in run.err
        assert "Traceback" not in run.err
    for words, code, message in (
        ((), 2, "Missing argument"),
        (("none.lua",), 1, "none.lua: the file cannot be read: No such file"),
        (("/dev/zero",), 1, "/dev/zero: the file is not a plain file"),
        (("pipe",), 1, "pipe: the file is not a plain file"),
    ):
        assert message in project.envy("lua", *words, code=code, trace=False).err


def test_a_reader_that_goes_away_ends_a_script(project):
    """It would otherwise write for ever; no code of it can catch this."""
    project.write("x.lua", "while true do pcall(print, 'more') end")
    process = project.popen("lua", "x.lua")
    assert process.stdout.readline() == b"more\n"
    process.stdout.close()
    assert process.wait(timeout=300) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_ends_a_script(project):
    """Also one that is inside of a function of C, which no hook reaches."""
    project.write("x.lua", "print('ready')\n(('a'):rep(60)):find(('a*'):rep(60) .. 'b')")
    process = project.popen("lua", "x.lua")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode in {-signal.SIGINT, 130}
