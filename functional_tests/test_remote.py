"""Packages that are shared by a server of the Remote Execution API."""

import datetime as dt
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

import grpc
from loopback.fault_proxy import FAULTS as NETWORK_FAULTS
from loopback.fault_proxy import FaultProxy
from loopback.remote_server import FAULTS, SLOW_FAULTS, RemoteServer
from project import Project
from test_depot import new_key

IS_SOAKED = "ENVY_SOAK_REMOTE_FAULTS" in os.environ
FAULTY_SYNCS = int(os.environ.get("ENVY_SOAK_REMOTE_FAULTS", "25"))
METHODS = [
    "GetCapabilities", "GetActionResult", "BatchReadBlobs", "Read", "FindMissingBlobs",
    "BatchUpdateBlobs", "UpdateActionResult", "Write",
]  # fmt: skip
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


def published(project):
    """Return the content of the files of `app` and `lib` that do not hold their own path."""
    return {
        str(path.relative_to(project.cache)): path.read_bytes()
        for name in ("app", "lib")
        for path in project.cache.glob(f"assets/local.{name}@r1/*/asset/**/*")
        if path.is_file() and path.suffix != ".pc" and not path.is_symlink()
    }


def warnings(outcome):
    return [line for line in outcome.err.splitlines() if line.startswith("warning: ")]


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
        again = run(first, "remote", "push", "--remote", server.url)
        assert again.out == f"3 of 3 packages are in {server.url}\n"
        offline = run(first, "remote", "push", "--offline", "--remote", server.url, code=2)
        assert "since envy works offline" in offline.err
        assert "no server is named" in run(first, "remote", "push", code=2).err
        second.recipe("local.lib@r1", LIB.replace("echo $i", 'echo "$i$i"'))
        scripts(first)
        assert "2 taken" in run(second, "sync", "--remote", server.url).err
        assert scripts(second) == []
        assert server.uploaded == []
    # What is in the cache already is stored by a push, and each blob once.
    with RemoteServer() as server:
        pushed = json.loads(run(second, "remote", "push", "--json", "--remote", server.url).out)
        assert pushed["depots"] == [server.url]
        assert [row["key"] for row in pushed["packages"]] == ["local.app@r1", "local.lib@r1"]
        assert all(row["stored"] and row["bytes"] for row in pushed["packages"])
        assert len(server.uploaded) == len(set(server.uploaded))


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


def test_a_project_with_keys_does_not_believe_a_server(machines, tmp_path):
    """Nothing there is signed: it is taken on demand only, and then not signed by this machine."""
    first, second = machines
    secret, public = new_key(tmp_path)
    second.manifest(f'packages = {{ "local.app@r1" }}\ndepot_keys = "{public}"')
    depot, sign = f"file://{tmp_path}/depot", {"ENVY_DEPOT_KEY": str(secret)}
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url)
        scripts(first)
        built = run(second, "sync", "--remote", server.url)
        assert scripts(second) == ["app", "lib", "tool"]
        [said] = warnings(built)
        assert f"no package is taken from {server.url}" in said
        assert "--remote-unsigned" in said
        assert warnings(run(second, "sync", "--remote", server.url)) == []
        shutil.rmtree(second.cache)
        taken = run(second, "sync", env={"ENVY_REMOTE": server.url, "ENVY_REMOTE_UNSIGNED": "1"})
        assert "2 taken" in taken.err
        pushed = run(second, "depot", "push", "--depot", depot, env=sign, code=1)
        assert pushed.err.count(f"was taken from {server.url}, where no key of this project") == 2
        [place] = second.cache.glob("assets/local.app@r1/*")
        assert f"remove {place}" in pushed.err
        assert list((tmp_path / "depot").rglob("*.tar.zst")) == []
        shutil.rmtree(second.cache)
        run(second, "sync", "--depot", depot, "--depot-write", env=sign)
        assert len(list((tmp_path / "depot").rglob("*.tar.zst"))) == 3


def test_commands_for_depots_leave_the_server_alone(machines, tmp_path):
    """Neither `push` nor `pull` of depots works on ENVY_REMOTE, and reading asks for no key."""
    first, second = machines
    _, public = new_key(tmp_path)
    depot = f"file://{tmp_path}/depot"
    run(first, "sync")
    with RemoteServer() as server:
        env = {"ENVY_REMOTE": server.url}
        assert run(first, "depot", "push", "--depot", depot, env=env).out.endswith(f"{depot}\n")
        assert "no depot is named" in run(first, "depot", "push", env=env, code=2).err
        assert run(second, "depot", "pull", "--depot", depot, env=env).out == ""
        second.manifest(f'packages = {{ "local.app@r1" }}\ndepot_keys = "{public}"')
        env["ENVY_DEPOT_WRITE"] = "1"
        verified = run(second, "depot", "verify", "--depot", depot, env=env)
        assert "3 of other signers" in verified.out
        third = ("--cache-root", str(tmp_path / "third"))
        run(second, "depot", "pull", "--depot", depot, *third, env=env, code=1)
        assert server.calls == []


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


def test_the_file_of_an_entry_that_is_evicted(machines):
    """Servers forget blobs one by one: what is missing is uploaded again, and nothing else."""
    first, second = machines
    with RemoteServer() as server:
        run(first, "sync", "--remote", server.url)
        one = hashlib.sha256(b"7\n").hexdigest()
        del server.blobs[one]
        server.uploaded.clear()
        run(first, "remote", "push", "--remote", server.url)
        assert server.uploaded == [one]
        scripts(first)
        assert "2 taken" in run(second, "sync", "--remote", server.url).err
        assert scripts(second) == []


@pytest.mark.parametrize("kind", ["depot", "remote"])
def test_the_root_of_the_first_decides_for_nobody(tmp_path, kind):
    """What a shorter root has left no room for is stored for a longer root, too."""
    body = """build = [[echo built >> "$RAN"
      printf '\\177ELF\\1%s/data\\0' "$ENVY_INSTALL_DIR" > "$ENVY_INSTALL_DIR/bin"]]
    pass_env = { "RAN" }"""
    roots = [tmp_path / "c", tmp_path / "one-that-is-longer", tmp_path / "one-that-is-longer"]
    machines = []
    for number, root in enumerate(roots):
        project = Project(tmp_path / f"machine-{number}", root)
        project.packages("local.bin@r1")
        project.recipe("local.bin@r1", body)
        project.ran = tmp_path / "ran"
        machines.append(project)
    first, second, third = machines
    with RemoteServer() as server:
        words = {
            "depot": ("--depot", f"file://{tmp_path}/depot", "--depot-write"),
            "remote": ("--remote", server.url),
        }[kind]
        run(first, "sync", *words)
        built = run(second, "sync", *words)
        assert scripts(second) == ["built", "built"]
        [missed] = built.named("entry_not_taken", recipe="local.bin@r1")
        assert "has room for a cache root of at most" in missed["reason"]
        assert built.named("entry_stored")[0]["bytes"] > 0
        again = run(second, kind, "push", *words[:2])
        assert [event["bytes"] for event in again.named("entry_stored")] == [0]
        shutil.rmtree(second.cache)
        assert "1 taken" in run(third, "sync", *words).err
        assert scripts(third) == []
        third_asset = Path(run(third, "asset", "bin").out.strip())
        assert str(third_asset).encode() in (third_asset / "bin").read_bytes()
        # The one of the first machine is still what it takes.
        shutil.rmtree(first.cache)
        assert "1 taken" in run(first, "sync", *words).err


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
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    old = authority.issue_cert("localhost", not_before=past, not_after=past.replace(month=2))
    expired = grpc.ssl_server_credentials(
        [(old.private_key_pem.bytes(), old.cert_chain_pems[0].bytes())]
    )
    (tmp_path / "token").write_text("secret-token")
    token = {"ENVY_REMOTE_TOKEN_FILE": str(tmp_path / "token")}
    with RemoteServer(tls=expired) as server:
        outcome = run(first, "sync", "--remote", server.url, env={**env, **token})
        assert len(warnings(outcome)) == 1
        assert "has a certificate that is not valid or not trusted here" in warnings(outcome)[0]
        assert "set ENVY_REMOTE_CA to" in warnings(outcome)[0]
        assert "secret-token" not in outcome.err
        assert server.calls == []
        shutil.rmtree(first.cache)
    with RemoteServer(tls=made) as server:
        outcome = run(first, "sync", "--remote", server.url)
        assert len(warnings(outcome)) == 1
        shutil.rmtree(first.cache)
        run(first, "sync", "--remote", server.url, env=env)
        assert "2 taken" in run(second, "sync", "--remote", server.url, env=env).err


def test_random_faults(machines, tmp_path):
    """Whatever a server or the network does, each sync ends right, and publishes no wrong byte.

    ENVY_SOAK_REMOTE_FAULTS says how many faults are tried. What takes seconds is tried only there,
    beside a sync without a server each time: no fault may cost ten seconds more than that.
    """
    first, second = machines
    alone = make_machine(tmp_path, "a-machine-alone")
    choose = random.Random(int(os.environ.get("ENVY_SOAK_SEED", "7")))
    costs = []
    kinds = [*FAULTS, *SLOW_FAULTS, *(f"network {fault}" for fault in NETWORK_FAULTS)]
    if not IS_SOAKED:
        kinds = [kind for kind in kinds if kind not in SLOW_FAULTS and "stall" not in kind]
    with RemoteServer() as server, FaultProxy(server.port) as proxy:
        run(first, "sync", "--remote", server.url)
        assert len(server.results) == 3
        right = published(first)
        known = dict(server.results)
        for machine in (second, alone) if IS_SOAKED else ():
            run(
                machine, "sync", "--remote", server.url
            )  # what is loaded once is no cost of a fault
        for number in range(FAULTY_SYNCS):
            kind = choose.choice(kinds)
            method = choose.choice(METHODS)
            chance = choose.choice([0.3, 1.0])
            after = choose.choice([0, 9, 100, 1000, 10_000, 100_000, 1_000_000])
            is_known = not IS_SOAKED or choose.random() < 0.7  # otherwise it is built, and stored
            said = (number, kind, method, chance, after, is_known)
            server.fault = lambda called, f=kind, m=method, c=chance: (
                f if called == m and not f.startswith("network") and choose.random() < c else ""
            )
            proxy.fault = lambda f=kind, n=after: (
                (f.removeprefix("network "), n) if f.startswith("network") else ("", 0)
            )
            server.results = dict(known) if is_known else {}
            if not is_known:
                server.blobs.clear()
            shutil.rmtree(second.cache, ignore_errors=True)
            started = time.monotonic()
            outcome = run(second, "sync", "--remote", proxy.url)
            taken = time.monotonic() - started
            assert "sync complete" in outcome.err, said
            assert "0 damaged" in run(second, "cache", "verify").out, said
            assert published(second) == right, said
            assert second.held_locks() == [], said
            if IS_SOAKED:
                shutil.rmtree(alone.cache, ignore_errors=True)
                started = time.monotonic()
                run(alone, "sync")
                local = time.monotonic() - started
                costs.append((taken - local, taken, local, said))
                print(*costs[-1], flush=True)
            if not is_known:  # what the fault left there is not what the next one is tried on
                server.fault, proxy.fault = lambda _called: "", lambda: ("", 0)
                run(first, "remote", "push", "--remote", server.url)
                known = dict(server.results)
        server.fault = lambda _called: ""
        proxy.fault = lambda: ("", 0)
        shutil.rmtree(second.cache)
        scripts(second)
        assert "2 taken" in run(second, "sync", "--remote", proxy.url).err
        assert scripts(second) == []
    costs.sort(reverse=True)
    print("seconds beyond a sync without a server, with it, without it:", *costs[:5], sep="\n  ")
    assert all(extra < 10 for extra, *_ in costs)


def test_damaged_results(tmp_path):
    """After three results that cannot be used, a server is not asked again."""
    names = [f"local.p{number}@r1" for number in range(5)]
    with RemoteServer() as server:
        for machine in ("first", "second"):
            project = Project(tmp_path / machine)
            project.packages(*names)
            for name in names:
                project.recipe(name, f'install = "echo {name} > x"')
            outcome = project.envy("sync", "--fetch-jobs", "1", "--remote", server.url)
            server.fault = lambda called: "flip" if called == "BatchReadBlobs" else ""
            server.calls.clear()
    missed = [event["reason"] for event in outcome.named("entry_not_taken")]
    assert ["something else than the blob" in reason for reason in missed[:3]] == [True] * 3
    assert missed[3:] == ["3 of its results could not be used"] * (len(missed) - 3)
    assert "0 damaged" in project.envy("cache", "verify").out


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
        # What is built later than a second after that is asked for once more.
        assert server.calls[1:201] == ["GetActionResult"] * 200
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
