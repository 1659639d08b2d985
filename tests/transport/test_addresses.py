"""Documents from the network may name only addresses of the network."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.errors import FetchError
from envy.transport.addresses import check_named, joined, redacted, with_credentials_of

REMOTE = "https://host.invalid/simple/tool/"


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "FILE:///etc/passwd", "/etc/passwd", "ext::sh -c x", "ftp://h/"],
)
def test_remote_page_names_no_file(address):
    """A page from the network may not name a file, a program or another scheme."""
    with pytest.raises(FetchError, match="must begin with one of http:, https:"):
        check_named(address, by=REMOTE)


@pytest.mark.parametrize("address", ["file:///srv/a.whl", "http://host.invalid/a", REMOTE])
def test_local_page_names_files(address):
    """A page that was read from this machine may name files and addresses of the network."""
    check_named(address, by="file:///srv/simple/tool/index.html")


@pytest.mark.parametrize("address", [r"http://host.invalid\.other/a", r"http://a\@host.invalid/a"])
def test_hosts_that_programs_read_in_different_ways(address):
    """A backslash is a slash for some programs, and a part of the host for others."""
    with pytest.raises(FetchError, match="is not a valid address"):
        check_named(address, by="http://host.invalid/")


def test_credentials_named_by_a_server():
    """A page may not name credentials to send unencrypted."""
    with pytest.raises(FetchError, match="not encrypted"):
        check_named("http://me:pw@host.invalid/a", by=REMOTE)


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"is_pinned": True}, True),
        ({"is_pinned": False}, False),
        ({"is_pinned": True, "with_credentials": True}, False),
    ],
)
def test_out_of_encryption(settings, allowed):
    """https may lead to http only for content with a digest, and never with credentials."""
    if allowed:
        check_named("http://host.invalid/a", by=REMOTE, **settings)
    else:
        with pytest.raises(FetchError, match="not encrypted"):
            check_named("http://host.invalid/a", by=REMOTE, **settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/b", "https://me:pw@h/b"),
        ("https://H:443/b", "https://me:pw@H:443/b"),
        ("http://h/b", "http://h/b"),
        ("https://h:8443/b", "https://h:8443/b"),
        ("https://h.other/b", "https://h.other/b"),
        ("https://you@h/b", "https://you@h/b"),
    ],
)
def test_credentials_belong_to_an_origin(url, expected):
    """Credentials are sent only to addresses with the same scheme, host and port."""
    assert with_credentials_of("https://me:pw@h/a", url) == expected


@given(st.text("abfilehtps:/@[]%.?#\\ \n\x00é0123456789-", max_size=40))
def test_any_text_is_judged(address):
    """Whatever an address contains, it is followed or refused with an error of envy."""
    redacted(address)
    with contextlib.suppress(FetchError):
        check_named(joined(REMOTE, address) or address, by=REMOTE)
