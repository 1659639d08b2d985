"""Downloads that are interrupted, or that one server cannot give, end well all the same."""

import hashlib
import random
import time

import pytest
from loopback.http_server import Reply

SIZE, SENT = 3_000_000, 2_000_000
ENOUGH = SENT - (1 << 16)  # the last bytes may still be in the buffer of the process
BODY = random.Random(3).randbytes(SIZE)
DIGEST = hashlib.sha256(BODY).hexdigest()
FIELDS = {"ranges": True, "headers": {"ETag": '"1"'}}


def partial_size(project):
    files = project.cache.glob("downloads/partial/*")
    return sum(path.stat().st_size for path in files if ".json" not in path.name)


@pytest.mark.parametrize("digest", [f', sha256 = "{DIGEST}"', ""], ids=["pinned", "unpinned"])
def test_killed_in_the_middle_of_a_download(project, http_server, digest):
    """After kill -9, the next process transfers only the rest, or what it knows to be sound."""
    http_server.routes["/big"] = Reply(BODY, **FIELDS, stalls_after=SENT)
    project.recipe("local.one@r1", f'fetch = {{ source = "{http_server.url}/big"{digest} }}')
    project.packages("local.one@r1")
    killed = project.popen("sync")
    ends = time.monotonic() + 300
    while partial_size(project) < ENOUGH and time.monotonic() < ends:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    kept = partial_size(project)
    assert ENOUGH <= kept <= SENT
    http_server.routes["/big"] = Reply(BODY, **FIELDS)
    http_server.sent.clear()
    folder = project.envy("sync").folder("local.one@r1")
    assert (folder / "big").read_bytes() == BODY
    assert http_server.sent == {"/big": SIZE - kept if digest else SIZE}
    assert list(project.cache.glob("downloads/partial/*")) == []


def test_mirrors_of_a_project(project, http_server):
    """Mirrors that are down, lie or have nothing are passed over, and are part of no key."""
    http_server.routes |= {
        "/lying/x": Reply(b"lies"),
        "/x": Reply(status=503),
        "/good/x": Reply(b"content"),
    }
    source = (
        f'{{ source = "{http_server.url}/x", sha256 = "{hashlib.sha256(b"content").hexdigest()}", '
        f'mirrors = {{ "{http_server.url}/good/x" }} }}'
    )
    project.recipe("local.one@r1", f"fetch = {source}")
    project.manifest('packages = { "local.one@r1" }')
    failed = project.envy("sync", env={"ENVY_MIRRORS": "nowhere"}, code=1)
    assert "ENVY_MIRRORS: nowhere is not of the form BEGINNING=ADDRESS" in failed.err
    project.manifest(
        'packages = { "local.one@r1" }\n'
        f'mirrors = {{ ["{http_server.url}/"] = "{http_server.url}/missing/" }}'
    )
    lying = {"ENVY_MIRRORS": f"{http_server.url}/={http_server.url}/lying"}
    run = project.envy("sync", env=lying)
    assert (run.folder("local.one@r1") / "x").read_text() == "content"
    paths = ["/lying/x", "/missing/x", "/x", "/lying/good/x", "/missing/good/x", "/good/x"]
    assert http_server.paths() == paths
    assert "sha256 of" in run.err
    assert run.err.count("trying the next of 6 addresses") == 5
    project.manifest('packages = { "local.one@r1" }')
    assert project.envy("sync").named("recipe_complete", outcome="cached")

    project.manifest('packages = { "local.one@r1" }\nmirrors = { ["x"] = "y" }')
    wrong = project.envy("sync", code=1)
    assert "envy.lua:2" in wrong.err
    assert '`mirrors` names "x", which is not of the form https://HOST/PATH' in wrong.err
