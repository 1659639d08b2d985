"""Secrets: recipes that leak in every place, and every command; nothing that is written has one."""

import base64
import hashlib
import io
import tarfile
from urllib.parse import quote

import pytest
from archives import make_tar
from backports import zstd
from loopback.http_server import Reply
from project import Project

TOKEN, PASSWORD, QUERY = 'tok-7Qx"_9/+Zz Kp', "pw-url-55abcd", "qs-abc-998877"
FORMAT_OPTIONS = ("tree", "json", "dot", "mermaid", "svg", "graphml")


def forms(secret):
    """Yield how a secret may be written: as it is, escaped, percent-encoded and in base64."""
    raw = secret.encode()
    yield raw
    yield secret.replace("\\", "\\\\").replace('"', '\\"').encode()
    yield from (quote(secret).encode(), quote(secret, safe="").encode())
    for before in (b"", b"u:", b"xyz:"):
        yield base64.b64encode(before + raw)[4:-4]


def leaks(text, *secrets):
    """Return the forms of secrets that some bytes contain, with what is around them."""
    return [
        text[max(0, at - 60) : at + 60]
        for secret in secrets
        for form in forms(secret)
        if (at := text.find(form)) >= 0
    ]


def everything(folder):
    """Yield (name, content) of each file below a folder, and of each in its exports."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        yield name, name.encode() + b"\n" + content
        if name.endswith(".tar.zst"):
            with tarfile.open(fileobj=io.BytesIO(zstd.decompress(content))) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    yield (
                        f"{name}: {member.name}",
                        member.name.encode() + (file.read() if file else b""),
                    )


LEAKS = {
    "printer": """
        about = { version = os.getenv("TOKEN"), description = os.getenv("TOKEN") }
        options = { deep = { type = "string", default = "x" .. os.getenv("TOKEN") } }
        print("printed " .. os.getenv("TOKEN"))
        envy.warn("warned " .. os.getenv("TOKEN"))
        envy.stdout("out " .. os.getenv("TOKEN"))
        exports = { env = { LEAK = os.getenv("TOKEN") } }
        products = { tool = "bin/tool" }
        install = "mkdir bin && cp /bin/true bin/tool"
        secret_env = { "TOKEN" }
    """,
    "script": """
        secret_env = { "TOKEN" }
        install = function(ctx)
          local token = os.getenv("TOKEN")
          print("in a phase: " .. token)
          ctx.run("echo \\"plain $TOKEN\\"; echo \\"$TOKEN\\" >&2; touch made")
          ctx.run("printf %s \\"${TOKEN%%_*}\\"; printf '_%s\\\\n' \\"${TOKEN#*_}\\"")
          ctx.run("head -c 16378 /dev/zero | tr '\\\\0' x; printf %s \\"$TOKEN\\"; "
            .. "head -c 50000 /dev/zero | tr '\\\\0' y")
          ctx.run("echo 'Authorization: Basic '$(printf %s \\"u:$TOKEN\\" | base64 -w0)")
          ctx.run("printf %s \\"$TOKEN\\" | base64 -w0; echo")
          ctx.run("echo http://me:PASSWORD@host/ and http://host/?api_key=QUERY and me:PASSWORD")
          ctx.run(string.rep("#", 190) .. token .. "\\ntrue")
          ctx.exec({ "echo", token, string.rep("z", 80) .. token })
          ctx.run("true", { env = { OTHER = token }, cwd = "." })
          local said = ctx.run("printf %s \\"$TOKEN\\"", { capture = true, quiet = true })
          envy.info("captured " .. said.stdout)
          ctx.run("exit 3 # " .. token, { check = false })
        end
    """,
    "failing": """
        secret_env = { "TOKEN" }
        build = function(ctx)
          ctx.run("echo said $TOKEN; exit 3 # " .. os.getenv("TOKEN"), { capture = true })
        end
    """,
    "erring": """
        secret_env = { "TOKEN" }
        build = function() error({ text = os.getenv("TOKEN") }) end
    """,
    "raising": """
        secret_env = { "TOKEN" }
        build = function(ctx)
          local function inner() error("raised " .. os.getenv("TOKEN")) end
          local ok, why = pcall(inner)
          ctx.copy("no/" .. os.getenv("TOKEN"), "x")
        end
    """,
    "early": """
        print("before " .. os.getenv("TOKEN"))
        error("cannot log in with " .. os.getenv("TOKEN"))
        secret_env = { "TOKEN" }
    """,
    "late": """
        secret_env = ({ "TOKEN" })
        print("before " .. os.getenv("TOKEN"))
        local x = nil .. os.getenv("TOKEN")
    """,
    "wrong": """
        secret_env = { "TOKEN" }
        fetch = "gopher://" .. os.getenv("TOKEN")
    """,
    "fetched": """
        secret_env = { "TOKEN" }
        fetch = {
          { source = "URL/moved?token=QUERY", dest = "a.txt" },
          { source = "URL/file/" .. envy_quoted(os.getenv("TOKEN")), dest = "b.txt" },
        }
    """,
    "joined": """
        local version = "2"
        fetch = { source = "URL/moved?v=" .. version .. "&token=QUERY", dest = "c.txt" }
    """,
    "pinned": """
        fetch = { source = "URL/pkg.tar?x=1&X-Amz-Signature=QUERY", sha256 = "DIGEST" }
    """,
    "mismatch": """
        fetch = { source = "URL/pkg.tar?sig=QUERY", sha256 = string.rep("0", 64) }
    """,
    "lost": """
        fetch = { source = "URL/lost?my_password=QUERY", dest = "c.txt" }
    """,
    "refused": """
        fetch = { source = "URL/out?key=QUERY", dest = "c.txt" }
    """,
    "imperative": """
        secret_env = { "TOKEN" }
        fetch = function(ctx)
          ctx.fetch({ source = "URL/file/" .. envy_quoted(os.getenv("TOKEN")), dest = "d.txt" })
          ctx.commit_fetch("d.txt")
          print("fetched with " .. os.getenv("TOKEN"))
        end
    """,
    "parent": """
        secret_env = { "TOKEN" }
        dependencies = { { recipe = "local.child@r1", options = { token = os.getenv("TOKEN") } } }
        install = "touch x"
    """,
    "child": """
        install = 'echo "$ENVY_OPTION_TOKEN"; touch x'
    """,
    "option": """
        secret_env = { "TOKEN" }
        install = 'echo "$ENVY_OPTION_TOKEN"; touch x'
    """,
    "checked": """
        secret_env = { "TOKEN" }
        check = 'echo "checking $TOKEN"; test -e checked'
        install = 'echo "installing $TOKEN"; touch checked'
    """,
    "host": """
        secret_env = { "TOKEN" }
        pass_env = { "HTTPS_PROXY" }
        host = { echo = "echo version 1 for " .. os.getenv("TOKEN"):gsub('"', '\\\\"') }
        local read = os.getenv("PROXY_OF_" .. "HOST")
        inputs = { "a.txt" }
        install = "touch x"
    """,
}  # fmt: skip
QUOTED = """local function envy_quoted(text)
  return (text:gsub("[^%w%-_]", function(c) return string.format("%%%02X", c:byte()) end))
end
"""
LEFT_OUT = {"child"}


@pytest.fixture
def world(project, http_server):
    """A project of leaking recipes, and the variables that its commands get."""
    url = http_server.url_with("me", PASSWORD)
    archive = make_tar({"x": "x"})
    routes = http_server.routes
    routes["/moved"] = Reply(
        status=302, headers={"Location": f"{url}/file/a?access_token={QUERY}&next={quote(url)}"}
    )
    routes["/file/a"] = Reply(b"a")
    routes[f"/file/{quote(TOKEN, safe='')}"] = Reply(b"b")
    routes["/pkg.tar"] = Reply(archive)
    routes["/out"] = Reply(
        status=302, headers={"Location": f"file:///etc/{TOKEN}?token={QUERY}".replace(" ", "%20")}
    )
    for name, body in LEAKS.items():
        text = body.replace("URL/", f"{url}/").replace("QUERY", QUERY)
        text = text.replace("PASSWORD", PASSWORD)
        text = text.replace("DIGEST", hashlib.sha256(archive).hexdigest())
        project.recipe(f"local.{name}@r1", QUOTED + text)
    project.write("recipes/a.txt", "a")
    rows = "".join(
        f'  {{ recipe = "local.{name}@r1", options = {{ token = os.getenv("TOKEN") }} }},\n'
        if name == "option"
        else f'  "local.{name}@r1",\n'
        for name in LEAKS
        if name not in LEFT_OUT
    )
    project.manifest(
        'print("the manifest has " .. os.getenv("TOKEN"))\npackages = {\n' + rows + "}\n"
    )
    proxy = f"http://me:{PASSWORD}@127.0.0.1:9"
    return project, {"TOKEN": TOKEN, "HTTPS_PROXY": proxy, "PROXY_OF_HOST": proxy}


def check(tmp_path, run, *, but=()):
    """Assert that neither the output of a run nor any file below a folder has a secret."""
    secrets = (TOKEN, PASSWORD, QUERY)
    for text in (run.out, run.err):
        assert not leaks(text.encode(), *secrets)
    found = {
        name: rows
        for name, content in everything(tmp_path)
        if not name.startswith(but) and (rows := leaks(content, *secrets))
    }
    assert not found


def test_no_command_writes_a_secret(world, tmp_path):
    """Not on its streams, in the cache, in a trace, in an export, nor in a log."""
    project, env = world
    sources = ("project/recipes", "project/envy.lua")
    more = ["--trace=stderr", f"--trace=timeline:{tmp_path}/timeline.json"]
    run = project.envy(*more, "sync", "--yes", "--verbose", env=env, code=1)
    check(tmp_path, run, but=sources)
    assert "printed ***" in run.err
    assert "the manifest has ***" in run.err
    assert "cannot log in with ***" in run.err
    assert "plain ***" in run.err
    assert 'local.option@r1{token="***"}' in run.err
    commands = [
        ("sync", "--yes"),
        ("sync", "--yes", "--profile", "--fail-fast"),
        ("sync", "--dry-run"),
        ("plan", "--json"),
        *(("graph", f"--format={form}", "--no-install") for form in FORMAT_OPTIONS),
        ("graph", "--critical", "-o", "graph.svg"),
        ("why", "local.child"),
        ("why", "local.option"),
        *(("why-rebuild", f"local.{name}") for name in ("printer", "failing", "fetched", "lost")),
        ("product",),
        ("product", "--json"),
        ("product", "tool"),
        ("asset", "local.fetched"),
        ("asset", "local.lost"),
        ("asset", "local.option{token=x}"),
        ("run", "tool"),
        ("export", "local.printer", "local.fetched", "local.option", "-o", "out.tar.zst"),
        ("sync", "--yes", "--json"),
        ("why", "local.option", "--json"),
        ("graph", "--json", "--no-install"),
        ("cache",),
        ("cache", "--json", "--verbose"),
        ("cache", "verify"),
        ("cache", "gc", "--dry-run"),
    ]
    for words in commands:
        check(tmp_path, project.envy(*more[:1], *words, env=env, code=None), but=sources)
    assert (project.root / "out.tar.zst").exists()
    other = Project(tmp_path / "other")
    imported = other.envy("import", project.root / "out.tar.zst", env=env)
    check(tmp_path, imported, but=sources)
    for name in LEAKS:  # another edit, so that its changes are explained
        path = project.root / f"recipes/local.{name}@r1.lua"
        path.write_text(path.read_text().replace(QUERY, f"{QUERY}x") + "-- edited\n")
    check(tmp_path, project.envy("sync", "--yes", "-v", env=env, code=1), but=sources)


def test_a_repository_that_cannot_be_reached(project, http_server, tmp_path):
    """What git says, and the addresses in it, are masked."""
    url = http_server.url_with("me", PASSWORD)
    run = project.sync_one(f'fetch = "{url}/x.git"', "--verbose", "--trace=stderr", code=1)
    assert "git ls-remote failed" in run.err
    check(tmp_path, run, but=("project/recipes",))


def test_another_secret_has_the_same_key(world):
    """Rotating a token, in a variable or an address, finds the package that was built before."""
    project, env = world
    names = ("printer", "fetched", "host")
    project.packages(*(f"local.{name}@r1" for name in names))
    before = {name: project.envy("sync", env=env).folder(f"local.{name}@r1") for name in names}
    again = project.envy("sync", env=env | {"TOKEN": "rotated-1234"})
    for name in names:
        assert again.named("recipe_complete", recipe=f"local.{name}@r1")[0]["outcome"] == "cached"
        assert again.folder(f"local.{name}@r1") == before[name]


@pytest.mark.parametrize("value", ["", "a", "e1", "the"])
def test_a_value_of_three_characters_is_not_masked(project, value):
    """Masking it would turn the output into asterisks; nobody can keep it secret."""
    body = 'secret_env = { "SHORT" }\ninstall = "echo there it is; touch x"'
    run = project.sync_one(body, "--verbose", env={"SHORT": value})
    assert "| there it is" in run.err


@pytest.mark.parametrize("value", ["true", "null", "local", "recipe", '"key": "'])
def test_json_stays_valid(project, value):
    """Data is masked before it becomes JSON, so a value that looks like syntax breaks nothing."""
    import json

    project.sync_one('secret_env = { "WORD" }\ninstall = "touch x"', env={"WORD": value})
    for words in (("plan", "--json"), ("graph", "--format=json"), ("cache", "--json")):
        json.loads(project.envy(*words, env={"WORD": value}).out)


def test_a_token_for_a_download(project, http_server):
    """The token of a source is sent to its server, and is in no key, lock, record or trace."""
    token, other = "t0ken-for-x-1234", "t0ken-for-x-5678"
    http_server.routes["/x"] = lambda request: (
        Reply(b"content")
        if request.headers.get("authorization") == f"Bearer {token}"
        else Reply(status=401)
    )
    source = f'{{ source = "{http_server.url}/x", auth = {{ env = "X_TOKEN" }} }}'
    project.recipe("local.one@r1", f"fetch = {source}")
    project.packages("local.one@r1")
    missing = project.envy("sync", code=1)
    assert "the variable X_TOKEN, which its source names, is not set" in missing.err
    wrong = project.envy("sync", code=1, env={"X_TOKEN": other})
    assert "does not accept the credentials that were sent (HTTP 401)" in wrong.err
    given = {"X_TOKEN": token}
    sync = project.envy("sync", env=given)
    assert (sync.folder("local.one@r1") / "x").read_text() == "content"
    # Another token, or none, is the same package.
    assert project.envy("sync").named("recipe_complete", outcome="cached")
    lock = project.envy("lock", env=given)
    for run in (wrong, sync, lock):
        assert not leaks(f"{run.err}{run.out}{run.events}".encode(), token, other)
    for _, content in everything(project.root):
        assert not leaks(content, token, other)
    for _, content in everything(project.cache):
        assert not leaks(content, token, other)
