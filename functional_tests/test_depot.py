"""Depots: what one machine has built, another takes, verified, instead of building it."""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from exported_members import exported_members
from loopback.depot_server import DepotServer
from loopback.object_store import serving_objects
from project import Project, envy_command
from test_json import faults

from envy.cache.layout import CacheLayout
from envy.cache.lock import FileLock

# Each script leaves a line in a file outside of the cache, so that a test sees which ones ran.
TOOL = 'build = [[echo tool >> "$RAN"; echo tool > "$ENVY_INSTALL_DIR/tool"]]\npass_env = { "RAN" }'
LIB = 'build = [[echo lib >> "$RAN"; echo lib > "$ENVY_INSTALL_DIR/lib"]]\npass_env = { "RAN" }'
APP = """
dependencies = {
  { recipe = "local.tool@r1", source = "local.tool@r1.lua", use = "build" },
  { recipe = "local.lib@r1", source = "local.lib@r1.lua" },
}
pass_env = { "RAN" }
build = [[echo app >> "$RAN"; echo app > "$ENVY_INSTALL_DIR/app"; chmod 755 "$ENVY_INSTALL_DIR/app"
  ln -s app "$ENVY_INSTALL_DIR/link"]]
"""


@pytest.fixture
def machines(tmp_path):
    """Two machines with the same project: other caches, of other lengths."""
    made = []
    for name in ("first", "the-second-machine"):
        project = Project(tmp_path / name, tmp_path / f"cache-of-{name}")
        project.manifest('packages = { "local.app@r1" }')
        project.recipe("local.app@r1", APP)
        project.recipe("local.lib@r1", LIB)
        project.recipe("local.tool@r1", TOOL)
        project.ran = tmp_path / "ran"
        made.append(project)
    return made


@pytest.fixture
def server():
    with DepotServer() as running:
        yield running


def run(project, *words, env=None, **details):
    return project.envy(*words, env={"RAN": str(project.ran), **(env or {})}, **details)


def scripts(project):
    """Return the scripts that ran since the last call."""
    lines = project.ran.read_text().split() if project.ran.exists() else []
    project.ran.unlink(missing_ok=True)
    return sorted(lines)


def new_key(folder):
    """Write a secret key as `minisign -G -W` does; return its file and the public key."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key, number = ed25519.Ed25519PrivateKey.generate(), os.urandom(8)
    raw = serialization.Encoding.Raw
    seed = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    kept = number + seed + public
    digest = hashlib.blake2b(b"Ed" + kept, digest_size=32).digest()
    text = base64.b64encode(b"Ed\0\0B2" + bytes(48) + kept + digest).decode()
    path = folder / f"{number.hex()}.key"
    path.write_text(f"untrusted comment: minisign secret key\n{text}\n")
    path.chmod(0o600)
    return path, base64.b64encode(b"Ed" + number + public).decode()


def document(project, name, command, *words, code=0):
    """Return the JSON of a command for the depot that its last word names, as documented."""
    *others, depot = words
    outcome = run(project, "depot", command, "--json", *others, "--depot", depot, code=code)
    found = json.loads(outcome.out)
    assert list(faults(found, {"$ref": f"#/$defs/{name}"})) == []
    return found


def test_a_folder_is_shared(machines, tmp_path):
    """What the first machine builds, the second takes without build tools and without a script."""
    first, second = machines
    depot = f"file://{tmp_path}/de%70ot"  # percent-encoded, as any URL may be
    built = run(first, "sync", "--depot", depot, "--depot-write")
    assert scripts(first) == ["app", "lib", "tool"]
    assert len(built.named("entry_stored")) == 3
    assert "stored local.app@r1 in file://" in built.err
    taken = run(second, "sync", "--depot", depot)
    assert scripts(second) == []
    assert second.markers() == ["local.app@r1", "local.lib@r1"]
    assert "(0 cached, 2 taken)" in taken.err
    assert [event["recipe"] for event in taken.named("recipe_complete", outcome="taken")]
    folder = Path(run(second, "asset", "app").out.strip())
    assert (folder / "link").read_text() == "app\n"
    assert (folder / "app").stat().st_mode & 0o777 == 0o555
    assert "0 damaged" in run(second, "cache", "verify").out
    assert "(2 cached)" in run(second, "sync", "--depot", depot).err
    # The objects are sound, and gone once nobody has used them for long.
    old = sorted((tmp_path / "depot").rglob("*.tar.zst"))
    killed = old[0].with_name(f".{old[0].name}.0123456789ab")  # what a killed writer leaves
    killed.write_bytes(b"half")
    verified = run(second, "depot", "verify", "--depot", depot).out
    assert "verified 3 objects" in verified
    assert ": 0 damaged; 1 unfinished, which `envy depot prune` removes" in verified
    written = document(second, "depot_prune", "prune", "--unused-for", "0m", "--dry-run", depot)
    assert len(written["depots"][0]["removed"]) == 3  # it may still be written
    os.utime(killed, (1, 1))
    for path in old:
        os.utime(path, (1, 1))
    run(second, "depot", "pull", "--depot", depot, "--cache-root", str(tmp_path / "third"))
    words = ("depot", "prune", "--unused-for", "1d", "--depot", depot)
    assert "would remove 2 objects" in run(second, *words, "--dry-run").out
    pruned = document(second, "depot_prune", "prune", "--unused-for", "1d", depot)
    assert not pruned["dry_run"]
    assert len(pruned["depots"][0]["removed"]) == 2
    assert len(list((tmp_path / "depot").rglob("*.tar.zst"))) == 2
    assert not killed.exists()


def test_pull_and_push(machines, tmp_path):
    """`push` stores what is installed, `pull` takes it and builds nothing."""
    first, second = machines
    first.manifest(f'packages = {{ "local.app@r1" }}\ndepot = "file://{tmp_path}/depot"')
    second.manifest(f'packages = {{ "local.app@r1" }}\ndepot = {{ "file://{tmp_path}/depot/" }}')
    assert (
        "no depot is named" in run(first, "depot", "push", env={"ENVY_DEPOT": "none"}, code=2).err
    )
    run(first, "sync")
    output = run(second, "depot", "pull", code=1)
    assert "is not there" in output.err
    assert output.out.splitlines() == ["missing local.app@r1", "missing local.lib@r1"]
    scripts(first)
    pulled = document(second, "depot_pull", "pull", f"file://{tmp_path}/depot", code=1)
    assert {row["state"] for row in pulled["packages"]} == {"missing"}
    assert "2 of 2 packages are in" in run(first, "depot", "push", "app").out
    pushed = document(first, "depot_push", "push", f"file://{tmp_path}/depot")
    assert [(row["key"], row["bytes"] > 0) for row in pushed["packages"]] == [
        ("local.app@r1", False),
        ("local.lib@r1", False),
        ("local.tool@r1", True),
    ]
    assert "3 of 3 packages are in" in run(first, "depot", "push").out
    assert run(second, "depot", "pull").out == ""
    pulled = document(second, "depot_pull", "pull", f"file://{tmp_path}/depot")
    assert {row["state"] for row in pulled["packages"]} == {"cached"}
    assert scripts(second) == []
    assert "(2 cached)" in run(second, "sync").err


def test_a_damaged_package_is_not_stored(machines, tmp_path):
    """What a depot has stays, so a payload that changed here must not get there."""
    first, second = machines
    run(first, "sync")
    scripts(first)
    for name in ("lib", "app"):
        damaged = Path(run(first, "asset", name).out.strip()) / name
        damaged.chmod(0o755)
        damaged.write_text("damaged\n")
    depot = f"file://{tmp_path}/depot"
    outcome = run(first, "depot", "push", "--depot", depot, code=1)
    assert "1 of 3 packages are in" in outcome.out
    assert "cannot store local.lib@r1: it is damaged: lib: " in outcome.err
    assert "cannot store local.app@r1: it is damaged: app: " in outcome.err
    assert "envy cache verify --repair 'local.lib@r1'" in outcome.err
    run(second, "sync", "--depot", depot)
    assert scripts(second) == ["app", "lib"]


def test_a_file_in_the_place_of_a_folder(machines, server):
    """What is in the way in the cache is an error of the cache, which says where; no lock stays."""
    first, second = machines
    words = ("--depot", server.url, "--depot-unsigned")
    run(first, "sync", *words, "--depot-write")
    for entry in (first.cache / "assets").glob("*/*"):
        beside = second.cache / entry.relative_to(first.cache)
        beside.mkdir(parents=True)
        (beside / "fetch").write_text("a file")
    outcome = run(second, "sync", *words, code=1)
    assert "Traceback" not in outcome.err
    assert re.search(r"error: cannot take an entry: \S+/fetch: File exists", outcome.err)
    assert second.held_locks() == []


def test_a_server_with_signed_packages(machines, server, tmp_path):
    """Of a server only what a key of the project has signed is taken; others do no harm there."""
    first, second = machines
    secret, public = new_key(tmp_path)
    other_secret, other = new_key(tmp_path)
    packages = 'packages = { "local.app@r1" }\n'
    keys = f'{packages}depot_keys = {{ "{public}" }}'
    depot = ("--depot", server.url)
    # A project without keys, and one with another key, store the same packages first.
    unsigned = ("--depot-unsigned", "--depot-write")
    useless = run(first, "sync", *depot, *unsigned, env={"ENVY_DEPOT_KEY": str(secret)}, code=2)
    assert "names no depot_keys" in useless.err
    assert public in useless.err
    run(first, "sync", *depot, *unsigned)
    first.manifest(f'{packages}depot_keys = {{ "{other}" }}')
    run(first, "depot", "push", *depot, env={"ENVY_DEPOT_KEY": str(other_secret)})
    first.manifest(keys)
    refused = run(first, "sync", *depot, "--depot-write", code=2)
    assert "ENVY_DEPOT_KEY is not set" in refused.err
    foreign = {"ENVY_DEPOT_KEY": str(other_secret)}
    refused = run(first, "sync", *depot, "--depot-write", env=foreign, code=2)
    assert f"the key {other_secret} is not one of this project" in refused.err
    assert other in refused.err
    scripts(first)
    second.manifest(keys)
    missed = run(second, "sync", *depot)
    assert scripts(second) == ["app", "lib", "tool"]
    assert "warning" not in missed.err
    [event] = missed.named("entry_not_taken", recipe="local.app@r1")
    assert event["reason"] == "it does not have it"
    shutil.rmtree(second.cache)
    run(first, "depot", "push", *depot, env={"ENVY_DEPOT_KEY": str(secret)})
    assert len(server.objects) == 9
    assert "2 taken" in run(second, "sync", *depot).err
    # The new key of a rotation comes first; what the old one has signed is still taken.
    second.manifest(f'{packages}depot_keys = {{ "{new_key(tmp_path)[1]}", "{public}" }}')
    shutil.rmtree(second.cache)
    assert "2 taken" in run(second, "sync", *depot).err
    assert scripts(second) == []
    # What was taken is not signed anew for a project that does not believe the old key.
    second.manifest(f'{packages}depot_keys = {{ "{other}" }}')
    server.objects = {path: body for path, body in server.objects.items() if "unsigned" in path}
    laundered = run(second, "depot", "push", *depot, env=foreign, code=1)
    assert f"was taken from {server.url}, where no key of this project has signed it" in (
        laundered.err
    )
    # An unsigned package under a signed name, then a signed index with other files behind it.
    second.manifest(keys)
    number = base64.b64decode(public)[2:10][::-1].hex().upper()
    server.objects = {
        path.replace("unsigned", number): body for path, body in server.objects.items()
    }
    shutil.rmtree(second.cache)
    assert "is not signed" in run(second, "sync", *depot).err
    stuck = run(first, "depot", "push", *depot, env={"ENVY_DEPOT_KEY": str(secret)}, code=1)
    assert "remove it from the depot" in stuck.err
    shutil.rmtree(second.cache)
    server.objects.clear()
    run(first, "depot", "push", *depot, env={"ENVY_DEPOT_KEY": str(secret)})
    for path, body in server.objects.items():
        server.objects[path] = body[: len(body) // 2]
    scripts(second)
    damaged = run(second, "sync", *depot)
    assert scripts(second) == ["app", "lib", "tool"]
    assert "cannot be used" in damaged.err


def test_a_server_whose_packages_nobody_signed(machines, server):
    """Without keys, a server is believed only on demand, and what it stores is not replaced."""
    first, second = machines
    depot = ("--depot", server.url)
    refused = run(first, "sync", *depot, code=2)
    assert "is a server, and no key says whose packages to believe" in refused.err
    assert "--depot-unsigned" in refused.err
    run(first, "sync", *depot, "--depot-unsigned", "--depot-write")
    assert len(server.objects) == 3
    server.requests.clear()
    run(first, "depot", "push", *depot, "--depot-unsigned")
    assert "PUT" not in {method for method, _, _ in server.requests}
    ranges = [headers.get("range") for method, _, headers in server.requests if method == "GET"]
    assert ranges == ["bytes=0-262143"] * 3  # the beginning is compared, and not all downloaded
    scripts(first)
    assert "2 taken" in run(second, "sync", *depot, "--depot-unsigned").err
    assert scripts(second) == []
    unlisted = run(second, "depot", "verify", *depot, "--depot-unsigned", code=2)
    assert "cannot be listed over HTTP" in unlisted.err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>log in</html>"), "cannot be used"),
        ((500, b"oops"), "could not be served (HTTP 500)"),
        ((401, b""), "requires credentials (HTTP 401)"),
        ((403, b""), "what it refuses counts as missing"),
        ("break", "the connection broke"),
        ((302, b""), "HTTP 302"),
    ],
    ids=["html", "500", "401", "403", "break", "302"],
)
def test_a_server_that_is_no_depot(machines, server, answer, said):
    """A server that misbehaves is one warning, and everything is built here."""
    first, _ = machines
    server.answers["GET"] = answer
    outcome = run(first, "sync", "--depot", server.url, "--depot-unsigned")
    assert scripts(first) == ["app", "lib", "tool"]
    warnings = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    assert said in outcome.err
    assert len(warnings) <= 3
    reasons = {event["reason"] for event in outcome.named("cache_miss")}
    assert reasons == {"it has not been built yet"}  # asking is no attempt
    if answer != (200, b"<html>log in</html>"):
        assert len(warnings) == 1
    assert first.held_locks() == []


def test_a_server_that_stalls_within_an_answer(machines):
    """Each object is asked for twice at most, and all together within some time."""
    first, _ = machines
    asked = []

    def answer(listening):
        with contextlib.suppress(OSError), contextlib.ExitStack() as kept:
            while True:
                connection = kept.enter_context(listening.accept()[0])
                asked.append(connection.recv(1000).split()[1])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environment = {"ENVY_IDLE_TIMEOUT": "0.5"}
        outcome = run(first, "sync", "--depot", url, "--depot-unsigned", env=environment)
    assert scripts(first) == ["app", "lib", "tool"]
    assert outcome.err.count("warning: ") == 1
    assert max(asked.count(path) for path in asked) <= 2


def test_nobody_answers(machines):
    """A port where nothing listens is one warning."""
    first, _ = machines
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcome = run(first, "sync", "--depot", url, "--depot-unsigned", "--depot-write")
    assert scripts(first) == ["app", "lib", "tool"]
    warnings = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    [reading] = [line for line in warnings if "the depot is not used in this run" in line]
    assert "could not be reached" in reading
    assert warnings == [reading]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "requires credentials (HTTP 401)"),
        (403, "does not allow this user to write"),
        (405, "takes no objects"),
        (507, "is full"),
        (418, "refused storing"),
    ],
)
def test_a_server_that_takes_nothing(machines, server, status, said):
    """A sync that cannot store succeeds with one warning; a push fails."""
    first, _ = machines
    server.answers["PUT"] = (status, b"")
    words = ("--depot", server.url, "--depot-unsigned")
    outcome = run(first, "sync", *words, "--depot-write")
    assert outcome.err.count("not stored: ") == 1
    assert said in outcome.err
    pushed = run(first, "depot", "push", *words, code=1)
    assert "0 of 3 packages are in" in pushed.out
    assert server.objects == {}


def test_another_entry_under_a_name(machines, tmp_path):
    """The right name with another package inside is not taken, and `verify` names it."""
    first, second = machines
    depot = f"file://{tmp_path}/depot"
    run(first, "sync", "--depot", depot, "--depot-write")
    scripts(first)
    by_name = {}
    for path in (tmp_path / "depot").rglob("*.tar.zst"):
        names = [member.name for member, _ in exported_members(path)]
        by_name[next(re.match(r"local\.(\w+)", name)[1] for name in names if "/" in name)] = path
    shutil.copy(by_name["tool"], by_name["app"])
    outcome = run(second, "sync", "--depot", depot)
    assert scripts(second) == ["app"]  # its tool was taken
    assert re.search(r"has local\.tool@r1/\S+ with the key \S+, and not local\.app@r1", outcome.err)
    [row] = document(second, "depot_verify", "verify", depot, code=1)["depots"]
    assert (row["objects"], len(row["damaged"]), row["unreadable"]) == (3, 1, [])
    listed = run(second, "depot", "verify", "--depot", depot, code=1).out
    assert f"{by_name['app'].name}: it has v2/unsigned/" in listed
    assert "verified 3 objects" in listed
    assert "1 damaged" in listed


def test_two_writers_with_other_results(machines, tmp_path):
    """The first object stays; that the second machine built something else is reported."""
    first, second = machines
    for project in machines:
        project.packages("local.odd@r1")
        project.recipe(
            "local.odd@r1", 'build = [[date +%N > "$ENVY_INSTALL_DIR/time"; echo > same]]'
        )
    depot = f"file://{tmp_path}/depot"
    run(first, "sync", "--depot", depot, "--depot-write")
    run(second, "sync")
    [stored] = (tmp_path / "depot").rglob("*.tar.zst")
    before = stored.read_bytes()
    outcome = run(second, "depot", "push", "--depot", depot, code=1)
    assert "has another payload for local.odd@r1/" in outcome.err
    assert ": time differ" in outcome.err
    assert "not reproducible" in outcome.err
    assert stored.read_bytes() == before


def test_ten_cold_machines(machines, tmp_path):
    """Ten at once on one depot all succeed, and a second round runs no script."""
    first, _ = machines
    depot = f"file://{tmp_path}/depot"
    for round_ in range(2):
        running = [
            subprocess.Popen(
                [envy_command(), "sync", "--depot", depot, "--depot-write"],
                cwd=first.root,
                env=first.environment(
                    {
                        "RAN": str(first.ran),
                        "ENVY_CACHE_ROOT": str(tmp_path / f"round-{round_}-{number}"),
                    }
                ),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(10)
        ]
        for process in running:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            assert "warning" not in err
        assert bool(scripts(first)) == (round_ == 0)


def test_what_another_process_takes_is_waited_for(machines, tmp_path):
    """While one process takes a package, another neither takes nor builds its build tools."""
    first, second = machines
    words = ("sync", "--depot", f"file://{tmp_path}/depot")
    run(first, *words, "--depot-write")
    scripts(first)
    [entry] = first.cache.glob("assets/local.app@r1/*")
    layout = CacheLayout(second.cache)
    lock = FileLock(layout.lock_of(layout.entry_called(f"local.app@r1/{entry.name}")), takes=True)
    assert lock.try_acquire()
    waiting = second.popen("--trace=stderr", *words, env={"RAN": str(second.ran)})
    try:
        seen = []
        for line in waiting.stderr:
            seen.append(line.decode())
            if "lock_blocked" in seen[-1]:
                lock.release()
    finally:
        lock.release()
    assert waiting.wait(60) == 0, seen
    assert any("lock_blocked" in line for line in seen), seen
    assert scripts(first) == []
    assert second.markers() == ["local.app@r1", "local.lib@r1"]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ('depot = "ftp://x/y"', "`depot` has ftp://x/y, with the scheme ftp"),
        ('depot = "depot"', "`depot` has depot, with no scheme"),
        ('depot = "file://relative"', "not the absolute path of a folder"),
        ('depot = "https://h/d?x=1"', "cannot have more parts appended"),
        ("depot = 5", "`depot` must be a URL, or a table with `url`"),
        ('depot = { { url = "file:///d", auth = { env = "T" } } }', "a folder takes neither"),
        ('depot_keys = { "x" }', "is not a public key of minisign"),
        ("depot_keys = {}", "`depot_keys` is empty"),
    ],
)
def test_bad_declarations(machines, field, said):
    """A depot that is not valid is an error with its line, before anything is fetched."""
    first, _ = machines
    first.manifest(f'packages = {{ "local.app@r1" }}\n{field}\n')
    outcome = run(first, "sync", code=1)
    assert said in outcome.err
    assert "envy.lua:2" in outcome.err


def test_options_and_variables(machines, tmp_path):
    """Bad depots of options and keys of the variable are usage errors."""
    first, _ = machines
    assert (
        "--depot has ssh://h, with the scheme ssh"
        in run(first, "sync", "--depot", "ssh://h", code=2).err
    )
    assert (
        "ENVY_DEPOT has x, with no scheme"
        in run(first, "sync", env={"ENVY_DEPOT": "x"}, code=2).err
    )
    assert "no depot is named" in run(first, "sync", "--depot-write", code=2).err
    key = tmp_path / "key"
    writing = ("sync", "--depot", f"file://{tmp_path}/d", "--depot-write")
    missing = run(first, *writing, env={"ENVY_DEPOT_KEY": str(key)}, code=2)
    assert f"the secret key {key} cannot be read" in missing.err
    key.write_text("nonsense")
    key.chmod(0o644)
    assert (
        "can be read by other users"
        in run(first, *writing, env={"ENVY_DEPOT_KEY": str(key)}, code=2).err
    )
    key.chmod(0o600)
    assert (
        "is not a secret key of minisign"
        in run(first, *writing, env={"ENVY_DEPOT_KEY": str(key)}, code=2).err
    )


def test_offline(machines, server, tmp_path):
    """Offline, folders are asked and servers are not."""
    first, second = machines
    words = ("--depot", server.url, "--depot", f"file://{tmp_path}/depot", "--depot-unsigned")
    run(first, "sync", "--depot", f"file://{tmp_path}/depot", "--depot-write")
    assert "2 taken" in run(second, "sync", "--offline", *words).err
    assert server.requests == []
    assert (
        "envy works offline"
        in run(
            first, "depot", "push", "--offline", "--depot", server.url, "--depot-unsigned", code=2
        ).err
    )


def test_a_bucket(machines, tmp_path):
    """A bucket is a depot: signed requests, a list of its objects, and no metadata service."""
    pytest.importorskip("obstore", reason="obstore, the extra s3, is missing")
    first, second = machines
    secret, public = new_key(tmp_path)
    for project in machines:
        project.manifest(
            f'packages = {{ "local.app@r1" }}\ndepot = "s3://tools/a/b/"\ndepot_keys = "{public}"'
        )
    with serving_objects() as store:
        store.put("/tools")
        env = {**store.variables, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "false"}
        anonymous = {"AWS_ENDPOINT_URL": store.url, "HOME": str(tmp_path)}
        run(first, "sync", env=env)
        assert scripts(first) == ["app", "lib", "tool"]
        run(first, "depot", "push", env={**env, "ENVY_DEPOT_KEY": str(secret)})
        again = run(first, "depot", "push", env={**env, "ENVY_DEPOT_KEY": str(secret)})
        assert {event["bytes"] for event in again.named("entry_stored")} == {0}
        assert "2 taken" in run(second, "sync", env=env).err
        assert scripts(second) == []
        third = ("--cache-root", str(tmp_path / "third"))
        refused = run(second, "depot", "pull", *third, env=anonymous, code=1)
        assert refused.err.count("requires credentials") == 1
        assert "counts as missing" in refused.err
        assert "verified 3 objects" in run(second, "depot", "verify", env=env).out
        assert (
            "removed 0 objects" in run(second, "depot", "prune", "--unused-for", "1h", env=env).out
        )
        ends = time.time() + 1  # the times of such a store are in whole seconds
        while time.time() < ends:
            time.sleep(0.1)
        pruned = run(second, "depot", "prune", "--unused-for", "0m", env=env)
        assert "removed 3 objects" in pruned.out
        assert "verified 0 objects" in run(second, "depot", "verify", env=env).out


def test_minisign_itself_accepts_the_signature(machines, tmp_path):
    """The program minisign verifies what envy signs, with a key that it made."""
    minisign = shutil.which("minisign")
    if minisign is None:
        pytest.skip("minisign is not installed")
    first, second = machines
    secret, public = tmp_path / "secret.key", tmp_path / "public.key"
    subprocess.run(
        [minisign, "-G", "-W", "-p", public, "-s", secret], check=True, capture_output=True
    )
    text = public.read_text().splitlines()[1]
    for project in machines:
        project.manifest(f'packages = {{ "local.app@r1" }}\ndepot_keys = {{ "{text}" }}')
    depot = f"file://{tmp_path}/depot"
    run(first, "sync", "--depot", depot, "--depot-write", env={"ENVY_DEPOT_KEY": str(secret)})
    path = next((tmp_path / "depot").rglob("*.tar.zst"))
    index, signature = [data for _, data in exported_members(path)[:2]]
    (tmp_path / "index").write_bytes(index)
    (tmp_path / "index.minisig").write_bytes(signature)
    words = [minisign, "-V", "-p", public, "-m", tmp_path / "index"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert "2 taken" in run(second, "sync", "--depot", depot).err


def test_without_depots_nothing_of_it_is_loaded(machines):
    """A project without depots imports nothing that shares packages."""
    first, _ = machines
    code = (
        "import sys\nsys.argv[1:] = ['sync']\nfrom envy.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "loaded = [name for name in sys.modules if name.startswith('envy.sharing')]\n"
        "loaded += [name for name in sys.modules if name == 'envy.engine.shared_entries']\n"
        "print('loaded', loaded)\n"
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
