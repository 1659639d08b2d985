"""A store for objects on loopback that speaks the protocol of S3: moto's, if it is installed."""

import contextlib
import http.client
import logging
from collections.abc import Iterator

import pytest


class ObjectStore:
    """A store with buckets; anonymous requests are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.url = f"http://{host}:{port}"
        self.variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        }

    def put(self, path: str, content: bytes = b"") -> None:
        """Create a bucket (`/BUCKET`), or an object in one (its path is percent-encoded)."""
        connection = http.client.HTTPConnection(*self._address)
        signed = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request"
        }
        connection.request("PUT", path, body=content, headers=signed)
        assert connection.getresponse().status == 200
        connection.close()


@contextlib.contextmanager
def serving_objects() -> Iterator[ObjectStore]:
    """Yield an empty store; the test is skipped if moto is missing."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is missing")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield ObjectStore(*server.get_host_and_port())
    finally:
        server.stop()
