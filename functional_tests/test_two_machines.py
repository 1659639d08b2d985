"""What one machine builds, another uses, whose cache has another path: libraries and a consumer.

Two libraries here; ENVY_SOAK_LIBRARIES says how many, and adds a real server, CMake, and the demo.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from casd import fetch_programs, running_casd
from loopback.depot_server import DepotServer
from loopback.object_store import serving_objects
from project import Project
from small_libraries import small_libraries

IS_SOAKED = "ENVY_SOAK_LIBRARIES" in os.environ
LIBRARIES = int(os.environ.get("ENVY_SOAK_LIBRARIES", "2"))
DEMO = Path(__file__).parent.parent / "docs/demo/envy.lua"
NO_INDEX = {
    **dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), "http://127.0.0.1:9/simple"),
    "PIP_CONFIG_FILE": os.devnull,
    "GOPROXY": "off",
}
EXPECTED = "".join(f"lib{number} " for number in reversed(range(LIBRARIES)))

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("cc", "g++", "ar"))), reason="there is no compiler cc or g++"
)


def machine(tmp_path, name):
    """A machine: the project with the libraries, a home and a cache of its own."""
    recipes = small_libraries(LIBRARIES)
    project = Project(tmp_path / name / "project", tmp_path / name / "cache")
    project.packages(*[identity for identity in recipes if identity != "local.tool@r1"])
    for identity, body in recipes.items():
        project.recipe(
            identity,
            body.replace(
                '"local.tool@r1", use', ('"local.tool@r1", source = "local.tool@r1.lua", use')
            ),
        )
    project.ran = tmp_path / "ran"
    (tmp_path / name / "home").mkdir()
    project.variables = {"RAN": str(project.ran), "HOME": str(tmp_path / name / "home")}
    return project


def run(project, *words, env=None, **details):
    return project.envy(*words, env={**project.variables, **(env or {})}, **details)


def check_taken(project, words, env):
    """Sync a machine, which must run nothing, and use what it got."""
    project.ran.unlink(missing_ok=True)
    taken = run(project, "sync", *words, env=env)
    assert f"(0 cached, {LIBRARIES} taken)" in taken.err, taken.err
    assert not project.ran.exists()
    begun = {event["phase"] for event in taken.named("phase_start")}
    assert begun.isdisjoint({"fetch", "stage", "build", "install"})
    assert not any("tool" in marker for marker in project.markers())
    assert "0 damaged" in run(project, "cache", "verify").out
    top = f"lib{LIBRARIES - 1}"
    assert run(project, "run", top, trace=False).out == f"{EXPECTED}\n"
    consume(project, taken, top)


def consume(project, outcome, name):
    """Compile and run a program with a library, found by its file for pkg-config and its script."""
    asset = outcome.folder(f"local.{name}@r1")
    source = project.write(
        "use.c", f"#include <stdio.h>\n#include <{name}.h>\nint main(void) "
        f"{{ puts({name}_text()); return 0; }}\n",
    )  # fmt: skip
    config = subprocess.run(
        [asset / f"bin/{name}-config"], check=True, capture_output=True, text=True
    ).stdout.split()
    lines = (asset / f"lib/pkgconfig/{name}.pc").read_text().splitlines()
    assert lines[0] == f"prefix={asset}"
    assert (
        f'"{asset}/lib/lib{name}.so.1"'
        in (asset / f"lib/cmake/{name}/{name}-config.cmake").read_text()
    )
    below = outcome.folder(f"local.lib{LIBRARIES - 2}@r1")
    assert f"{below}/lib/liblib{LIBRARIES - 2}.la" in (asset / f"lib/lib{name}.la").read_text()
    program = project.root / "use"
    words = ["cc", source, *config, f"-Wl,-rpath,{asset}/lib", "-o", program]
    done = subprocess.run(list(map(str, words)), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert said == f"{EXPECTED}\n"
    if IS_SOAKED:
        consume_by_cmake(project, outcome, name, source)


def consume_by_cmake(project, outcome, name, source):
    """Let CMake and pkg-config find the library, and run what they make."""
    asset = outcome.folder(f"local.{name}@r1")
    paths = [outcome.folder(f"local.lib{number}@r1") for number in range(LIBRARIES)]
    env = {
        **os.environ,
        "CMAKE_PREFIX_PATH": str(asset),
        "PKG_CONFIG_PATH": ":".join(f"{path}/lib/pkgconfig" for path in paths),
    }
    project.write(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(use C)\n"
        f"find_package({name} REQUIRED)\nadd_executable(found {source})\n"
        f"target_link_libraries(found {name}::{name})\n"
        "find_package(PkgConfig REQUIRED)\n"
        f"pkg_check_modules(PC REQUIRED IMPORTED_TARGET {name})\n"
        f"add_executable(asked {source})\ntarget_link_libraries(asked PkgConfig::PC)\n",
    )
    for words in (["-S", ".", "-B", "out"], ["--build", "out"]):
        done = subprocess.run(
            ["cmake", *words],
            cwd=project.root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for program in ("found", "asked"):
        said = subprocess.run(
            [project.root / "out" / program], check=True, capture_output=True, text=True
        ).stdout
        assert said == f"{EXPECTED}\n"


@contextlib.contextmanager
def places(tmp_path):
    """Yield the options and variables of every place that packages are shared by."""
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(DepotServer())
        found = {
            "file": (("--depot", f"file://{tmp_path}/depot"), {}),
            "http": (("--depot", http.url, "--depot-unsigned"), {}),
        }
        with contextlib.suppress(pytest.skip.Exception):
            pytest.importorskip("obstore")
            store = stack.enter_context(serving_objects())
            store.put("/tools")
            found["s3"] = (("--depot", "s3://tools/a", "--depot-unsigned"), store.variables)
        with contextlib.suppress(pytest.skip.Exception):
            pytest.importorskip("grpc")
            pytest.importorskip("buildgrid.common")
            from loopback.remote_server import RemoteServer

            server = stack.enter_context(RemoteServer())
            found["remote"] = (("--remote", server.url), {})
            if IS_SOAKED:
                (tmp_path / "casd").mkdir()
                programs = fetch_programs(tmp_path / "casd")
                casd = stack.enter_context(running_casd(programs, tmp_path / "casd/cas"))
                found["casd"] = (("--remote", casd), {})
        yield found


def test_libraries_on_another_machine(tmp_path):
    """By each place: no script runs, the payloads are sound, and a consumer is built and runs."""
    first = machine(tmp_path, "first-machine")
    with places(tmp_path) as found:
        remotes = [word for name in ("remote", "casd") for word in found.get(name, ((), {}))[0]]
        run(first, "sync", *remotes[:2], *found["file"][0], "--depot-write")
        for place, (words, env) in found.items():
            if place in {"http", "s3"}:
                pushed = run(first, "depot", "push", *words, env=env)
                assert f"{LIBRARIES + 1} of {LIBRARIES + 1} packages are in" in pushed.out
            elif place == "casd":  # for which nothing was built
                shutil.rmtree(first.cache)
                run(first, "sync", *words)
        shutil.move(first.cache, tmp_path / "away")
        shutil.rmtree(tmp_path / "away")
        for number, (words, env) in enumerate(found.values()):
            name = "b" if number % 2 else "second-machine-with-a-longer-path"
            check_taken(machine(tmp_path, f"{name}{number}"), words, env)


def demo_machine(tmp_path, name):
    """A machine with the project of `make demo`."""
    project = Project(tmp_path / name / "project", tmp_path / name / "cache")
    project.manifest(DEMO.read_text())
    (tmp_path / name / "home").mkdir()
    project.variables = {"HOME": str(tmp_path / name / "home")}
    return project


@pytest.mark.network
@pytest.mark.skipif(not IS_SOAKED, reason="ENVY_SOAK_LIBRARIES is not set: make soak does")
def test_the_demo_on_another_machine(tmp_path):
    """By each place, under a shorter and a longer root: nothing is fetched, and each tool runs."""
    first = demo_machine(tmp_path, "first-machine")
    run(first, "sync")
    packages = len(first.markers())
    with places(tmp_path) as found:
        found.pop("remote", None)  # casd is one, too
        for place, (words, env) in found.items():
            command = ("remote", "push") if place == "casd" else ("depot", "push")
            pushed = run(first, *command, *words, env=env)
            assert f"{packages} of {packages} packages are in" in pushed.out
        shutil.move(first.cache, tmp_path / "away")
        shutil.rmtree(tmp_path / "away")
        for place, (words, env) in found.items():
            for name in ("b", "second-machine-with-a-longer-path"):
                machine = demo_machine(tmp_path, f"{name}-{place}")
                taken = run(machine, "sync", *words, env={**NO_INDEX, **env})
                assert f"(0 cached, {packages} taken)" in taken.err, taken.err
                begun = {event["phase"] for event in taken.named("phase_start")}
                assert begun.isdisjoint({"fetch", "stage", "build", "install"})
                assert (
                    f"verified {packages} packages: 0 damaged"
                    in run(machine, "cache", "verify").out
                )
                for tool in (["cmake", "--version"], ["ninja", "--version"], ["ruff", "--version"],
                             ["uv", "--version"], ["zig", "version"], ["go", "version"],
                             ["lua", "-e", "print(_VERSION)"],
                             ["python", "-c", "import rich; print(rich.__file__)"]):  # fmt: skip
                    assert run(machine, "run", "--", *tool, trace=False).out
                shutil.rmtree(machine.cache)


@pytest.mark.skipif(not IS_SOAKED, reason="ENVY_SOAK_LIBRARIES is not set: make soak does")
def test_ten_cold_machines(tmp_path, request):
    """Ten at once on one real server all succeed, and a second round runs no script."""
    pytest.importorskip("buildgrid.common")
    casd = request.getfixturevalue("casd")  # which is started only where this test runs
    for round_ in range(2):
        machines = [machine(tmp_path, f"{round_}-{number}") for number in range(10)]
        running = [
            one.popen("sync", "--remote", casd, env=one.variables, text=True) for one in machines
        ]
        for process in running:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
        ran = (tmp_path / "ran").exists()
        (tmp_path / "ran").unlink(missing_ok=True)
        assert ran == (round_ == 0)
        for one in machines[::9]:
            assert "0 damaged" in run(one, "cache", "verify").out
