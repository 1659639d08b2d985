"""`launchers` in the manifest: scripts that run a project's programs, warm without Python.

ENVY_SOAK_LAUNCHERS says how many calls run beside syncs: 200 here, 1,000 in `make soak`.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from project import Project, envy_command

TOOL = """
products = { tool = "bin/tool" }
exports = { env = { SAID = "it's \\"$HOME\\"" } }
install = function(ctx)
  ctx.write("bin/tool", '#!/bin/sh\\nprintf "%s|" %s "$SAID" "$LEVEL" "$@"\\n')
  ctx.run("chmod +x bin/tool")
end
"""
MANIFEST = 'packages = { "local.tool@r1" }\nenv = { LEVEL = "a\\nb" }\nlaunchers = "bin"\n'
SAID = 'it\'s "$HOME"'
CALLS = int(os.environ.get("ENVY_SOAK_LAUNCHERS", "200"))


def tool(word):
    """Return the recipe of a tool that prints a word, two variables and its arguments."""
    return TOOL.replace("%s", word, 2).replace(word, "%s", 1)


@pytest.fixture
def launched(project):
    """A synced project with a launcher."""
    return synced(project)


def synced(project):
    """Write a project with a launcher, and sync it."""
    project.manifest(MANIFEST)
    project.recipe("local.tool@r1", tool("one"))
    project.envy("sync")
    return project


def launch(project, *words, program="bin/tool", env=None, cwd=None, code=0, envy=""):
    """Run a launcher; `envy` is the folder of envy on PATH. Return its output."""
    variables = project.environment(env)
    variables["PATH"] = f"{envy}:/usr/bin:/bin" if envy else "/usr/bin:/bin"
    done = subprocess.run(
        [str(project.root / program), *words],
        cwd=cwd or project.root,
        env=variables,
        capture_output=True,
        check=False,
        timeout=300,  # a launcher that runs itself never ends
    )
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode() + (done.stderr.decode() if code else "")


def without_envy(project):
    """Remove the link to envy, so that only what a launcher runs directly can run."""
    (project.root / ".envy" / "envy").unlink()


def test_a_warm_launcher_needs_no_envy(launched, tmp_path):
    """It runs the program with its variables, from any folder, by a link, and as a `#!` line."""
    without_envy(launched)
    expected = f"one|{SAID}|a\nb|x y|"
    assert launch(launched, "x y") == expected
    assert launch(launched, "x y", cwd="/") == expected
    link = tmp_path / "link"
    link.symlink_to(launched.root / "bin" / "tool")
    assert launch(launched, "x y", program=link) == expected
    relative = subprocess.run(
        ["sh", "tool", "x y"], cwd=launched.root / "bin", env=launched.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert relative.stdout == expected
    script = tmp_path / "script"
    script.write_text(f"#!{launched.root}/bin/tool\n")
    script.chmod(0o755)
    assert launch(launched, program=script) == f"one|{SAID}|a\nb|{script}|"


def test_a_launcher_sets_what_run_sets(launched):
    """PATH and the other variables are those of `envy run`, each folder once."""
    launched.recipe(
        "local.tool@r1", TOOL.replace('printf "%s|" %s "$SAID" "$LEVEL" "$@"', "/usr/bin/env -0")
    )
    launched.envy("sync")

    def variables(text):
        names = {"PATH", "SAID", "LEVEL", "CPATH"}
        pairs = (row.split("=", 1) for row in text.split("\0") if "=" in row)
        return {name: value for name, value in pairs if name in names}

    folder = str(Path(launched.envy("product", "tool").out.strip()).parent)
    path = f"/usr/bin:/bin:{folder}:/usr/bin"
    for given in (path, "", "/usr/bin:", ":/usr/bin"):
        environment = {**launched.environment(), "PATH": given}
        direct = subprocess.run(
            ["/bin/sh", str(launched.root / "bin/tool")],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        run = launched.envy("run", "tool", env={"PATH": given})
        assert variables(direct.stdout) == variables(run.out)


def test_a_warm_launcher_starts_no_other_process(launched, tmp_path):
    """The kernel starts the launcher and the program, and no process is made."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    out = tmp_path / "calls"
    calls = "execve,clone,clone3,fork,vfork"
    done = subprocess.run(
        ["strace", "-f", "-o", str(out), "-e", f"trace={calls}", launched.root / "bin/tool"],
        env=launched.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    rows = out.read_text().splitlines()
    assert [row for row in rows if "clone" in row or "fork(" in row] == []
    assert len([row for row in rows if "execve(" in row]) == 2


CHANGES = {
    "manifest": lambda project: project.manifest(MANIFEST.replace("a\\n", "new ")),
    "recipe": lambda project: project.recipe("local.tool@r1", tool("two")),
    "marker": lambda project: next(project.cache.glob("assets/*/*/envy-complete")).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_stale_is_left_to_envy_run(launched, change):
    """After a change, `envy run` finds the right program and variables; without envy, an error."""
    CHANGES[change](launched)
    expected = launched.envy("run", "--", "tool").out
    CHANGES[change](launched)
    assert launch(launched) == expected  # by the link to envy
    assert launch(launched, envy=Path(envy_command()).parent) == expected
    CHANGES[change](launched)
    without_envy(launched)
    message = launch(launched, code=127)
    assert f"tool is a program of {launched.root}, and there is no envy on PATH" in message
    script = launched.write("envyw", '#!/bin/sh\necho "envyw $1 $2"\n', mode=0o755)
    assert launch(launched) == "envyw run --manifest\n"  # as in a fresh clone
    script.unlink()
    launched.envy("sync")
    without_envy(launched)
    assert launch(launched) == expected


def test_another_cache_is_not_used(launched, tmp_path):
    """With another ENVY_CACHE_ROOT than that of the sync, envy decides."""
    without_envy(launched)
    assert "no envy on PATH" in launch(launched, env={"ENVY_CACHE_ROOT": str(tmp_path)}, code=127)


@pytest.mark.parametrize("variable", ["", "set"])
def test_the_cache_of_the_last_sync_is_used(launched, tmp_path, variable):
    """After a sync with --cache-root, what is stale is installed there, and nowhere else."""
    env = {"ENVY_CACHE_ROOT": str(launched.cache) if variable else "", "HOME": str(tmp_path)}
    env["XDG_CACHE_HOME"] = str(tmp_path / "user's")
    chosen = tmp_path / "ch osen"
    launched.envy("sync", "--cache-root", chosen, env=env)
    shutil.rmtree(launched.cache)
    assert launch(launched, "x", env=env) == f"one|{SAID}|a\nb|x|"
    launched.recipe("local.tool@r1", tool("two"))
    assert launch(launched, "--", "x", env=env) == f"two|{SAID}|a\nb|--|x|"
    launched.manifest(MANIFEST.replace('"local', '"local.none@r1", "local'))
    launched.recipe("local.none@r1", 'install = "exit 3"')
    launched.envy("sync", "--cache-root", chosen, env=env, code=1)
    assert launch(launched, env=env) == f"two|{SAID}|a\nb|"
    assert not launched.cache.exists()
    assert not (tmp_path / "user's").exists()
    other = {**env, "ENVY_CACHE_ROOT": str(tmp_path / "other")}
    assert launch(launched, env=other) == f"two|{SAID}|a\nb|"
    assert (tmp_path / "other").exists()


def test_the_dotenv_file_is_part_of_it(launched):
    """A dotenv file that appears or changes is noticed."""
    launched.manifest(MANIFEST + 'dotenv = ".env"\n')
    launched.envy("sync")
    assert launch(launched) == f"one|{SAID}|a\nb|"
    for level in ("x", "y"):
        launched.write(".env", f"LEVEL={level}\n")
        assert launch(launched) == f"one|{SAID}|{level}|"
        launched.envy("sync", trace=False)
        assert f'"LEVEL": "{level}"' in (launched.root / ".envy" / "env.json").read_text()
        assert launch(launched) == f"one|{SAID}|{level}|"
    launched.write(".env", "no variable\n")
    launched.envy("sync", trace=False)
    assert ".env:1: 'no variable' is not a variable" in launch(launched, code=1)
    (launched.root / ".env").unlink()
    launched.envy("sync", trace=False)
    without_envy(launched)
    assert launch(launched) == f"one|{SAID}|a\nb|"
    assert (launched.root / ".envy" / "stamp").stat().st_mode & 0o077 == 0


def test_the_folder_of_envy(launched):
    """`.envy` is ignored by git, and has links and what the programs run with."""
    folder = launched.root / ".envy"
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "packages" / "tool" / "bin" / "tool").is_file()
    document = json.loads((folder / "env.json").read_text())
    assert document["variables"] == {"SAID": SAID, "LEVEL": "a\nb"}
    assert list(document["programs"]) == ["tool"]
    text = (launched.root / "bin" / "tool").read_text()
    assert str(launched.root) not in text
    assert str(launched.cache) not in text


LIBRARY = """
products = { tool = "bin/tool" }
exports = {
  cmake_prefix = { "." },
  pkg_config = { "pc" },
  env = { SAID = "it's \\"$HOME\\" @HOME@ a;b\\\\\\n\\r\\nend]]" },
}
install = function(ctx)
  ctx.write("bin/tool", "#!/bin/sh\\n")
  ctx.chmod("bin/tool", "755")
  ctx.write("pc/sample.pc", "Name: sample\\nDescription: s\\nVersion: 7\\nLibs: -lsample\\n")
  ctx.write("lib/cmake/sample/sample-config.cmake", "set(sample_answer 42)\\n")
end
"""
BUILD = """
cmake_minimum_required(VERSION 3.20)
project(build NONE)
find_package(sample CONFIG REQUIRED)
find_program(tool tool REQUIRED)
execute_process(COMMAND tool COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND pkg-config --modversion sample OUTPUT_VARIABLE version)
file(WRITE "${CMAKE_BINARY_DIR}/found" "${sample_answer}|${tool}|${version}|$ENV{SAID}|$ENV{LEVEL}")
"""


@pytest.mark.needs("cmake")
@pytest.mark.parametrize("name", ["a b'c\"d;é$x", "plain"])
def test_a_cmake_project_reads_envy_cmake(tmp_path, name):
    """CMake finds packages and programs as below `envy run`; what is gone is an error."""
    version = subprocess.run(["cmake", "--version"], capture_output=True, text=True, check=True)
    if tuple(map(int, version.stdout.split()[2].split(".")[:2])) < (3, 24):
        pytest.skip("this cmake is older than 3.24")
    project = Project(tmp_path / name)
    project.manifest(MANIFEST.replace("tool@", "sample@"))
    project.recipe("local.sample@r1", LIBRARY)
    project.write("CMakeLists.txt", BUILD)
    project.envy("sync")
    words = ["cmake", "-G", "Unix Makefiles", "-DCMAKE_MAKE_PROGRAM=true", "-S", project.root]
    words += ["-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES=.envy/envy.cmake", "-B", tmp_path / "build"]

    def configure():
        return subprocess.run(words, capture_output=True, text=True, check=False)

    done = configure()
    assert (done.returncode, "newer than" in done.stderr) == (0, False), done.stderr
    found = (tmp_path / "build" / "found").read_bytes().decode()
    program = project.envy("product", "tool").out.strip()
    version = "7\n" if shutil.which("pkg-config") else ""
    said = 'it\'s "$HOME" @HOME@ a;b\\\n\r\nend]]'
    assert found == f"42|{program}|{version}|{said}|a\nb"
    project.write("envy.lua", MANIFEST.replace("tool@", "sample@") + "-- edited")
    os.utime(project.root / "envy.lua", (2**31, 2**31))
    assert "newer than the last sync" in " ".join(configure().stderr.split())
    next(project.cache.glob("assets/*/*/envy-complete")).unlink()
    done = configure()
    assert done.returncode
    assert "envy-complete is gone. Run: envy sync" in " ".join(done.stderr.split())
    project.recipe("local.sample@r1", LIBRARY.replace("ctx.chmod", "ctx.no_such"))
    project.envy("sync", code=1)
    done = configure()
    assert done.returncode
    assert "envy: not installed: local.sample@r1. Run: envy sync" in " ".join(done.stderr.split())


def test_a_sync_removes_stale_launchers_and_leaves_other_files(launched):
    """Launchers of programs that are gone are removed; a file of the user is left and named."""
    mine = launched.write("bin/mine", "#!/bin/sh\n")
    other = launched.write("bin/other", "a file of the user\n")
    launched.recipe("local.tool@r1", tool("one").replace("tool =", 'other = "bin/tool", tool2 ='))
    run = launched.envy("sync")
    assert f"{other} is not a launcher of this project, so it was left as it is" in run.err
    assert sorted(path.name for path in mine.parent.iterdir()) == ["mine", "other", "tool2"]
    assert other.read_text() == "a file of the user\n"
    assert launched.envy("sync", trace=False).err.startswith("sync complete")
    other.unlink()
    launched.envy("sync", trace=False)
    assert launch(launched, program="bin/other").startswith("one|")
    other.write_text("a file of the user\n")
    launched.manifest(MANIFEST.replace('"bin"', '"tools/x"'))
    launched.envy("sync")
    assert sorted(path.name for path in mine.parent.iterdir()) == ["mine", "other"]
    assert launch(launched, program="tools/x/tool2").startswith("one|")
    launched.manifest(MANIFEST.replace("launchers", "-- launchers"))
    launched.envy("sync")
    assert not (launched.root / ".envy").exists()
    assert not (launched.root / "tools/x").exists()


def test_a_warm_sync_restores_what_is_missing(launched):
    """A launcher, the stamp or the whole folder that was removed comes back."""
    folder = [f".envy/{name}" for name in ("stamp", "packages/tool", "env.json", "envy.cmake")]
    for path in ("bin/tool", *folder):
        (launched.root / path).unlink()
        launched.envy("sync", trace=False)
        assert (launched.root / path).exists()
    shutil.rmtree(launched.root / ".envy")
    launched.envy("sync", trace=False)
    without_envy(launched)
    assert launch(launched).startswith("one|")


def test_what_is_in_the_way_is_a_warning(project):
    """A file or a link instead of a folder is named, and the packages are installed."""
    outside = project.root.parent / "outside"
    outside.mkdir()
    project.write("bin", "a file")
    assert f"{project.root}/bin is not a folder of its own" in synced_run(project).err
    (project.root / "bin").unlink()
    (project.root / "bin").symlink_to(outside)
    assert f"{project.root}/bin is not a folder of its own" in synced_run(project).err
    (project.root / "bin").unlink()
    (project.root / ".envy").symlink_to(outside)
    assert f"{project.root}/.envy is not a folder of its own" in synced_run(project).err
    assert list(outside.iterdir()) == []


def synced_run(project):
    """Sync, and return the outcome."""
    project.manifest(MANIFEST)
    project.recipe("local.tool@r1", tool("one"))
    return project.envy("sync")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_that_may_only_be_read(project):
    """Nothing can be written: a warning, and the packages are installed."""
    project.manifest(MANIFEST)
    project.recipe("local.tool@r1", tool("one"))
    project.root.chmod(0o555)
    try:
        assert "the launchers cannot be written" in project.envy("sync").err
    finally:
        project.root.chmod(0o755)


def test_a_failed_program_never_runs_in_its_former_version(launched):
    """After a sync in which the package failed, its launcher is the error of `envy run`."""
    launched.recipe("local.tool@r1", 'products = { tool = "bin/tool" }\ninstall = "exit 3"')
    launched.envy("sync", code=1)
    assert "local.tool@r1" in launch(launched, code=1)


def test_a_launcher_is_never_found_by_its_own_name(launched):
    """A launcher whose program is gone ends with an error, and does not run itself."""
    launched.recipe("local.tool@r1", tool("one").replace("tool =", "tool2 ="))
    path = f"{launched.root}/bin:/usr/bin:/bin"
    for _ in range(2):
        run = launched.envy("run", "tool", env={"PATH": path}, code=127, trace=False)
        assert "there is no program 'tool'" in run.err
    assert "there is no program 'tool'" in launch(launched, code=127)


def test_a_launcher_that_is_named_envy(launched):
    """Where it is the `envy` on PATH, a stale one runs the envy that wrote it, and not itself."""
    launched.recipe("local.tool@r1", tool("one").replace("tool =", "envy ="))
    launched.envy("sync")
    launched.manifest(f"{MANIFEST}-- edited\n")
    expected = f"one|{SAID}|a\nb|x|"
    assert launch(launched, "x", program="bin/envy", envy=launched.root / "bin") == expected


@pytest.mark.parametrize("name", ["a b'c\"d\né$x", "-x"])
def test_hard_paths(tmp_path, name):
    """Spaces, quotes, newlines and other scripts in the path of a project."""
    project = synced(Project(tmp_path / name))
    project.manifest(MANIFEST.replace('"bin"', '"my bin/é"'))
    project.envy("sync")
    expected = f"one|{SAID}|a\nb|"
    assert launch(project, program="my bin/é/tool") == expected
    project.manifest(MANIFEST.replace('"bin"', '"my bin/é"') + "-- edited\n")
    assert launch(project, program="my bin/é/tool", cwd="/") == expected


def test_a_copy_and_a_vanished_folder(launched, tmp_path):
    """A copy is another project; a working directory that is gone does not matter."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "{launched.root}/bin/tool"'
    done = subprocess.run(
        ["sh", "-c", script], env=launched.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"one|{SAID}|a\nb|"
    copy = tmp_path / "copy"
    shutil.copytree(launched.root, copy, symlinks=True)
    (copy / "envy.lua").write_text(MANIFEST.replace("a\\n", "copy "))
    os.utime(copy / "envy.lua", (1, 1))
    assert launch(launched, program=copy / "bin" / "tool") == f"one|{SAID}|copy b|"


@pytest.mark.parametrize(
    "value", ["3", '""', '"/usr/bin"', '"../bin"', '"."', '".envy/bin"', '"a//b"']
)
def test_an_invalid_folder_is_an_error(project, value):
    """The folder has to be inside the project; the error has the line and an example."""
    project.manifest(f"packages = {{}}\nlaunchers = {value}")
    run = project.envy("sync", code=1)
    assert "envy.lua:2: `launchers` must be a folder inside the project, not" in run.err
    assert 'such as launchers = "bin"' in run.err


@pytest.mark.needs("ninja")
def test_many_calls_beside_syncs(launched, tmp_path):
    """While syncs write the launchers again, every call below ninja runs the right program."""
    rows = [f"build out/{number}: call\n" for number in range(CALLS)]
    call = "rule call\n command = bin/tool $out > $out && echo complete >> $out\n"
    launched.write("build.ninja", call + "".join(rows))
    log = tmp_path / "ninja.log"
    with log.open("w") as out:
        calls = subprocess.Popen(
            ["ninja", "-j8", "-k0"], cwd=launched.root, env=launched.environment(),
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    syncs = 0
    while calls.poll() is None or syncs < 2:
        syncs += 1
        if syncs % 8 == 1:
            launched.manifest(f"{MANIFEST}-- {syncs}\n")  # the calls are left to `envy run`
        else:
            (launched.root / ".envy" / "written").unlink()  # all is written again
        launched.envy("sync", trace=False)
    assert calls.returncode == 0, log.read_text()
    for number in range(CALLS):
        text = (launched.root / "out" / str(number)).read_text()
        assert text == f"one|{SAID}|a\nb|out/{number}|complete\n"


def test_a_sync_of_an_older_manifest_that_ends_last(launched):
    """Of two syncs at once, the one that read an older manifest leaves a stamp that is older."""
    launched.recipe("local.tool@r1", tool("two"))
    stamp = launched.root / ".envy" / "stamp"
    text, status = stamp.read_bytes(), stamp.stat()
    launched.envy("sync")
    stamp.write_bytes(text)
    os.utime(stamp, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert launch(launched) == f"two|{SAID}|a\nb|"
