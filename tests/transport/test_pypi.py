"""Python release files: from the index that pip uses, chosen for this machine, verified."""

import hashlib

import pytest
from loopback.http_server import LoopbackServer, Reply
from loopback.package_index import FakePackageIndex, make_sdist, make_wheel
from packaging.tags import platform_tags

from envy.declarations.sources import SourceItem
from envy.errors import FetchError, ScriptFailed
from envy.transport import fetch_source
from envy.transport.pip_configuration import parse_pip_settings, pip_configuration

HERE = next(iter(platform_tags()))
OLDEST_HERE = list(platform_tags())[-1]
WHEEL = make_wheel({"tool-1.0.data/scripts/tool": "x"})
PIP_HELP = """
Package Index Options:
  -i, --index-url <url>       Base URL of the Python Package Index (default
                              {index}). This should point to …
  --extra-index-url <url>     Extra URLs
"""


@pytest.fixture
def fetch(package_index, recorder, tmp_path):
    def fetch(source, environment=None, **fields):
        environment = {"PIP_INDEX_URL": package_index.url} if environment is None else environment
        item = SourceItem(source=source, base_dir=tmp_path, **fields)
        return fetch_source(item, tmp_path / "into", recorder.context(environment))

    return fetch


@pytest.mark.parametrize("form", ["json", "html"])
def test_wheel_is_fetched_and_verified(package_index, fetch, form):
    """A release file is found by its relative URL in the index's page, in either form."""
    package_index.form = form
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    fetched = fetch("pypi:Tool==1.0")
    assert fetched.path.name == "tool-1.0-py3-none-any.whl"
    assert fetched.path.read_bytes() == WHEEL
    assert fetched.verified


def test_progress_is_that_of_the_source(package_index, fetch, recorder):
    """Progress names the source as written, not the URL of the index's file."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    fetch("pypi:tool==1.0")
    assert {uri for uri, _, _ in recorder.progress} == {"pypi:tool==1.0"}


def test_file_index(package_index, fetch, tmp_path):
    """An index may be a folder, named by a file: URL."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    page = tmp_path / "index" / "simple" / "tool" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(package_index.html("tool"))
    files = tmp_path / "index" / "files"
    files.mkdir()
    (files / "tool-1.0-py3-none-any.whl").write_bytes(WHEEL)
    index = (tmp_path / "index" / "simple").as_uri()
    assert fetch("pypi:tool==1.0", {"PIP_INDEX_URL": index}).verified


@pytest.mark.parametrize("form", ["json", "html"])
def test_remote_index_names_no_local_file(package_index, fetch, tmp_path, form):
    """A page that was served over HTTP may not name a file of this machine."""
    secret = tmp_path / "tool-1.0-py3-none-any.whl"
    secret.write_bytes(WHEEL)
    package_index.form = form
    package_index.add("tool", secret.name, WHEEL, url=secret.as_uri())
    with pytest.raises(FetchError, match=r"names file:///.* must begin with one of http:, https:"):
        fetch("pypi:tool==1.0")
    assert not list((tmp_path / "into").iterdir())


def test_base_of_a_remote_page_is_no_local_folder(http_server, fetch, tmp_path):
    """A `<base>` of a remote page does not lead to files of this machine."""
    (tmp_path / "tool-1.0-py3-none-any.whl").write_bytes(WHEEL)
    page = f'<base href="{tmp_path.as_uri()}/"><a href="tool-1.0-py3-none-any.whl">tool</a>'
    http_server.routes["/i/tool/"] = Reply(page.encode(), headers={"Content-Type": "text/html"})
    with pytest.raises(FetchError, match="names file:///"):
        fetch("pypi:tool==1.0", {"PIP_INDEX_URL": f"{http_server.url}/i"})


def test_invalid_address_on_a_page_is_skipped(package_index, fetch):
    """A file of an index whose address cannot be parsed does not exist for envy."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    package_index.add("tool", "tool-1.0-2-py3-none-any.whl", WHEEL, url="http://[x/a.whl")
    assert fetch("pypi:tool==1.0").path.name == "tool-1.0-py3-none-any.whl"


@pytest.mark.parametrize("form", ["json", "html"])
def test_wrong_digest_of_the_index(package_index, fetch, form):
    """Content with another digest than the index lists is an error that names the index."""
    package_index.form = form
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL, digest="0" * 64)
    with pytest.raises(FetchError, match="not what the package index says"):
        fetch("pypi:tool==1.0")


def test_digest_of_the_recipe(package_index, fetch):
    """The recipe's own digest is compared too."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL, digest="")
    with pytest.raises(FetchError, match="does not match the declared digest"):
        fetch("pypi:tool==1.0", sha256="0" * 64)
    assert fetch("pypi:tool==1.0", sha256=hashlib.sha256(WHEEL).hexdigest()).verified


CHOICES = {
    "platform before any": (
        ["tool-1.0-py3-none-any.whl", f"tool-1.0-py3-none-{HERE}.whl"],
        f"tool-1.0-py3-none-{HERE}.whl",
    ),
    "newest platform first": (
        [f"tool-1.0-py3-none-{OLDEST_HERE}.whl", f"tool-1.0-py3-none-{HERE}.whl"],
        f"tool-1.0-py3-none-{HERE}.whl",
    ),
    "no certain python": (
        [f"tool-1.0-cp311-cp311-{HERE}.whl", f"tool-1.0-cp38-abi3-{HERE}.whl"],
        f"tool-1.0-cp38-abi3-{HERE}.whl",
    ),
    "oldest abi3": (
        [f"tool-1.0-cp311-abi3-{HERE}.whl", f"tool-1.0-cp38-abi3-{HERE}.whl"],
        f"tool-1.0-cp38-abi3-{HERE}.whl",
    ),
    "python 3 before 2": (
        ["tool-1.0-py2-none-any.whl", "tool-1.0-py3-none-any.whl"],
        "tool-1.0-py3-none-any.whl",
    ),
    "both pythons": (
        ["tool-1.0-py2.py3-none-any.whl", "tool-1.0.tar.gz"],
        "tool-1.0-py2.py3-none-any.whl",
    ),
    "higher build": (
        ["tool-1.0-2-py3-none-any.whl", "tool-1.0-10-py3-none-any.whl"],
        "tool-1.0-10-py3-none-any.whl",
    ),
    "that version only": (
        ["tool-1.0.1-py3-none-any.whl", "tool-1.0.0-py3-none-any.whl"],
        "tool-1.0.0-py3-none-any.whl",
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_choice_of_a_wheel(package_index, fetch, case):
    """The wheel for any Python that is most specific for this platform is chosen."""
    names, expected = CHOICES[case]
    for name in names:
        package_index.add("tool", name, WHEEL)
    assert fetch("pypi:tool==1.0").path.name == expected


def test_wheel_for_a_python(package_index, fetch):
    """With `python`, the wheel is chosen that pip of that version chooses."""
    for version in ("cp311", "cp312"):
        package_index.add("tool", f"tool-1.0-{version}-{version}-{HERE}.whl", WHEEL)
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    chosen = fetch("pypi:tool==1.0", python="3.12").path.name
    assert chosen == f"tool-1.0-cp312-cp312-{HERE}.whl"


def test_python_that_is_no_version(package_index, fetch):
    """A `python` that is not a version is an error that shows the form."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    with pytest.raises(FetchError, match=r'write it as "3\.12"'):
        fetch("pypi:tool==1.0", python="cpython")


def test_sdist(package_index, fetch):
    """kind = "sdist" fetches the source archive, a tar before a zip, in any spelling."""
    source = make_sdist("My_Tool-1.0", {"setup.py": ""})
    package_index.add("my-tool", "my_tool-1.0-py3-none-any.whl", WHEEL)
    package_index.add("my-tool", "My_Tool-1.0.zip", WHEEL)
    package_index.add("my-tool", "My_Tool-1.0.tar.gz", source)
    assert fetch("pypi:my.tool==1.0", kind="sdist").path.name == "My_Tool-1.0.tar.gz"


def test_nothing_fits(package_index, fetch):
    """If no wheel fits, the error lists the files, and how to fetch one of them."""
    package_index.add("tool", "tool-1.0-cp312-cp312-win_amd64.whl", WHEEL)
    package_index.add("tool", "tool-1.0-cp313-cp313-win_amd64.whl", WHEEL)
    with pytest.raises(FetchError, match=r"tool-1\.0-cp312-cp312-win_amd64\.whl") as caught:
        fetch("pypi:tool==1.0")
    assert 'python = "3.13"' in str(caught.value)


def test_only_a_source(package_index, fetch):
    """If there is only a source archive, the error says how to request it."""
    package_index.add("tool", "tool-1.0.tar.gz", make_sdist("tool-1.0", {}))
    with pytest.raises(FetchError, match='kind = "sdist"'):
        fetch("pypi:tool==1.0")


def test_unknown_version(package_index, fetch):
    """An unknown version is an error that lists the newest versions."""
    package_index.add("tool", "tool-1.9-py3-none-any.whl", WHEEL)
    package_index.add("tool", "tool-1.10.tar.gz", WHEEL)
    with pytest.raises(FetchError, match=r"has no version 2\.0 of tool") as caught:
        fetch("pypi:tool==2.0")
    assert "1.10, 1.9" in str(caught.value)


def test_unknown_package(fetch):
    """An unknown package is an error that names the index."""
    with pytest.raises(FetchError, match="has no package nothing"):
        fetch("pypi:nothing==1.0")


def test_yanked_release_warns(package_index, fetch, recorder):
    """A withdrawn file is fetched if its exact version is requested, with a warning."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL, yanked="broken on Mondays")
    fetch("pypi:tool==1.0")
    assert "broken on Mondays" in recorder.warnings[0]


def test_extra_index_is_asked_second(package_index, fetch, tmp_path):
    """A release that the first index does not have is requested from an extra one."""
    package_index.add("tool", "tool-0.9-py3-none-any.whl", WHEEL)
    with LoopbackServer() as server:
        extra = FakePackageIndex(server)
        extra.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
        environment = {"PIP_INDEX_URL": package_index.url, "PIP_EXTRA_INDEX_URL": extra.url}
        assert fetch("pypi:tool==1.0", environment).path.name == "tool-1.0-py3-none-any.whl"
        assert fetch("pypi:tool==0.9", environment).path.name == "tool-0.9-py3-none-any.whl"


def test_credentials_of_the_index(package_index, http_server, fetch, recorder):
    """Credentials in the index's URL are used for page and file, and never shown."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    index = http_server.url_with("me", "hunter2") + "/simple"
    fetched = fetch("pypi:tool==1.0", {"PIP_INDEX_URL": index})
    assert all("authorization" in request.headers for request in http_server.requests)
    with pytest.raises(FetchError) as caught:
        fetch("pypi:tool==3", {"PIP_INDEX_URL": index})
    assert "hunter2" not in f"{caught.value} {fetched.uri} {recorder.progress}"


def test_page_is_read_once(package_index, http_server, recorder, tmp_path):
    """The page of a project is requested once for two of its files."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    package_index.add("tool", "tool-1.0.tar.gz", WHEEL)
    context = recorder.context({"PIP_INDEX_URL": package_index.url})
    for kind in ("wheel", "sdist"):
        item = SourceItem(source="pypi:tool==1.0", kind=kind, base_dir=tmp_path)
        fetch_source(item, tmp_path / "into", context)
    assert http_server.paths().count("/simple/tool/") == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_page_that_breaks_off(http_server, fetch, chunked):
    """A page of an index that breaks off is read again."""
    page = b'<a href="/tool-1.0-py3-none-any.whl">tool</a>' + b" " * 5000
    http_server.routes["/i/tool/"] = [
        Reply(page, headers={"Content-Type": "text/html"}, breaks_after=50, chunked=chunked),
        Reply(page, headers={"Content-Type": "text/html"}),
    ]
    http_server.routes["/tool-1.0-py3-none-any.whl"] = Reply(WHEEL)
    fetched = fetch("pypi:tool==1.0", {"PIP_INDEX_URL": f"{http_server.url}/i"})
    assert fetched.path.read_bytes() == WHEEL


def test_page_that_always_breaks_off(http_server, fetch):
    """A page of an index that breaks off again and again is an error."""
    http_server.routes["/i/tool/"] = Reply(b"<a" * 5000, breaks_after=50)
    with pytest.raises(FetchError, match="broke before the content was complete"):
        fetch("pypi:tool==1.0", {"PIP_INDEX_URL": f"{http_server.url}/i"})


def test_answer_that_is_not_an_index_page(http_server, fetch):
    """An answer that is not an index page is an error, not a traceback."""
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    http_server.routes["/simple/tool/"] = Reply(b'{"files": 3}', headers=kind)
    with pytest.raises(FetchError, match="not a valid page of a package index"):
        fetch("pypi:tool==1.0")


@pytest.mark.parametrize(
    "name", ["../evil.whl", "a/b.whl", "..", "", "a\\n.whl", "a\\ud800.whl", "é" * 130 + ".whl"]
)
def test_names_from_the_index_stay_names(http_server, fetch, name):
    """A file whose name leads out of the folder is ignored."""
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    page = f'{{"files": [{{"filename": "{name}", "url": "x", "hashes": {{}}}}]}}'
    http_server.routes["/simple/tool/"] = Reply(page.encode(), headers=kind)
    with pytest.raises(FetchError, match="has no package"):
        fetch("pypi:tool==1.0")


def answering(outputs):
    """A runner of programs that knows only these command lines."""

    def run(argv, **_):
        for words, output in outputs.items():
            if " ".join(argv) == words:
                return 0, output.encode(), b""
        raise ScriptFailed(command=argv[0], exit_code=127, reason="could not start")

    return run


def test_configured_index(recorder):
    """Without variables in the environment, pip's configuration is used."""
    run = answering(
        {
            "python3 -m pip config list": "global.index-url='http://a/simple'\n"
            "global.extra-index-url='\\nhttp://b/simple\\nhttp://c/simple'\n"
            "global.cert='/certs.pem'\n"
        }
    )
    found = pip_configuration(recorder.context({}, run=run))
    assert found.indexes == ("http://a/simple", "http://b/simple", "http://c/simple")
    assert found.certificates == "/certs.pem"


def test_default_index(recorder):
    """Without any configuration, the default in pip's help is used."""
    run = answering(
        {"pip config list": "", "pip help download": PIP_HELP.format(index="http://x/simple")}
    )
    assert pip_configuration(recorder.context({}, run=run)).indexes == ("http://x/simple",)


def test_pip_is_asked_once(recorder):
    """However many packages there are, pip is asked once."""
    run = answering({"pip config list": "global.index-url='http://a/simple'"})
    context = recorder.context({}, run=run)
    assert pip_configuration(context) == pip_configuration(context)
    assert len(recorder.programs) == 1


def test_no_pip_at_all(recorder):
    """Without pip and without a setting, the error says what to set."""
    with pytest.raises(FetchError, match="PIP_INDEX_URL"):
        pip_configuration(recorder.context({}, run=answering({})))


def test_sections_of_pip():
    """A setting for downloads overrides the global one, and pip's environment both."""
    text = ":env:.index-url='e'\ndownload.index-url='d'\nglobal.index-url='g'\ninstall.cert='i'\n"
    assert parse_pip_settings(text) == {"index-url": "e"}
    assert parse_pip_settings("\n".join(text.splitlines()[1:])) == {"index-url": "d"}
