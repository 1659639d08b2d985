"""Blobs of OCI registries, which are pinned by their address."""

import base64
import hashlib
import json

import pytest
from loopback.http_server import LoopbackServer, Reply
from loopback.oci_registry import FakeOciRegistry

from envy.cache.downloads import Downloads
from envy.declarations.source_forms import oci_parts
from envy.declarations.sources import file_name, location, parse_source_items
from envy.errors import DeclarationError, DigestMismatch, FetchError
from envy.masking import forget_all, masked
from envy.transport import fetch_source
from envy.transport.context import NotFound, Offline
from envy.transport.oci import registry_address
from envy.transport.oci_token import registry_authorization

DIGEST = hashlib.sha256(b"content").hexdigest()
USER = "me:hunter22"
ENCODED = base64.b64encode(USER.encode()).decode()


@pytest.fixture
def registry(http_server):
    forget_all()
    yield FakeOciRegistry(http_server)
    forget_all()


@pytest.fixture
def fetch(tmp_path, recorder):
    def fetch(source, variables=None, *, context=None, **fields):
        [item] = parse_source_items({"source": source, **fields}, origin=None, base_dir=tmp_path)
        variables = {"HOME": str(tmp_path), **(variables or {})}
        context = recorder.context(variables, **(context or {}))
        return fetch_source(item, tmp_path / "into", context)

    return fetch


def test_a_token_for_everybody(registry, fetch, http_server, recorder, tmp_path):
    """Where a registry wants a token from everybody, it is requested once for a repository."""
    first, second = registry.add("acme/tool", b"content"), registry.add("acme/tool", b"other")
    memo = recorder.context().memo
    fetched = fetch(first, context={"memo": memo})
    assert (fetched.path.name, fetched.path.read_bytes(), fetched.verified) == (
        "tool",
        b"content",
        True,
    )
    assert fetched.uri == first
    fetch(second, context={"memo": memo}, dest="more")
    assert registry.asked == ["repository:acme/tool:pull"]
    registry.token = "t0ken-2"  # the first one has expired
    fetch(first, context={"memo": memo}, dest="again")
    assert len(registry.asked) == 2
    assert masked("t0ken-1") == "***"


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
@pytest.mark.parametrize("place", ["netrc", "docker", "file"])
def test_credentials_of_the_user(http_server, fetch, tmp_path, scheme, place):
    """They are those of .netrc, or of the file in which Docker keeps them."""
    registry = FakeOciRegistry(http_server, user=USER, scheme=scheme)
    source = registry.add("acme/tool", b"content")
    with pytest.raises(FetchError, match=f"requires credentials for {source}") as caught:
        fetch(source)
    assert "docker login" in caught.value.hint
    variables = {}
    if place == "netrc":
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter22\n")
    else:
        folder = tmp_path / (".docker" if place == "docker" else "elsewhere")
        folder.mkdir()
        auths = {"auths": {registry.host: {"auth": ENCODED}, "other": 1, "third": {"auth": 1}}}
        (folder / "config.json").write_text(json.dumps(auths))
        if place == "file":
            variables = {"REGISTRY_AUTH_FILE": str(folder / "config.json")}
    assert fetch(source, variables).verified
    assert not {"hunter22", ENCODED} & set(masked(f"hunter22 {ENCODED}").split())
    registry.user = "you:other"
    with pytest.raises(FetchError, match="does not accept the credentials for") as caught:
        fetch(source, variables, dest="again")
    assert "hunter22" not in str(caught.value)


def test_a_token_of_the_source(registry, fetch, http_server):
    """A token in a variable is sent at once, and no other is requested."""
    source = registry.add("acme/tool", b"content")
    auth = {"env": "TOKEN"}
    assert fetch(source, {"TOKEN": registry.token}, auth=auth).verified
    assert registry.asked == []
    with pytest.raises(FetchError, match="does not accept the credentials"):
        fetch(source, {"TOKEN": "wrong"}, auth=auth, dest="again")
    with pytest.raises(FetchError, match="the variable TOKEN, which its source names, is not set"):
        fetch(source, auth=auth, dest="again")


def test_storage_elsewhere(registry, fetch, http_server):
    """A registry may redirect to its storage, which gets no token."""
    with LoopbackServer() as storage:
        storage.routes["/blob"] = Reply(b"content")
        source = registry.add("acme/tool", b"content")
        moved = Reply(status=307, headers={"Location": f"{storage.url}/blob"})
        path = f"/v2/acme/tool/blobs/sha256:{DIGEST}"
        permitted = http_server.routes[path]
        http_server.routes[path] = lambda request: (
            moved if permitted(request).status == 200 else permitted(request)
        )
        assert fetch(source).verified
        assert "authorization" not in storage.requests[0].headers


def test_what_is_wrong(registry, fetch, http_server, tmp_path):
    """A digest of nothing, of a manifest, or of other content is an error that says so."""
    registry.add("acme/tool", b"content")
    with pytest.raises(NotFound, match="its registry has no such blob"):
        fetch(f"oci:{registry.host}/acme/tool@sha256:{'0' * 64}")
    notes = {"org.opencontainers.image.title": "tool\x1b.tar"}
    layers = [{"digest": f"sha256:{DIGEST}", "annotations": notes}, {"digest": 1}, 2]
    manifest = registry.add("acme/tool", json.dumps({"layers": layers}).encode(), kind="manifests")
    with pytest.raises(NotFound) as caught:
        fetch(manifest)
    assert (
        rf'is a manifest, and a source is a blob; it lists sha256:{DIGEST} ("tool\u001b.tar")'
        in (str(caught.value))
    )
    source = f"oci:{registry.host}/acme/tool@sha256:{DIGEST}"
    http_server.routes[f"/v2/acme/tool/blobs/sha256:{DIGEST}"] = Reply(b"lies")
    with pytest.raises(DigestMismatch):
        fetch(source)
    for body in (b"{", b"[]", b'{"token": "a\\nb"}', b'{"token": {}}'):
        registry.add("acme/tool", b"content")
        http_server.routes["/token"] = Reply(body)
        with pytest.raises(FetchError):
            fetch(source)
    assert list((tmp_path / "into").iterdir()) == []


def test_storage_that_asks_for_credentials(registry, fetch, http_server, tmp_path):
    """A challenge counts only if it is the registry's: its storage is not told who the user is."""
    registry.user = USER
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter22\n")
    source = registry.add("acme/tool", b"content")
    with LoopbackServer() as storage:
        challenge = {"WWW-Authenticate": f'Bearer realm="{storage.url}/token"'}
        storage.routes["/blob"] = Reply(status=401, headers=challenge)
        moved = Reply(status=307, headers={"Location": f"{storage.url}/blob"})
        http_server.routes[f"/v2/acme/tool/blobs/sha256:{DIGEST}"] = moved
        with pytest.raises(FetchError, match="requires credentials for"):
            fetch(source)
        assert storage.paths() == ["/blob"]
        assert "authorization" not in storage.requests[0].headers


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "http://localhost"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::1]", "http://[::1]"),
        ("host.test:5000", "https://host.test:5000"),
        ("localhost.test:5000", "https://localhost.test:5000"),
        ("127.0.0.1.test", "https://127.0.0.1.test"),
    ],
)
def test_registries_with_a_port(tmp_path, recorder, host, address):
    """The port is part of a registry's name; only one of this machine is asked without TLS."""
    _, repository, algorithm, digits = oci_parts(f"oci:{host}/a/b@sha256:{DIGEST}")
    assert registry_address(host, repository) == f"{address}/v2/a/b"
    auths = {"auths": {host: {"auth": ENCODED}, f"{host}0": {"auth": "b3RoZXI6eA=="}}}
    (tmp_path / "config.json").write_text(json.dumps(auths))
    context = recorder.context({"DOCKER_CONFIG": str(tmp_path)})
    header = registry_authorization("Basic", f"{address}/v2/a/b", "oci:", context)
    assert header == f"Basic {ENCODED}"
    assert (algorithm, digits) == ("sha256", DIGEST)


@pytest.mark.parametrize(
    "challenge",
    ["", "Bearer", "Negotiate x", 'Bearer realm="file:///etc/passwd"', 'Bearer realm="http://["',
     'Bearer realm="http://127.0.0.1:1/x"', 'bearer realm=x"'],
)  # fmt: skip
def test_hostile_challenges(registry, fetch, http_server, challenge):
    """A challenge that cannot be answered is an error; no file is read for it."""
    answer = Reply(status=401, headers={"WWW-Authenticate": challenge})
    http_server.routes[f"/v2/a/sha256/blobs/sha256:{DIGEST}"] = answer
    with pytest.raises(FetchError):
        fetch(f"oci:{registry.host}/a/sha256@sha256:{DIGEST}", context={"retries": 0})


def test_kept_and_offline(registry, fetch, http_server, tmp_path):
    """A blob that is kept needs no registry; another one is an error offline."""
    source = registry.add("acme/tool", b"content")
    (tmp_path / "cache").mkdir()
    kept = Downloads(str(tmp_path / "cache"))
    fetch(source, context={"kept": kept})
    http_server.requests.clear()
    fetch(source, context={"kept": kept, "offline": True}, dest="again")
    with pytest.raises(Offline, match="oci:"):
        fetch(source.replace("acme", "other")[:-1] + "0", context={"kept": kept, "offline": True})
    assert not http_server.requests


@pytest.mark.parametrize(
    "source",
    [
        "oci:host/repo",
        "oci:host/repo:tag",
        f"oci:repo@sha256:{DIGEST}",
        f"oci://host/repo@sha256:{DIGEST}",
        f"oci:host/../repo@sha256:{DIGEST}",
        f"oci:host/Repo@sha256:{DIGEST}",
        f"oci:host/repo@sha256:{DIGEST[:-1]}",
        f"oci:host/repo@sha512:{DIGEST}",
        f"oci:user@host/repo@sha256:{DIGEST}",
        f"oci:host/repo@sha256:{DIGEST}\n",
    ],
)
def test_not_a_blob(tmp_path, source):
    """A source must name host, repository and digest."""
    with pytest.raises(DeclarationError, match="is not of the form oci:HOST/REPOSITORY@sha256:"):
        parse_source_items(source, origin=None, base_dir=tmp_path)


def test_the_address_pins(tmp_path):
    """The digest of the address is that of the source; another one contradicts it."""
    source = f"oci:host.test:5000/a/b.c-d:v1@sha256:{DIGEST}"
    [item] = parse_source_items(source, origin=None, base_dir=tmp_path)
    assert (item.sha256, file_name(item), item.has_digest) == (DIGEST, "b.c-d", True)
    assert location(item) == f"{source} {DIGEST}"
    table = {"source": source, "sha256": "0" * 64}
    with pytest.raises(DeclarationError, match="`sha256` is another digest than that in oci:host"):
        parse_source_items(table, origin=None, base_dir=tmp_path)
    table = {"source": source, "signature": {"minisign": "x"}}
    with pytest.raises(DeclarationError):
        parse_source_items(table, origin=None, base_dir=tmp_path)
