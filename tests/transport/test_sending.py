"""Requests that change something on a server."""

import pytest
from loopback.http_server import Reply

from envy.errors import FetchError
from envy.transport.sending import send


def test_an_answer_is_not_read_without_end(http_server, recorder):
    """Only its status counts: a long answer is left, and so is one that breaks off."""
    http_server.routes["/x"] = Reply(b"x" * 200_000, status=403, stalls_after=100_000)
    assert send("GET", f"{http_server.url}/x", recorder.context()) == 403
    http_server.routes["/x"] = Reply(b"x" * 50, status=201, breaks_after=20)
    assert send("GET", f"{http_server.url}/x", recorder.context()) == 201
    http_server.routes["/x"] = [Reply(status=503), Reply(b"x" * 50)]
    assert send("GET", f"{http_server.url}/x", recorder.context()) == 200
    assert len(http_server.requests) == 4


@pytest.mark.parametrize("value", ["s3cr3t\n", "s3crę"])
def test_a_header_that_cannot_be_sent(http_server, recorder, value):
    """Its words are in no error, nor in a cause of one."""
    headers = {"x-amz-security-token": value}
    with pytest.raises(FetchError, match="cannot be requested") as caught:
        send("PUT", f"{http_server.url}/x", recorder.context(), headers=headers)
    assert caught.value.__cause__ is None
    assert not http_server.requests
