"""Sources in an object store: moto's, started by the test."""

import hashlib

import pytest
from loopback.object_store import serving_objects

KEY = "dir/a b+c.txt"
DIGEST = hashlib.sha256(b"content").hexdigest()


@pytest.fixture(scope="module")
def object_store():
    pytest.importorskip("obstore", reason="obstore, the extra s3, is missing")
    with serving_objects() as store:
        store.put("/tools")
        store.put("/tools/dir/a%20b%2Bc.txt", b"content")
        yield store


def test_objects(project, object_store, http_server, tmp_path):
    """Objects are packages, locked, kept and verified; no metadata service is asked for keys."""
    # What the tools of AWS would ask for credentials, if there are no others.
    traps = {
        "AWS_METADATA_ENDPOINT": http_server.url,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": http_server.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{http_server.url}/container",
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

    assert http_server.requests == []
    assert not [path for path in project.cache.rglob("*") if _has(path, secret)]
    assert secret not in fetched.err + run.err + f"{run.events}"


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


def _has(path, secret):
    return path.is_file() and secret.encode() in path.read_bytes()
