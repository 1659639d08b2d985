"""Searching registries: bounded, with the configuration of the user's own pip and npm."""

import json

import pytest
from loopback.http_server import Reply

from envy.errors import EnvyError, FetchError
from envy.limits import adopt_limits
from envy.transport.registry_search import FoundPackage, find_python_package, search_npm

SEARCH = "/-/v1/search"


@pytest.fixture
def search(http_server, recorder, tmp_path):
    """Searches a registry whose answer is the given bytes."""

    def answer(body, *, status=200):
        http_server.routes[SEARCH] = lambda _: Reply(body, status=status)
        context = recorder.context({"npm_config_registry": f"{http_server.url}/"})
        return search_npm("a word", tmp_path, context)

    return answer


def test_the_search_of_npm_gives_rows(search, http_server):
    """Name, version and description are taken; the word is sent as it is, and a limit of rows."""
    rows = [
        {"package": {"name": f"p{i}", "version": "1.0.0", "description": "x" * 400}}
        for i in range(30)
    ]
    rows[0]["package"]["description"] = None
    found = search(json.dumps({"objects": rows}).encode())
    assert len(found) == 20
    assert found[0] == FoundPackage("p0", "1.0.0", "")
    assert len(found[1].description) == 300
    assert "text=a+word&size=20" in http_server.paths()[0]


HOSTILE = [b"", b"[]", b"{}", b'{"objects": 1}', b'{"objects": [1]}', b'{"objects": {"a": 1}}',
           b'{"objects": [{"package": {"name": "x"}}]}', b"[" * 100_000, b"<html>"]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_any_other_answer_of_npm_is_an_error(search, body):
    """An answer of another form is refused, and says whose it is."""
    with pytest.raises(FetchError, match=r"the answer of http://.* to a search cannot be used"):
        search(body)


def test_an_answer_is_bounded(search):
    """An answer with too many values names the limit."""
    adopt_limits({"registry-values": 10})
    try:
        with pytest.raises(FetchError, match="more than 10 values, the limit registry-values"):
            search(json.dumps({"objects": [1] * 20}).encode())
    finally:
        adopt_limits({})


def test_a_registry_without_search_says_so(search):
    """Mirrors often offer no search."""
    with pytest.raises(FetchError, match="offers no search"):
        search(b"", status=404)


def test_a_python_package_is_found_by_its_exact_name(package_index, recorder):
    """The newest finished version counts; a project with other files only is found, too."""
    for version in ("1.2", "1.10", "2.0rc1"):
        package_index.add("my-tool", f"my_tool-{version}-py3-none-any.whl", b"x")
    package_index.add("young", "young-0.1a1-py3-none-any.whl", b"x")
    context = recorder.context({"PIP_INDEX_URL": package_index.url})
    assert find_python_package("My.Tool", context) == FoundPackage("my-tool", "1.10")
    assert find_python_package("young", context) == FoundPackage("young", "0.1a1")
    with pytest.raises(EnvyError, match="has no package other"):
        find_python_package("other", context)
    with pytest.raises(EnvyError, match=r"'\.\./x' is not a valid name"):
        find_python_package("../x", context)
