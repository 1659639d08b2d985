"""Downloads that are interrupted, or that one server cannot give, end well all the same."""

import hashlib
import random
import time

import pytest
from loopback.http_server import Reply

SIZE, ENOUGH = 3_000_000, 2_000_000
BODY = random.Random(3).randbytes(SIZE)
DIGEST = hashlib.sha256(BODY).hexdigest()
FIELDS = {"ranges": True, "headers": {"ETag": '"1"'}}


def partial_size(project):
    files = project.cache.glob("downloads/partial/*")
    return sum(path.stat().st_size for path in files if ".json" not in path.name)


@pytest.mark.parametrize("digest", [f', sha256 = "{DIGEST}"', ""], ids=["pinned", "unpinned"])
def test_killed_in_the_middle_of_a_download(project, http_server, digest):
    """After kill -9, the next process transfers only the rest, or what it knows to be sound."""
    http_server.routes["/big"] = Reply(BODY, **FIELDS, stalls_after=ENOUGH)
    project.recipe("local.one@r1", f'fetch = {{ source = "{http_server.url}/big"{digest} }}')
    project.packages("local.one@r1")
    killed = project.popen("sync")
    ends = time.monotonic() + 60
    while partial_size(project) < ENOUGH and time.monotonic() < ends:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert partial_size(project) == ENOUGH
    http_server.routes["/big"] = Reply(BODY, **FIELDS)
    http_server.sent.clear()
    folder = project.envy("sync").folder("local.one@r1")
    assert (folder / "big").read_bytes() == BODY
    assert http_server.sent == {"/big": SIZE - ENOUGH if digest else SIZE}
    assert list(project.cache.glob("downloads/partial/*")) == []
