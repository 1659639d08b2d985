"""Sources in an object store and in an OCI registry: real ones, started by the test."""

import hashlib
import os
import socket
import subprocess
import sys

import pytest
from archives import make_tar
from loopback.object_store import serving_objects
from loopback.oci_registry import push_blob, serving_registry

KEY = "dir/a b+c.txt"
DIGEST = hashlib.sha256(b"content").hexdigest()


@pytest.fixture(scope="module")
def object_store():
    pytest.importorskip("obstore", reason="obstore, the extra s3, is missing")
    with serving_objects() as store:
        store.put("/tools")
        store.put("/tools/dir/a%20b%2Bc.txt", b"content")
        yield store


@pytest.fixture
def metadata_service():
    """A socket in the place of the metadata service of a cloud machine, which never answers."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        yield service


def test_objects(project, object_store, metadata_service, tmp_path):
    """Objects are packages, locked, kept and verified; no metadata service is asked for keys."""
    # What the tools of AWS would ask for credentials, if there are no others.
    address = f"http://127.0.0.1:{metadata_service.getsockname()[1]}"
    traps = {
        "AWS_METADATA_ENDPOINT": address,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": address,
        "AWS_SESSION_TOKEN": "",
        "HOME": str(tmp_path),
    }
    secret = object_store.variables["AWS_SECRET_ACCESS_KEY"]
    anonymous = {**traps, "AWS_ENDPOINT_URL": object_store.url}
    env = {**traps, **object_store.variables}
    pinned = f'fetch = {{ source = "s3://tools/{KEY}", sha256 = "{DIGEST}" }}'

    run = project.sync_one(pinned, code=1, env=anonymous)
    assert f"s3://tools/{KEY} requires credentials: none are in the variables of AWS" in run.err
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in run.err
    run = project.sync_one(pinned, "--offline", code=1, env=env)
    assert "is needed, and envy works offline" in run.err
    wrong = pinned.replace(DIGEST, "0" * 64)
    run = project.sync_one(wrong, code=1, env=env)
    assert f"sha256 of s3://tools/{KEY} does not match the declared digest" in run.err
    assert project.markers() == []

    folder = project.make(pinned, env=env)
    assert (folder / "a b+c.txt").read_bytes() == b"content"
    project.sync_one(f"{pinned}\nwritable = true", "--offline", env=anonymous)

    plain = 'fetch = "s3://tools/plain.txt"'
    object_store.put("/tools/plain.txt", b"one")
    run = project.sync_one(plain, env=env)
    assert f'to pin it, add sha256 = "{hashlib.sha256(b"one").hexdigest()}"' in run.err
    project.envy("lock", env=env)
    object_store.put("/tools/plain.txt", b"two")
    project.envy("gc", "--all", "--yes", env=env, code=None)
    run = project.sync_one(f"{plain}\nwritable = true", env=env, code=1)
    assert "envy.lock has" in run.err
    fetched = project.envy("fetch", "s3://tools/plain.txt", "got.txt", env=env)
    assert (project.root / "got.txt").read_bytes() == b"two"

    metadata_service.setblocking(False)
    with pytest.raises(BlockingIOError):  # nobody has connected
        metadata_service.accept()
    assert not [path for path in project.cache.rglob("*") if _has(path, secret)]
    assert secret not in fetched.err + run.err + f"{run.events}"


def test_the_trap_works(metadata_service):
    """The library itself asks the metadata service, where it is not given any credentials."""
    program = (
        "import obstore, datetime; from obstore.store import S3Store\n"
        "obstore.sign(S3Store('bucket'), 'GET', 'key', datetime.timedelta(minutes=1))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    address = f"http://127.0.0.1:{metadata_service.getsockname()[1]}"
    words = [sys.executable, "-c", program]
    process = subprocess.Popen(words, env={**kept, "AWS_METADATA_ENDPOINT": address})
    try:
        metadata_service.settimeout(60)
        connection, _ = metadata_service.accept()
        connection.close()
    finally:
        process.kill()
        process.wait()


def test_recipes_of_a_store(project, object_store):
    """A recipe file may be an object, and is found again without its store."""
    object_store.put("/tools/acme.one.lua", b'identity = "acme.one@r1"\nfunction install(ctx) '
                     b'ctx.write("f", "1") end\n')  # fmt: skip
    project.manifest(
        'packages = { { recipe = "acme.one@r1", source = "s3://tools/acme.one.lua" } }'
    )
    run = project.envy("sync", env=object_store.variables)
    assert run.named("recipe_complete", recipe="acme.one@r1")
    project.envy("sync", "--offline", trace=False)


@pytest.mark.needs("docker-registry")
def test_blobs_of_a_registry(project, tmp_path):
    """A blob is a package, pinned by its address, in the lock, and found again offline."""
    with serving_registry(tmp_path / "registry") as host:
        source = push_blob(host, "acme/tool", make_tar({"bin/tool": "1"}))
        project.manifest('require_digest = true\npackages = { "local.one@r1" }')
        project.recipe("local.one@r1", f'fetch = "{source}"')
        run = project.envy("sync")
        assert (run.folder("local.one@r1") / "bin/tool").read_text() == "1"
        assert "has no digest" not in run.err
        project.envy("lock")
        assert f"{source} tool {source.rpartition('@')[2]}" in (
            " ".join((project.root / "envy.lock").read_text().split())
        )
        other = source[:-4] + "0000"
        project.recipe("local.one@r1", f'fetch = "{other}"')
        run = project.envy("sync", code=1)
        assert f"{other} does not exist: its registry has no such blob" in run.err
    project.recipe("local.one@r1", f'fetch = "{source}"\nwritable = true')
    project.envy("sync", "--offline", "--locked")


def _has(path, secret):
    return path.is_file() and secret.encode() in path.read_bytes()
