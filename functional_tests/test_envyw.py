"""`envy bootstrap`, and the script envyw that it writes, against an index on loopback."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest
from loopback.http_server import LoopbackServer, Reply
from loopback.installed_wheels import empty_wheel, make_python, wheel_of
from loopback.package_index import FakePackageIndex
from packaging.requirements import Requirement
from project import tree

from envy import __version__

CHECKOUT = Path(__file__).parent.parent
ENVIRONMENTS = f"envyw/{__version__}-"
QUOTED = 'it\'s a "folder" $HOME'  # for paths


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of envy, built from this checkout."""
    fcntl = pytest.importorskip("fcntl")
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # one for all workers
    folder = root / "envy-wheel"
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT]
    with (root / "envy-wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            subprocess.run([sys.executable, *words], capture_output=True, check=False)
    found = list(folder.glob("*.whl"))
    if not found:
        pytest.skip("the wheel of envy cannot be built: pip cannot have hatchling, or is missing")
    return found[0]


@pytest.fixture(scope="session")
def dependencies():
    """The wheels of pip and of all that envy needs, by project."""
    found, queue = {}, ["pip", "envy-tool"]
    while queue:
        name = queue.pop()
        try:
            rows = metadata.requires(name) or []
            found[name] = wheel_of(name)
        except metadata.PackageNotFoundError:
            rows, found[name] = [], empty_wheel(name, "9999.0")
        needed = [row for row in map(Requirement, rows) if "extra" not in str(row.marker or "")]
        queue += [row.name for row in needed if row.name not in found]
    del found["envy-tool"]
    return found


@pytest.fixture
def index(dependencies):
    """An index with all of them."""
    with LoopbackServer() as server:
        index = FakePackageIndex(server)
        for name, (filename, content) in dependencies.items():
            index.add(name.lower().replace(".", "-").replace("_", "-"), filename, content)
        yield index


class Wrapper:
    """Runs envyw with few variables, so that nothing of this machine has a part in it."""

    def __init__(self, project, tmp_path):
        self.project = project
        self.data = tmp_path / "data" / QUOTED
        self.home = tmp_path / "home"
        (self.home / ".config" / "pip").mkdir(parents=True)
        self.python = ""
        self.variables = {}

    def start(self, *words, cwd=None, under=(), script="envyw", **variables):
        """Start envyw in a folder of the project."""
        script = os.path.relpath(self.project.root / script, cwd or self.project.root)
        script = script if "/" in script else f"./{script}"
        given = {
            "ENVY_CACHE_ROOT": str(self.project.cache),
            "HOME": str(self.home),
            "PATH": f"{self.python}:/usr/bin:/bin" if self.python else "/nothing",
            "XDG_CONFIG_DIRS": str(self.home),
            "XDG_DATA_HOME": str(self.data),
            "PIP_DEFAULT_TIMEOUT": "600",  # what is left waiting does not ask again
            **self.variables,
            **variables,
        }
        return subprocess.Popen(
            [*under, script, *words],
            cwd=cwd or self.project.root,
            env={name: value for name, value in given.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words, code=0, **options):
        """Run envyw; return its output and its messages."""
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (process.returncode, out, err)
        return out, err

    def environments(self):
        """Return what lies in the folder of environments, without what varies in the names."""
        names = [path.name for path in (self.data / "envy" / "envyw").iterdir()]
        return sorted(
            re.sub(r"-[0-9a-f]{12}", "", re.sub(r"\.\w{8}$", ".new", name)) for name in names
        )


DONE = [__version__, f"{__version__}.lock", f"{__version__}.new"]


@pytest.fixture
def wrapper(project, tmp_path):
    project.root = tmp_path / QUOTED
    (project.root / "deep" / "down").mkdir(parents=True)
    project.manifest('packages = { "local.tool@r1" }')
    project.recipe("local.tool@r1", 'install = "touch tool"')
    return Wrapper(project, tmp_path)


def test_what_bootstrap_writes(project, index, wheel, tmp_path):
    """Two files that belong together; what cannot be is an error that says what to do."""
    project.manifest("packages = {}")
    env = {"PIP_INDEX_URL": index.url, "PIP_EXTRA_INDEX_URL": ""}

    def bootstrap(*words, **details):
        return project.envy("bootstrap", *words, env=env, trace=False, **details)

    message = bootstrap(code=1).err
    assert f"{index.url} has no wheel of envy-tool {__version__}\n" in message
    assert "make a wheel (pip wheel --no-deps CHECKOUT) and give it: --wheel PATH" in message
    assert "envyw does not exist" in bootstrap("--check", code=1).err
    assert [path.name for path in project.root.iterdir()] == ["envy.lua"]
    run = bootstrap("--index-url", "http://me:secret@host/simple", code=2)
    assert "has credentials, and envyw is committed" in run.err
    assert "secret" not in run.err
    assert "is not the address of a package index" in bootstrap("--index-url", "x", code=2).err
    assert "is needed, and envy works offline" in bootstrap("--offline", code=1).err
    script = project.write("envyw", "#!/bin/sh\necho mine\n")
    assert "envyw exists already, and envy did not write it" in bootstrap(code=1).err
    script.unlink()
    foreign = tmp_path / "tool-1.0-py3-none-any.whl"
    foreign.write_bytes(empty_wheel("tool", "1.0")[1])
    assert "is not a wheel of envy-tool" in bootstrap("--wheel", foreign, code=2).err
    foreign.write_text("no zip")
    assert "is not a wheel: " in bootstrap("--wheel", foreign, code=1).err
    renamed = tmp_path / "envy.whl"
    renamed.write_bytes(wheel.read_bytes())
    run = bootstrap("--wheel", renamed, code=2)
    assert f"is not named like a wheel of envy-tool {__version__}" in run.err

    index.add("envy-tool", wheel.name, wheel.read_bytes())
    assert (
        f"has no wheel of envy-tool 7; it has {__version__}"
        in bootstrap("--version", "7", code=1).err
    )
    project.manifest('requires_envy = ">=7"\npackages = {}\n')
    assert f"envy.lua needs envy >=7, and envyw would run {__version__}" in bootstrap(code=1).err
    assert not script.exists()
    project.manifest("packages = {}\n")
    run = bootstrap(cwd=project.write("sub/file", "").parent)
    assert f"envyw runs envy {__version__} on Python " in run.err
    assert script.stat().st_mode & 0o777 == 0o755
    subprocess.run(["sh", "-n", script], check=True)
    [embedded] = re.findall(r"\ninstall='(.*?)'\n", script.read_text(), re.DOTALL)
    compile(embedded, "envyw", "exec")
    listed = (project.root / "envyw.txt").read_text()
    lines = [line for line in listed.splitlines() if "==" in line]
    assert f"envy-tool=={__version__} \\" in lines
    assert "backports-zstd==1" in listed or "backports-zstd==9999" in listed
    assert any('python_version < "3.14"' in line for line in lines if "backports" in line)
    assert f"lupa=={metadata.version('lupa')} \\" in lines
    before = tree(project.root)
    bootstrap()
    assert tree(project.root) == before
    bootstrap("--check")
    bootstrap("--index-url", index.url)
    bootstrap("--upgrade")  # keeps the index
    assert f"\n--index-url {index.url}\n" in (project.root / "envyw.txt").read_text()
    bootstrap("--index-url", "")
    assert tree(project.root) == before
    run = bootstrap("--check", "--version", "7", code=1)
    assert f"envyw runs envy {__version__}, not 7\n  hint: envy bootstrap --version 7" in run.err
    project.write("envyw.txt", listed.replace("--hash", "--hash ", 1))
    assert "envyw is not what envy" in bootstrap("--check", code=1).err


@pytest.mark.needs("shellcheck")
def test_the_script_is_clean(project, index, wheel):
    """It is committed in projects that check their scripts."""
    project.manifest("packages = {}")
    index.add("envy-tool", wheel.name, wheel.read_bytes())
    project.envy("bootstrap", env={"PIP_INDEX_URL": index.url}, trace=False)
    subprocess.run(["shellcheck", project.root / "envyw"], check=True)


def test_first_runs(wrapper, project, index, wheel, tmp_path):
    """A managed Python without pip is enough; a killed run, and two at once, end in one."""
    python = make_python(tmp_path / "python", without=())
    if python is None:
        pytest.skip("the Python that runs the tests cannot be copied")
    before = sorted(os.walk(tmp_path / "python"))
    index.add("envy-tool", wheel.name, wheel.read_bytes())
    project.envy("bootstrap", env={"PIP_INDEX_URL": index.url}, trace=False)
    wrapper.python = python.parent
    location = index.url.replace("://", "://user:pa%20ss@")
    (wrapper.home / ".config/pip/pip.conf").write_text(f"[global]\nindex-url = {location}\n")

    def killed_while(path):
        """Kill a run at its request of a path, for which it waits."""
        route, asked, release = index.server.routes[path], threading.Event(), threading.Event()

        def wait(request):
            index.server.routes[path] = route
            asked.set()
            release.wait()
            return route(request) if callable(route) else route

        index.server.routes[path] = wait
        process = wrapper.start("--version")
        assert asked.wait(300), process.communicate()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        orphans.append((process.pid, release))

    orphans = []  # what the killed runs had started still waits for the index
    killed_while("/simple/pip/")
    killed_while(f"/files/{wheel.name}")
    assert __version__ not in wrapper.environments()
    pair = [wrapper.start("sync", "--quiet"), wrapper.start("asset", "tool")]
    ends = [(process.communicate(timeout=300), process.returncode) for process in pair]
    for group, release in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        release.set()
    assert [code for _, code in ends] == [0, 0], ends
    told = [err for (_, err), _ in ends]
    assert sum("envyw: installing envy" in err for err in told) == 1
    assert wrapper.environments() == DONE
    assert sorted(os.walk(tmp_path / "python")) == before
    authorized = {r.headers.get("authorization") for r in index.server.requests if "pip" in r.path}
    assert "Basic dXNlcjpwYSBzcw==" in authorized

    # From now on, nothing is asked, and envyw is envy.
    asked = len(index.server.requests)
    folder = Path(ends[1][0][0].strip())
    deep = project.root / "deep" / "down"
    wrapper.python = ""  # not even Python is searched for
    assert wrapper.run("asset", "tool", cwd=deep)[0].strip() == str(folder)
    program = 'printf "%s|" "$@"; echo $$; exit 7'
    words = ("run", "--", "/bin/sh", "-c", program, "x", "a b", "", "it's", "--version", "é")
    process = wrapper.start(*words)
    out, err = process.communicate(timeout=300)
    assert out == f"a b||it's|--version|é|{process.pid}\n", err
    assert process.returncode == 7
    process = wrapper.start("run", "--", "/bin/sh", "-c", "kill -TERM $$")
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGTERM
    wrapper.run("bootstrap", "--check")
    assert len(index.server.requests) == asked


def test_what_keeps_it_from_running(wrapper, project, index, wheel, tmp_path, unprivileged):
    """Each reason is named, with what to do about it; nothing is left behind."""
    project.envy("bootstrap", "--wheel", wheel, env={"PIP_INDEX_URL": index.url}, trace=False)
    assert (project.root / "envyw-wheels" / wheel.name).exists()
    old = project.write("old/python3", "#!/bin/sh\necho 3.9\n", mode=0o755)
    _, err = wrapper.run("sync", code=1, PATH=str(old.parent))
    assert f"error: envy {__version__} runs on Python 3." in err
    assert "and PATH has none of them (python3 is 3.9)\n  hint: install one, or name one" in err
    _, err = wrapper.run("sync", code=1, ENVYW_PYTHON=str(old))
    assert "which is no usable Python" in err
    _, err = wrapper.run("sync", code=1, XDG_DATA_HOME=None, HOME=None)
    assert "hint: set HOME, or choose a folder: ENVY_DATA_ROOT=/path" in err
    _, err = wrapper.run("sync", code=1, ENVY_DATA_ROOT="here")
    assert "ENVY_DATA_ROOT is 'here', which is not an absolute path" in err

    without = make_python(tmp_path / "without", without=["venv"], pip=True)
    python = make_python(tmp_path / "python", pip=True)
    if without is None or python is None:
        pytest.skip("the Python that runs the tests cannot be copied")
    wrapper.python = without.parent
    _, err = wrapper.run("sync", code=1)
    package = "python{}.{}-venv".format(*sys.version_info)
    assert "has no module venv\n" in err
    assert f"the package of Debian and Ubuntu is {package}" in err
    wrapper.python = python.parent
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    _, err = wrapper.run("sync", code=1, under=unprivileged, XDG_DATA_HOME=str(locked))
    assert f"cannot be installed in {locked}/envy/envyw: Permission denied" in err
    assert "another data folder can be used: ENVY_DATA_ROOT=/path" in err
    asked = len(index.server.requests)
    _, err = wrapper.run("sync", code=1, ENVY_OFFLINE="1", PIP_INDEX_URL=index.url)
    assert f"envy {__version__} is not installed yet, and ENVY_OFFLINE is set" in err
    assert len(index.server.requests) == asked

    # What the list does not have is refused, wherever it comes from.
    [lupa] = [path for path in index.server.routes if path.startswith("/files/lupa")]
    genuine = index.server.routes[lupa]
    index.server.routes[lupa] = Reply(genuine.body + b"x")
    settings = {"PIP_INDEX_URL": index.url, "PIP_USER": "1", "PIP_TARGET": str(tmp_path / "else")}
    _, err = wrapper.run("sync", code=1, **settings)
    assert "HASH" in err.upper()
    assert f"pip could not install envy {__version__}; its reason is above" in err
    assert wrapper.environments() == [f"{__version__}.lock"]
    index.server.routes[lupa] = genuine
    listed = project.root / "envyw.txt"
    text = listed.read_text()
    listed.write_text(text + "tool==1.0\n")
    assert "envyw.txt is not the list that envyw was written with" in wrapper.run(code=1)[1]
    listed.unlink()
    assert "envyw.txt cannot be read" in wrapper.run(code=1)[1]

    # The wheel beside envyw is enough, and settings that lead elsewhere have no effect.
    listed.write_text(text)
    (project.root / "link").symlink_to("envyw")
    assert wrapper.run("--version", script="link", **settings)[0] == f"envy {__version__}\n"
    assert not (tmp_path / "else").exists()
    assert wrapper.environments() == DONE
    # A Python that is gone is replaced.
    shutil.rmtree(tmp_path / "python")
    assert "and PATH has none of them" in wrapper.run("--version", code=1, PATH="/nothing")[1]


def test_ctrl_c_leaves_nothing(project, index, wheel, tmp_path):
    """While the index does not answer, a signal ends the command, and its folder is removed."""
    project.manifest("packages = {}")
    index.add("envy-tool", wheel.name, wheel.read_bytes())
    asked, release = threading.Event(), threading.Event()

    def wait(_request):
        asked.set()
        release.wait()
        return Reply(status=404)

    index.server.routes[f"/files/{wheel.name}"] = wait
    (tmp_path / "tmp").mkdir()
    env = {"PIP_INDEX_URL": index.url, "TMPDIR": str(tmp_path / "tmp")}
    process = project.popen("bootstrap", env=env)
    assert asked.wait(300)
    assert [*(tmp_path / "tmp").iterdir()]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    release.set()
    assert process.returncode == 130, err
    assert not [*(tmp_path / "tmp").iterdir()]
    assert not (project.root / "envyw").exists()
