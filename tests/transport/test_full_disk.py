"""A disk that is full in the middle of a download, at its end, and while content is decoded."""

import gzip
import hashlib
import random
import resource

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.transport import fetch_source
from envy.transport.context import CannotWrite

BODY = random.Random(4).randbytes(2_000_000)
DECODED = bytes(3_000_000)
ENCODED = Reply(gzip.compress(DECODED), headers={"Content-Encoding": "gzip"})
REPLIES = [Reply(BODY), Reply(BODY, ranges=True, headers={"ETag": '"1"'}), ENCODED]


@pytest.mark.parametrize("reply", REPLIES, ids=["plain", "continued", "encoded"])
@pytest.mark.parametrize("is_pinned", [False, True])
@pytest.mark.parametrize("room", [700_000, len(BODY) - 5])
def test_a_full_disk(http_server, tmp_path, recorder, reply, is_pinned, room):
    """The error says so, and no digest is blamed; with room, the same download succeeds."""
    http_server.routes["/a"] = reply
    kept = Downloads(str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    url, content = f"{http_server.url}/a", DECODED if reply is ENCODED else BODY
    digest = hashlib.sha256(content).hexdigest() if is_pinned else ""
    item = SourceItem(source=url, base_dir=tmp_path, sha256=digest)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, former[1]))
    try:
        with pytest.raises(CannotWrite, match=f"cannot write the content of {url} to ") as caught:
            fetch_source(item, tmp_path / "into", recorder.context(kept=kept))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert "free some space" in caught.value.hint
    assert list((tmp_path / "into").iterdir()) == []
    assert not (tmp_path / "cache" / "downloads" / "refused").exists()
    found = fetch_source(item, tmp_path / "into", recorder.context(kept=kept)).path
    assert found.read_bytes() == content
