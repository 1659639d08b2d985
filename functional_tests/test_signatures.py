"""Sources that must be signed or listed: `signature = { minisign = KEY }`, `sha256sums = URL`."""

import hashlib

from loopback.http_server import Reply

# A key and a signature of a file with the text "content", made by minisign 0.11.
KEY = "RWRZpcF42b/YKn0Se8WTHms1sI9RyClUzAzfjXMU1ne1i5itWYJfJlMg"
SIGNATURE = b"""untrusted comment: signature from minisign secret key
RURZpcF42b/YKlGFmGxN3B7v2PncdxRxkmV/x4S+BYRtk+OVzDmFnutOQnzInVXX8FaAucuBy2pXdqKWxcq6g+uNmKcglCdL3w4=
trusted comment: file:f
l41R6Q5wgom8zzf8pDohbviHVJ3IHT/TbyKaSmOn8WOvru5ikLOqwJvw0Puv/JotuxiKfQKgMs/2zkcsyZ6ICQ==
"""
DIGEST = hashlib.sha256(b"content").hexdigest()


def test_a_signed_download(project, http_server):
    """It is published only if the signature is right; the key is a part of the package's key."""
    url = f"{http_server.url}/f"
    http_server.routes["/f"] = Reply(b"content")
    source = f'source = "{url}", sha256 = "{DIGEST}", signature = {{ minisign = "{KEY}" }}'
    body = f"fetch = {{ {source} }}"
    run = project.sync_one(body, code=1)
    assert f"{url}.minisig does not exist (HTTP 404)" in run.err
    http_server.routes["/f.minisig"] = Reply(SIGNATURE.replace(b"file:f", b"file:g"))
    run = project.sync_one(body, code=1)
    assert f"the signature of {url} does not fit its content" in run.err
    assert project.markers() == []
    http_server.routes["/f.minisig"] = Reply(SIGNATURE)
    folder = project.make(body)
    assert (folder / "f").read_text() == "content"
    # Offline, a download that is kept needs no signature again: its digest is pinned.
    run = project.sync_one(f"{body}\nwritable = true", "--offline")
    assert run.named("recipe_complete")
    unsigned = project.make(f'fetch = {{ source = "{url}", sha256 = "{DIGEST}" }}')
    assert unsigned != folder
    run = project.sync_one('fetch = { source = "npm:a@1", signature = { minisign = "x" } }', code=1)
    assert "recipes/local.one@r1.lua:2" in run.err
    assert "`signature.minisign` is not a public key of minisign: x" in run.err


def test_a_listed_download(project, http_server):
    """What a checksum file lists is verified; envy.lock and its signature are compared as well."""
    url, sums = f"{http_server.url}/f", f"{http_server.url}/SUMS"
    http_server.routes["/f"] = Reply(b"content")
    body = f'fetch = {{ source = "{url}", sha256sums = "{sums}" }}'
    assert f"{sums} does not exist (HTTP 404)" in project.sync_one(body, code=1).err
    assert "/f" not in [request.path for request in http_server.requests]
    http_server.routes["/SUMS"] = Reply(f"{'0' * 64}  f\n".encode())
    run = project.sync_one(body, code=1)
    assert f"sha256 of {url} is not what {sums} says" in run.err
    assert f"expected {'0' * 64}" in run.err
    http_server.routes["/SUMS"] = Reply(b"<html>")
    assert f"{sums} is not a checksum file" in project.sync_one(body, code=1).err
    http_server.routes["/SUMS"] = Reply(b"x" * (2 << 20))
    run = project.sync_one(body, code=1, env={"ENVY_LIMITS": "checksum-file=1M"})
    assert f"{sums} is larger than 1 MiB, the limit checksum-file" in run.err
    assert project.markers() == []
    listed = Reply(f"{DIGEST}  f\n".encode())
    http_server.routes["/SUMS"] = listed
    folder = project.make(body)
    assert (folder / "f").read_text() == "content"
    assert sums in (folder.parent / "envy-ingredients.json").read_text()
    project.envy("lock")
    http_server.routes["/SUMS"] = Reply(f"{'1' * 64}  f\n".encode())
    run = project.sync_one(f"{body}\nwritable = true", code=1)
    assert f"{sums} lists another sha256 of f than envy.lock has" in run.err
    assert f"envy.lock: {DIGEST}" in run.err
    assert project.sync_one(f"{body}\nwritable = true", "--offline").named("recipe_complete")
    (project.root / "envy.lock").unlink()
    http_server.routes |= {"/SUMS": listed, "/SUMS.minisig": Reply(SIGNATURE)}
    signed = body.replace(" }", f', signature = {{ minisign = "{KEY}" }} }}')
    run = project.sync_one(signed, code=1)
    assert f"the signature of {sums} does not fit its content" in run.err
