"""npm release files: from the registry that npm uses, verified by their integrity."""

import base64
import hashlib

import pytest
from loopback.http_server import LoopbackServer, Reply
from loopback.npm_registry import FakeNpmRegistry, make_npm_tarball

from envy.declarations.sources import SourceItem
from envy.errors import FetchError, ScriptFailed
from envy.masking import forget_all, masked
from envy.transport import fetch_source
from envy.transport.npm_configuration import npm_configuration, parse_npmrc

TARBALL = make_npm_tarball({"package.json": "{}"})


@pytest.fixture
def fetch(npm_registry, recorder, tmp_path):
    forget_all()

    def fetch(source, environment=None, **fields):
        registry = {"npm_config_registry": npm_registry.url}
        environment = registry if environment is None else environment
        item = SourceItem(source=source, base_dir=tmp_path, **fields)
        return fetch_source(item, tmp_path / "into", recorder.context(environment))

    yield fetch
    forget_all()


def no_program(argv, **_):
    raise ScriptFailed(command=argv[0], exit_code=127, reason="could not start")


def test_tarball_is_fetched_and_verified(npm_registry, fetch):
    """One exact version is fetched and verified by its integrity."""
    npm_registry.add("tool", "1.2.3", TARBALL)
    fetched = fetch("npm:tool@1.2.3")
    assert fetched.path.name == "tool-1.2.3.tgz"
    assert fetched.path.read_bytes() == TARBALL
    assert fetched.verified


def test_progress_is_that_of_the_source(npm_registry, fetch, recorder):
    """Progress names the source as written, not the URL of the registry's file."""
    npm_registry.add("tool", "1.2.3", TARBALL)
    fetch("npm:tool@1.2.3")
    assert {uri for uri, _, _ in recorder.progress} == {"npm:tool@1.2.3"}


def test_scoped_name(npm_registry, fetch):
    """The file name of a scoped package contains the scope."""
    npm_registry.add("@acme/tool", "1.0.0", TARBALL)
    assert fetch("npm:@acme/tool@1.0.0").path.name == "acme-tool-1.0.0.tgz"


@pytest.mark.parametrize("algorithm", ["sha512", "sha1"])
def test_wrong_integrity(npm_registry, fetch, algorithm):
    """Content with another digest than the registry lists is an error."""
    wrong = f"{algorithm}-" + base64.b64encode(hashlib.new(algorithm, b"0").digest()).decode()
    npm_registry.add("tool", "1.0.0", TARBALL, integrity=wrong)
    with pytest.raises(FetchError, match=rf"{algorithm} of .* is not what the npm registry says"):
        fetch("npm:tool@1.0.0")


def test_old_release_with_a_sha1_only(npm_registry, fetch):
    """A release without an integrity is verified by its sha1."""
    npm_registry.add("tool", "1.0.0", TARBALL, integrity="")
    assert fetch("npm:tool@1.0.0").verified


def test_unknown_version(npm_registry, fetch):
    """An unknown version is an error that names the nearest ones."""
    npm_registry.add("tool", "1.10.0", TARBALL)
    with pytest.raises(FetchError, match=r"the nearest versions: 1\.10\.0"):
        fetch("npm:tool@1.1.0")


def test_unknown_package(fetch):
    """An unknown package is an error that names the registry."""
    with pytest.raises(FetchError, match="has no package nothing"):
        fetch("npm:nothing@1.0.0")


def test_deprecated_release_warns(npm_registry, fetch, recorder):
    """A deprecated release is fetched, with a warning in the words of its authors."""
    npm_registry.add("tool", "1.0.0", TARBALL, deprecated="use other")
    fetch("npm:tool@1.0.0")
    assert "use other" in recorder.warnings[0]


def test_mirror_that_names_another_host(npm_registry, fetch):
    """A tarball is requested from a mirror itself, even if its URL names another host."""
    npm_registry.add("tool", "1.0.0", TARBALL, tarball="http://upstream.invalid/t.tgz")
    assert fetch("npm:tool@1.0.0").verified


def test_tarball_on_another_host(npm_registry, http_server, fetch):
    """A tarball that the registry does not have is requested from the host in its URL."""
    with LoopbackServer() as other:
        other.routes["/t.tgz"] = Reply(TARBALL)
        npm_registry.add("tool", "1.0.0", TARBALL, tarball=f"{other.url}/t.tgz")
        del http_server.routes["/tool/-/tool-1.0.0.tgz"]
        assert fetch("npm:tool@1.0.0").verified


def test_a_mirror_with_another_tarball(npm_registry, http_server, recorder, tmp_path):
    """Whoever reads its tarball gives up before that of the other host comes, which is accepted."""
    followed = []

    class Follower:
        def wants(self, **_):
            return False

        def accept(self, sha256):
            followed.append(sha256)

        def give_up(self):
            followed.append("given up")

    with LoopbackServer() as other:
        other.routes["/t.tgz"] = Reply(TARBALL)
        npm_registry.add("tool", "1.0.0", TARBALL, tarball=f"{other.url}/t.tgz")
        http_server.routes["/tool/-/tool-1.0.0.tgz"] = Reply(bytes(len(TARBALL)))
        environment = {"npm_config_registry": npm_registry.url}
        context = recorder.context(environment, follow=lambda _item, _name: Follower())
        item = SourceItem(source="npm:tool@1.0.0", base_dir=tmp_path)
        fetched = fetch_source(item, tmp_path / "into", context)
    assert followed == ["given up", hashlib.sha256(TARBALL).hexdigest()]
    assert fetched.sha256 == followed[-1]


@pytest.mark.parametrize("tarball", ["file://{file}", "{file}", "ext::sh -c x"])
def test_tarball_is_no_local_file(npm_registry, fetch, tmp_path, tarball):
    """A registry may not name a file of this machine as a tarball."""
    file = tmp_path / "secret.tgz"
    file.write_bytes(TARBALL)
    npm_registry.add("tool", "1.0.0", TARBALL, tarball=tarball.format(file=file))
    with pytest.raises(FetchError, match="must begin with one of http:, https:"):
        fetch("npm:tool@1.0.0")
    assert not list((tmp_path / "into").iterdir())


def test_token_is_not_sent_unencrypted(https_server, http_server, fetch, tmp_path):
    """A token for a registry is not sent over http if the registry itself is read over https."""
    server, certificates = https_server
    registry = FakeNpmRegistry(server, token="s3cret")
    host = f"localhost:{http_server.port}"
    http_server.routes["/t.tgz"] = Reply(TARBALL)
    registry.add("tool", "1.0.0", TARBALL, tarball=f"http://{host}/t.tgz")
    del server.routes["/tool/-/tool-1.0.0.tgz"]
    place = registry.url.removeprefix("https:")
    (tmp_path / ".npmrc").write_text(
        f"registry={registry.url}\n{place}:_authToken=s3cret\n//{host}/:_authToken=s3cret\n"
    )
    assert fetch("npm:tool@1.0.0", {"SSL_CERT_FILE": str(certificates)}).verified
    assert "authorization" not in http_server.requests[0].headers


@pytest.mark.parametrize("where", ["project", "user"])
def test_token_from_npmrc(http_server, fetch, tmp_path, where):
    """Registry and token are read from .npmrc, beside the manifest or of the user."""
    registry = FakeNpmRegistry(http_server, token="s3cret", prefix="/npm")
    registry.add("tool", "1.0.0", TARBALL)
    home = tmp_path / "home"
    home.mkdir()
    place = registry.url.removeprefix("http:")
    file = (tmp_path if where == "project" else home) / ".npmrc"
    file.write_text(f"registry={registry.url}\n{place}:_authToken=${{TOKEN}}\n")
    assert fetch("npm:tool@1.0.0", {"HOME": str(home), "TOKEN": "s3cret"}).verified


def test_token_stays_with_its_registry(http_server, fetch, tmp_path):
    """A token is not sent to another host that a registry names."""
    registry = FakeNpmRegistry(http_server, token="s3cret")
    with LoopbackServer() as other:
        other.routes["/t.tgz"] = Reply(TARBALL)
        registry.add("tool", "1.0.0", TARBALL, tarball=f"{other.url}/t.tgz")
        del http_server.routes["/tool/-/tool-1.0.0.tgz"]
        place = registry.url.removeprefix("http:")
        (tmp_path / ".npmrc").write_text(f"registry={registry.url}\n{place}:_authToken=s3cret\n")
        fetch("npm:tool@1.0.0", {})
        assert "authorization" not in other.requests[0].headers


def test_missing_token(http_server, fetch):
    """A registry that requires a token and gets none is an error that says so."""
    registry = FakeNpmRegistry(http_server, token="s3cret")
    registry.add("tool", "1.0.0", TARBALL)
    with pytest.raises(FetchError, match="requires credentials"):
        fetch("npm:tool@1.0.0", {"npm_config_registry": registry.url})


def test_registry_of_a_scope(recorder, tmp_path):
    """A scope may have a registry of its own."""
    (tmp_path / ".npmrc").write_text("registry=http://a\n@acme:registry=http://b/\n")
    context = recorder.context({})
    assert npm_configuration("@acme/x", tmp_path, context).registry == "http://b/"
    assert npm_configuration("x", tmp_path, context).registry == "http://a/"


@pytest.mark.parametrize("name", ["npm_config_registry", "NPM_CONFIG_REGISTRY"])
def test_environment_wins(recorder, tmp_path, name):
    """The environment takes precedence over the files."""
    (tmp_path / ".npmrc").write_text("registry=http://file\n")
    context = recorder.context({name: "http://environment"})
    assert npm_configuration("x", tmp_path, context).registry == "http://environment/"


def test_npm_itself_is_asked_last(recorder, tmp_path):
    """Without a setting, npm is asked for its registry, once."""
    context = recorder.context({}, run=lambda *_, **__: (0, b"http://default/\n", b""))
    for _ in range(2):
        assert npm_configuration("x", tmp_path, context).registry == "http://default/"
    assert recorder.programs == [["npm", "config", "get", "registry"]]


def test_no_npm_at_all(recorder, tmp_path):
    """Without npm and without a setting, the error says what to set."""
    with pytest.raises(FetchError, match="npm_config_registry"):
        npm_configuration("x", tmp_path, recorder.context({}, run=no_program))


def test_settings_are_never_shown(recorder, tmp_path):
    """The text of a configuration contains no token."""
    (tmp_path / ".npmrc").write_text("registry=http://a/\n//a/:_authToken=s3cret\n")
    assert "s3cret" not in repr(npm_configuration("x", tmp_path, recorder.context({})))


def test_npmrc_lines():
    """Comments are skipped, quotes removed, and set variables replaced by their values."""
    text = '# c\n; d\na = "1"\nb=${X}-${Y}\nnonsense\n'
    assert parse_npmrc(text, {"X": "x"}) == {"a": "1", "b": "x-${Y}"}


@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
def test_a_token_whose_variable_ends_a_line(http_server, fetch, tmp_path, end):
    """White space around the value of a variable is no part of the token, which is masked then."""
    registry = FakeNpmRegistry(http_server, token="s3cret")
    registry.add("tool", "1.0.0", TARBALL)
    place = registry.url.removeprefix("http:")
    (tmp_path / ".npmrc").write_text(f"registry={registry.url}\n{place}:_authToken=${{TOKEN}}\n")
    assert fetch("npm:tool@1.0.0", {"TOKEN": f"s3cret{end}"}).verified
    assert masked("the token is s3cret") == "the token is ***"


@pytest.mark.parametrize(
    ("lines", "value", "says"),
    [
        ("{}:_authToken=${{T}}", "npm_s3cret\nX-Other: y", "_authToken of npm cannot be sent"),
        ("{}:_authToken=${{T}}", "npm_s3ęcret", "_authToken of npm cannot be sent"),
        ("{}:_auth=${{T}}", "npm_s3c\udcffret", "_auth of npm cannot be sent"),
        ("{0}:username=me\n{0}:_password=${{T}}", "s3crt", "_password of npm cannot be sent"),
        ("{0}:username=me\n{0}:_password=${{T}}", "s3crętt", "_password of npm cannot be sent"),
    ],
)
def test_credentials_that_cannot_be_sent(http_server, fetch, tmp_path, lines, value, says):
    """The error names the setting, and neither it nor its causes show the value."""
    place = f"//127.0.0.1:{http_server.port}/"
    (tmp_path / ".npmrc").write_text(f"registry=http:{place}\n{lines.format(place)}\n")
    with pytest.raises(FetchError, match=f"the setting {place}:{says}") as caught:
        fetch("npm:tool@1.0.0", {"T": value})
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not http_server.requests
    assert value.partition("\n")[0] not in masked(f"{value} x")


def test_basic_credentials(recorder, tmp_path):
    """User and password of .npmrc are sent as npm sends them."""
    password = base64.b64encode(b"pass").decode()
    (tmp_path / ".npmrc").write_text(
        f"registry=http://a/x/\n//a/x/:username=me\n//a/x/:_password={password}\n"
    )
    found = npm_configuration("t", tmp_path, recorder.context({}))
    assert found.authorization("http://a/x/t/-/t-1.tgz") == "Basic bWU6cGFzcw=="
    assert masked("pass bWU6cGFzcw==") == "*** ***"
    assert not found.authorization("http://a/y/t.tgz")
