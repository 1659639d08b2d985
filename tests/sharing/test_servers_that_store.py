"""How objects are stored on servers: WebDAV with its folders, and buckets in other regions."""

import pytest
from loopback.depot_server import DepotServer
from loopback.http_server import Reply

from envy.declarations.depots import Depot
from envy.errors import FetchError
from envy.sharing.http_shelf import HttpShelf

NAME = "v2/unsigned/linux-x86_64/" + "0" * 64 + ".tar.zst"


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "object"
    path.write_bytes(b"content")
    return path


def test_a_fresh_folder_of_webdav(content, recorder):
    """The folders of an object are made once; an object that is there stays."""
    with DepotServer() as server:
        server.folders = {"/"}
        shelf = HttpShelf(Depot(url=server.url))
        assert shelf.store(NAME, content, recorder.context())
        assert server.objects == {f"/depot/{NAME}": b"content"}
        made = [path for method, path, _ in server.requests if method == "MKCOL"]
        assert made == [
            "/depot/", "/depot/v2/", "/depot/v2/unsigned/", "/depot/v2/unsigned/linux-x86_64/",
        ]  # fmt: skip
        server.requests.clear()
        assert shelf.store(NAME.replace("0", "1"), content, recorder.context())
        assert not shelf.store(NAME, content, recorder.context())
        assert {method for method, _, _ in server.requests} == {"PUT"}


@pytest.mark.parametrize("status", [404, 409])
def test_a_server_that_makes_no_folders(content, recorder, status):
    """That is an error with the status, and never taken for an object that is there."""
    with DepotServer() as server:
        server.answers["PUT"] = (status, b"")
        shelf = HttpShelf(Depot(url=server.url))
        with pytest.raises(FetchError, match=f"refused storing .*HTTP {status}"):
            shelf.store(NAME, content, recorder.context())
        # Another writer was faster.
        server.objects[f"/depot/{NAME}"] = b"other"
        assert not shelf.store(NAME, content, recorder.context())


def test_a_bucket_in_another_region(content, http_server, recorder, tmp_path):
    """What is asked first, whatever it is, finds the region; then each request is signed for it."""
    pytest.importorskip("obstore", reason="obstore, the extra s3, is missing")
    from envy.sharing.s3_shelf import S3Shelf

    def answer(request):
        if "eu-west-3" in request.path:
            return Reply()
        return Reply(b"<Error><Code>X</Code><Region>eu-west-3</Region></Error>", status=400)

    http_server.routes[f"/bucket/{NAME}"] = answer
    variables = {
        "AWS_ENDPOINT_URL": http_server.url,
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HOME": str(tmp_path),
    }
    for first in ("PUT", "GET"):
        http_server.requests.clear()
        shelf = S3Shelf(Depot(url="s3://bucket"))
        context = recorder.context(variables, retries=0)
        if first == "GET":
            with shelf.beginning(NAME, 10, tmp_path / "into", context) as path:
                assert path.read_bytes() == b""
        assert shelf.store(NAME, content, context)
        methods = [request.method for request in http_server.requests]
        assert methods == (["PUT"] if first == "PUT" else []) + ["GET", "GET", "PUT"]
        assert shelf.store(NAME, content, context)
        assert ["eu-west-3" in one.path for one in http_server.requests[-2:]] == [True, True]
        assert len(http_server.requests) == len(methods) + 1
