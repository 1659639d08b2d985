"""`envy lock`, and every command that obeys envy.lock."""

import json
import shutil
import signal
import threading

import pytest
from archives import make_tar
from lock_world import MANIFEST, LockWorld
from loopback.http_server import Reply

from envy.cache.names import FINGERPRINT
from envy.cli.lock import update_lock_if_present
from envy.host.named_platforms import USUAL_PLATFORMS, named_platform


@pytest.fixture
def world(project, http_server, package_index, npm_registry, git_repository):
    """A project with every kind of source."""
    return LockWorld(project, http_server, package_index, npm_registry, git_repository)


def fingerprints(project):
    """Return the fingerprint of every package in the cache."""
    return {name: (entry / FINGERPRINT).read_bytes() for name, entry in project.entries()}


def test_the_same_bytes_on_every_machine(world, tmp_path):
    """The lock is the same whichever platform makes it, in any order of answers."""
    machines = ["linux-x86_64", "linux-arm64", "darwin-arm64", "windows-x86_64"]
    seen = set()
    for run in range(20):
        world.delay(run)
        world.path.unlink(missing_ok=True)
        machine = named_platform(machines[run % 4])
        cache = tmp_path / f"cache-{run % 5}"  # some are warm
        world.lock_here(machine, jobs=run % 8 + 1, cache=cache, installs=run % 2 == 0)
        seen.add(world.path.read_bytes())
    [text] = seen
    rows = text.decode().splitlines()
    assert [row[9:] for row in rows if row.startswith("platform ")] == list(USUAL_PLATFORMS)


def test_what_a_lock_holds(world):
    """Each kind of source has its entry; what cannot be locked is listed with the reason."""
    run = world.envy("lock")
    assert "note: not locked: local.acts@r1: its fetch function calls ctx" in run.err
    assert run.err.endswith("envy.lock written: 8 packages on 5 platforms\n")
    url = world.server.url
    assert world.entry("wheel download linux-arm64").split()[3:5] == [
        "pypi:tool==1.0",
        "tool-1.0-py3-none-manylinux_2_28_aarch64.whl",
    ]
    assert " * npm:@s/left@1.0.0 s-left-1.0.0.tgz sha512:" in world.entry("npm@r1 download")
    assert f" * {url}/plain.tar plain.tar sha256:" in world.entry("plain@r1 download plain.tar")
    assert world.entry("plain@r1 linux.bin linux-arm64").endswith(" 5")  # its size
    fixed = world.words["FIXED"]
    assert world.entry("fixed@r1 download").endswith(f"/fixed.tar fixed.tar sha256:{fixed} -")
    assert world.entry("clone@r1 commit").endswith(f" {world.repository.url}#main {world.commit}")
    assert world.entry("weak@r1 choice") == "local.weak@r1 choice * plain local.plain@r1"
    assert world.entry("tool@v3 recipe").startswith(f"vendor.tool@v3 recipe * {url}/tool.lua sha2")
    assert world.entry("fixed@r1 recipe").endswith(" recipe * recipes/local.fixed@r1.lua -")
    # Nothing was fetched that a digest or a registry tells, and nothing but the lock was written.
    fetched = world.server.paths()
    assert not any(path.endswith((".whl", ".tgz", "/fixed.tar")) for path in fetched)
    assert len(fetched) == len(set(fetched))
    assert world.project.entries() == []
    again = world.envy("lock", "--json")
    assert json.loads(again.out)["changed"] is False
    assert json.loads(again.out)["not_locked"] == [
        {
            "package": "local.acts@r1",
            "platform": "*",
            "reason": "its fetch function calls ctx",
        }
    ]


def test_a_team_and_what_moves_upstream(world):
    """What is locked stays, on an empty cache, too, until somebody says that it is to change."""
    world.envy("lock")
    world.path.chmod(0o640)
    text = world.path.read_bytes()
    world.envy("sync")
    before = fingerprints(world.project)
    assert world.path.read_bytes() == text  # a sync never writes it
    # Upstream moves.
    moved = world.repository.commit({"clone.txt": "two"})
    world.publish_tool("two")
    world.server.requests.clear()
    again = world.envy("sync", "--locked")
    assert len(again.named("recipe_complete", outcome="cached")) == 8
    assert "8 cached" in world.envy("sync", trace=False).err
    assert world.server.paths() == []
    assert world.envy("lock", "--check").out == ""
    # On another machine, where the recipe file can still be had.
    world.publish_tool("one")
    shutil.rmtree(world.project.cache)
    world.envy("sync", "--locked")
    assert fingerprints(world.project) == before
    # What moved is taken when somebody says so, and only that.
    world.publish_tool("two")
    checked = world.envy("lock", "--check", "--update", "clone", code=1)
    assert checked.out.splitlines() == [
        f"- local.clone@r1 commit * {world.repository.url}#main {world.commit}",
        f"+ local.clone@r1 commit * {world.repository.url}#main {moved}",
    ]
    assert world.path.read_bytes() == text
    world.envy("lock", "--update", "clone")
    assert world.path.read_text() == text.decode().replace(world.commit, moved)
    assert world.path.stat().st_mode & 0o777 == 0o640
    run = world.envy("sync", trace=False)  # no earlier answer holds, now that the lock is another
    assert "installed local.clone@r1" in run.err
    assert "(7 cached, 1 installed)" in run.err
    missing = world.envy("lock", "--update", "clown", code=1)
    assert "--update: no package of the project answers to clown" in missing.err


def test_locked_names_the_entry_and_the_command(world):
    """Each way in which a lock does not fit is one line, with its entry and the command."""

    def failing(*words):
        run = world.envy("sync", *words, code=1)
        [line] = [row for row in run.err.splitlines() if "`envy lock" in row]
        return line.strip().removeprefix("error: ")

    missing = "envy.lock is missing, and --locked needs it: run `envy lock`"
    assert failing("--locked") == missing
    assert missing in world.envy("env", env={"ENVY_LOCKED": "1"}, code=1).err
    world.envy("lock")
    text = world.path.read_text()
    # Stale: the manifest has one package more, and the lock one that the manifest has not.
    world.project.recipe("local.new@r1", 'install = "touch new"')
    world.write(MANIFEST.replace('"local.npm@r1"', '"local.npm@r1", "local.new@r1"'))
    assert failing("--locked") == (
        "envy.lock lacks local.new@r1 recipe recipes/local.new@r1.lua: run `envy lock`"
    )
    warned = world.envy("sync")
    assert warned.err.count("envy.lock lacks local.new@r1 recipe") == 1
    assert warned.err.count("warning: envy.lock") == 1
    world.write(MANIFEST.replace(', "local.acts@r1"', "").replace('"local.acts@r1",', ""))
    assert failing("--locked") == (
        "envy.lock has local.acts@r1 recipe recipes/local.acts@r1.lua, which the project has not: "
        "run `envy lock`"
    )
    world.write()
    # An entry is removed.
    row = world.entry("plain@r1 download plain.tar")
    world.path.write_text(text.replace(f"{row}\n", ""))
    subject = f"local.plain@r1 download {world.server.url}/plain.tar"
    assert failing("--locked") == f"envy.lock lacks {subject}: run `envy lock`"
    # The digest was changed upstream.
    world.path.write_text(text)
    shutil.rmtree(world.project.cache)
    plain = world.server.routes["/plain.tar"]
    world.server.routes["/plain.tar"] = Reply(make_tar({"plain.txt": "bad"}))
    failed = world.envy("sync", "--locked", "plain", code=1)
    digest = row.split()[5].removeprefix("sha256:")
    assert f", but envy.lock has {digest} for local.plain@r1: if what changed is" in failed.err
    assert "run `envy lock --update local.plain@r1`" in failed.err
    assert world.project.markers() == []
    world.server.routes["/plain.tar"] = plain
    # A platform is missing, or everything of a newer envy, or a merge is not finished.
    world.path.write_text(
        "\n".join(line for line in text.splitlines() if "linux-x86_64" not in line) + "\n"
    )
    where = "envy.lock has no platform linux-x86_64: run `envy lock --platform linux-x86_64`"
    assert failing("--locked") == where
    world.path.write_text(text.replace("format 1\nenvy 0.1.0", "format 2\nenvy 0.9"))
    newer = "envy.lock was written by a newer envy (its format is 2, not 1, for envy 0.9 or newer)"
    assert failing("--locked").startswith(newer)
    world.path.write_text(text.replace(row, f"<<<<<<< HEAD\n{row}\n=======\n>>>>>>> them"))
    assert "has conflict markers of git at local.plain@r1: run `envy lock`" in failing()
    world.envy("lock")
    assert world.path.read_text() == text


def test_contradictions(world):
    """Where the project says something else, an error names entry, field and command."""
    world.envy("lock")
    old, new = world.words["FIXED"], "1" * 64
    world.project.recipe(
        "local.fixed@r1",
        world.filled(f'fetch = {{ source = "SERVER/fixed.tar", sha256 = "{new}" }}'),
    )
    run = world.envy("asset", "wheel", code=1)
    assert (
        f"envy.lock: local.fixed@r1 download {world.server.url}/fixed.tar: its digest is "
        f"sha256:{old}, but its recipe declares sha256:{new}: if that is right, run "
        "`envy lock --update local.fixed@r1`"
    ) in run.err
    world.project.manifest(world.filled(MANIFEST.replace("SERVER/tool.lua", "tool.lua")))
    world.project.write("tool.lua", 'identity = "vendor.tool@v3"\ninstall = "touch x"')
    run = world.envy("sync", code=1)
    assert (
        f"envy.lock: vendor.tool@v3 recipe {world.server.url}/tool.lua: its source is "
        f"{world.server.url}/tool.lua, but it is from tool.lua: if that is right, run "
        "`envy lock --update vendor.tool@v3`"
    ) in run.err
    # The command that is named takes what the project says, and so does one that edits it.
    settings = world.settings()
    assert not update_lock_if_present(settings).is_current
    assert update_lock_if_present(settings).is_current
    world.envy("lock", "--check")
    assert world.entry("fixed@r1 download").endswith(f"sha256:{new} -")
    world.path.unlink()
    assert update_lock_if_present(settings) is None


def test_a_damaged_lock(world):
    """It stops every command, which names the line; `envy lock` keeps what can be read of it."""
    world.envy("lock")
    text = world.path.read_text()
    row = world.entry("clone@r1 commit")
    world.path.write_text(text.replace(row, row[:-5]).removesuffix("end\n"))
    world.repository.commit({"clone.txt": "two"})
    failed = world.envy("asset", "plain", code=1)
    number = text.splitlines().index(row) + 1
    problem = f"envy.lock:{number}: local.clone@r1 commit {world.repository.url}#main: "
    assert f"error: {problem}" in failed.err
    assert failed.err.endswith("is not a commit: run `envy lock`, or restore envy.lock\n")
    told = world.envy("doctor", code=None, trace=False).err
    assert f"error: configuration: {problem}" in told
    assert "hint: \n" not in told
    repaired = world.envy("lock")
    assert f"note: {problem}" in repaired.err
    assert "is not a commit; what can be read of it is kept\n" in repaired.err
    moved = world.repository.git("rev-parse", "HEAD")
    assert world.path.read_text() == text.replace(world.commit, moved)


def test_secrets_stay_out_of_the_lock(project, http_server):
    """Neither user info nor a secret parameter nor a value of `secret_env` is in the lock."""
    http_server.routes["/a.tar"] = Reply(make_tar({"a": "a"}))
    address = f"{http_server.url_with('me', 'hunter2secret')}/a.tar?token=tok3n-planted&v=1"
    project.packages("local.one@r1", "local.two@r1")
    project.recipe("local.one@r1", f'fetch = {{ {{ source = "{address}", dest = "a.tar" }} }}')
    project.recipe(
        "local.two@r1",
        'secret_env = { "API_TOKEN" }\nfetch = function()\n  return { dest = "a.tar", source = "'
        f'{http_server.url}/a.tar?v=" .. (os.getenv("API_TOKEN") or "") }}\nend',
    )
    env = {"API_TOKEN": "planted-in-the-environment"}
    run = project.envy("lock", env=env)
    text = (project.root / "envy.lock").read_text()
    for secret in ("hunter2secret", "tok3n-planted", "planted-in-the-environment", "me:"):
        assert secret not in text
    assert f"local.one@r1 download * {http_server.url}/a.tar?token=***&v=1 a.tar sha256:" in text
    assert 'local.two@r1 unlocked * "it reads the variable API_TOKEN"' in text
    assert "planted" not in run.err
    project.envy("sync", "--locked", env=env)


def test_platforms(project):
    """Those of the manifest have to resolve; by default, those that do not are listed."""
    body = 'install = "touch x"\nproducts = { x = envy.per_platform { linux = "x" } }'
    project.packages("local.one@r1")
    project.recipe("local.one@r1", body)
    run = project.envy("lock")
    assert "note: windows-x86_64 is left out: local.one@r1: recipes/local.one@r1.lua:3: " in run.err
    assert run.err.endswith("envy.lock written: 1 package on 2 platforms\n")
    project.envy("lock", "--platform", "linux-x86_64-musl")
    text = (project.root / "envy.lock").read_text()
    assert text.count("\nplatform ") == 3  # the others stay
    manifest = (project.root / "envy.lua").read_text()
    project.manifest(manifest + 'platforms = { "linux-x86_64", "darwin-arm64" }')
    failed = project.envy("lock", code=1)
    assert "the project does not resolve on darwin-arm64: local.one@r1: " in failed.err
    assert (project.root / "envy.lock").read_text() == text
    wrong = project.envy("lock", "--platform", "linux-arm64", code=1)
    assert "`platforms` of the manifest has no linux-arm64" in wrong.err
    project.manifest(manifest + 'platforms = { "linux" }')
    wrong = project.envy("lock", code=1)
    assert "envy.lua:4: 'linux' is not a platform that a project can be locked for" in wrong.err


def test_what_a_machine_decides_is_not_locked(project, tmp_path):
    """The version of the system, variables and files elsewhere: listed, and never an error."""
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    (tmp_path / "far.lua").write_text('identity = "local.far@r1"\ninstall = "touch x"')
    far = f'{{ recipe = "local.far@r1", source = "{tmp_path}/far.lua" }}'
    project.manifest(f'packages = {{ "local.os@r1", "local.env@r1", "local.file@r1", {far} }}')
    fetch = 'fetch = function()\n  local x = {}\n  return {{ source = "a", dest = "a" }}\nend'
    project.write("recipes/a", "a")
    project.recipe("local.os@r1", 'local e = envy.loadenv("empty")\n' + fetch.format("e.v"))
    project.recipe("local.env@r1", 'local x = os.getenv("WHERE")\n' + fetch.format("x"))
    project.recipe("local.file@r1", fetch.format(f'io.open("{outside}")'))
    project.write("recipes/empty.lua", "v = ENVY_OS_VERSION")
    project.envy("lock")
    rows = (project.root / "envy.lock").read_text().splitlines()
    assert [row.partition(" unlocked * ")[::2] for row in rows if "unlocked" in row] == [
        ("local.env@r1", '"it reads the variable WHERE"'),
        ("local.far@r1", '"its recipe is outside of the project"'),
        ("local.file@r1", '"it reads a file outside of the project"'),
        ("local.os@r1", '"it reads ENVY_OS_VERSION"'),
    ]
    assert str(tmp_path) not in "".join(rows)
    project.envy("sync", "--locked")


def test_custom_sources(project):
    """Their tools are installed to lock them, unless that is refused; then they are not locked."""
    project.recipe("vendor.tool@r1", 'install = "touch tool"')
    project.manifest(
        """packages = { { recipe = "vendor.made@r1", source = {
          dependencies = { { recipe = "vendor.tool@r1", source = "recipes/vendor.tool@r1.lua" } },
          fetch = function(ctx)
            ctx.write("recipe.lua", 'identity = "vendor.made@r1"\\ninstall = "touch made"')
            ctx.commit_fetch("recipe.lua")
          end } } }"""
    )
    project.envy("lock", "--no-install")
    text = (project.root / "envy.lock").read_text()
    reason = '"its source needs tools that are not installed"'
    assert f"vendor.made@r1 unlocked * {reason}" in text
    assert project.markers() == []
    project.envy("lock")
    text = (project.root / "envy.lock").read_text()
    assert "vendor.made@r1 recipe * custom sha256:" in text
    assert "unlocked" not in text
    assert project.markers() == ["vendor.tool@r1"]
    project.envy("sync", "--locked")


def test_a_registry_with_odd_names(world):
    """A file whose digest no lock may have is an error, and no lock is written."""
    odd = "tool-1.0-py3-none-any.whl"
    world.index.add("odd", odd.replace("tool", "odd"), b"x", digest="abc")
    world.project.packages("local.one@r1")
    world.project.recipe("local.one@r1", 'fetch = "pypi:odd==1.0"')
    failed = world.envy("lock", code=1)
    assert "the package index gives a sha256 digest that is none: 'abc'" in failed.err
    assert "the file is odd-1.0-py3-none-any.whl" in failed.err
    assert not world.path.exists()


def test_a_lock_that_is_cancelled(project, http_server, tmp_path):
    """Ctrl-C ends the look-ups for any platform; neither a lock nor a temporary folder stays."""
    asked, ended = threading.Event(), threading.Event()

    def hang(_request):
        asked.set()
        ended.wait(300)
        return Reply(b"late")

    http_server.routes["/windows.bin"] = hang
    http_server.routes["/linux.bin"] = http_server.routes["/darwin.bin"] = Reply(b"x")
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        f'fetch = function() return "{http_server.url}/" .. ENVY_PLATFORM .. ".bin" end',
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = project.popen("lock", env={"TMPDIR": str(scratch)})
    try:
        assert asked.wait(300)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    finally:
        ended.set()
        process.kill()
    assert process.returncode == 130, err
    assert err.decode().splitlines()[-1] == "cancelled"
    assert not (project.root / "envy.lock").exists()
    assert list(scratch.iterdir()) == []


def test_require_digest(project, http_server):
    """With `require_digest`, a download needs a digest of its recipe or of the lock."""
    http_server.routes["/a.tar"] = Reply(make_tar({"a": "a"}))
    project.manifest('packages = { "local.one@r1" }\nrequire_digest = true')
    project.recipe("local.one@r1", f'fetch = "{http_server.url}/a.tar"')
    failed = project.envy("sync", code=1)
    assert "/a.tar has no digest, and the manifest says `require_digest`" in failed.err
    assert "give it its `sha256`, or lock it with `envy lock`" in failed.err
    assert http_server.paths() == []
    project.envy("lock")
    locked = project.envy("sync")
    assert "has no digest" not in locked.err
    project.manifest('packages = { "local.one@r1" }\nrequire_digest = "yes"')
    wrong = project.envy("sync", code=1)
    assert "`require_digest` must be true or false" in wrong.err


def test_line_ends_and_sizes(project, http_server):
    """Line ends of a checkout mean nothing; another size is named before the content is read."""
    http_server.routes["/a.bin"] = Reply(b"12345")
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'fetch = "{http_server.url}/a.bin"')
    project.envy("lock")
    lock = project.root / "envy.lock"
    text = lock.read_bytes()
    lock.write_bytes(text.replace(b"\n", b"\r\n"))
    assert project.envy("lock", "--check").out == ""
    assert "is as it was" in project.envy("lock").err
    assert b"\r\n" in lock.read_bytes()  # what is as it was is not written
    project.envy("sync", "--locked")
    shutil.rmtree(project.cache)
    url = f"{http_server.url}/a.bin"
    right = "if what changed is right, run `envy lock --update local.one@r1`"
    http_server.routes["/a.bin"] = Reply(b"1234567")
    failed = project.envy("sync", code=1)
    assert f"the size of {url} is 7 bytes, but envy.lock has 5 for local.one@r1: {right}" in (
        failed.err
    )
    http_server.routes["/a.bin"] = Reply(b"1234567", chunked=True)
    failed = project.envy("sync", code=1)
    assert (
        f"the size of {url} is more than 5 bytes, but envy.lock has 5 for local.one" in failed.err
    )
    assert project.markers() == []
    http_server.routes["/a.bin"] = Reply(b"12345")
    project.envy("sync", "--locked")
    http_server.routes["/a.bin"] = Reply(b"123456")
    project.envy("lock", "--update", "local.one@r1")
    assert b"\r" not in lock.read_bytes()  # written anew, with the line ends of every machine
    assert lock.read_bytes().splitlines()[-3].endswith(b" 6")
