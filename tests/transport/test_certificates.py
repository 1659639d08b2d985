"""Which authorities are trusted where no variable names any."""

import ssl
import sys

import pytest
import urllib3

from envy.transport.certificates import (
    first_file,
    has_authorities,
    tls_context,
    tls_reason,
    trusted_places,
)


def test_other_systems_are_asked(https_server):
    """Where the system has a store of its own, it is asked; what it refuses is not trusted."""
    truststore = pytest.importorskip("truststore")
    server, certificates = https_server
    context = tls_context({}, system="darwin")
    assert isinstance(context, truststore.SSLContext)
    assert trusted_places(system="darwin") == ["the trust store of darwin"]
    with (
        urllib3.PoolManager(ssl_context=context) as pool,
        pytest.raises(urllib3.exceptions.HTTPError) as caught,
    ):
        pool.request("GET", f"{server.url}/a", retries=False)
    what, hint = tls_reason("localhost", caught.value)
    assert what.startswith("the certificate of localhost is not trusted")
    assert "SSL_CERT_FILE" in hint
    named = tls_context({"CURL_CA_BUNDLE": str(certificates)}, system="darwin")
    assert type(named) is ssl.SSLContext
    with urllib3.PoolManager(ssl_context=named) as pool:
        assert pool.request("GET", f"{server.url}/a").status == 404


def test_the_words_of_the_system():
    """An error of verification is recognised by its kind, whatever the system says about it."""
    error = urllib3.exceptions.SSLError(
        ssl.SSLCertVerificationError("“x” is not standards compliant")
    )
    assert tls_reason("h", error)[0] == "the certificate of h is not trusted"
    assert "could not be established" in tls_reason("h", ssl.SSLError("handshake"))[0]


def test_places_on_linux(tmp_path):
    """A Python whose own places have no authorities uses those of the system."""
    file, folder = tmp_path / "all.pem", tmp_path / "certs"
    folder.mkdir()
    (folder / "README").touch()
    nothing = str(tmp_path / "gone")
    assert not has_authorities(None, None)
    assert not has_authorities(nothing, nothing)
    assert not has_authorities(None, str(folder))
    (folder / "0a1b2c3d.0").touch()
    assert has_authorities(None, str(folder))
    file.touch()
    assert has_authorities(str(file), None)
    assert first_file((nothing, str(folder), str(file))) == str(file)
    assert first_file((nothing,)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the places of Linux")
def test_nothing_more_is_loaded_on_linux():
    """On Linux, OpenSSL reads the authorities itself."""
    assert type(tls_context({})) is ssl.SSLContext
