"""Python requirements in envy.lock: resolved by `envy lock`, obeyed by every other command."""

import shutil

import pytest
from loopback.http_server import Reply
from loopback.package_index import make_wheel

from envy.cache.names import FINGERPRINT

UV = """
identity = "local.uv@r1"
fetch = "uv.sh"
inputs = { "uv.sh" }
stage = function(ctx) ctx.copy(ctx.fetch_dir .. "/uv.sh", "bin/uv"); ctx.chmod("bin/uv", "755") end
products = { uv = "bin/uv" }
"""
# Resolves to what a file says, and keeps what it was asked.
PROGRAM = """#!/bin/sh
echo "$*" >> "$ASKED"
cat requirements.in >> "$ASKED"
test ! -f pylock.toml || cat pylock.toml >> "$ASKED"
if test ! -f "$RESOLVED"; then
  echo "because nothing-such was not found in the package registry and you require it"
  exit 1
fi
cp "$RESOLVED" pylock.toml
"""
RECIPE = """
dependencies = { { recipe = "local.uv@r1", needed_by = "fetch", use = "build" } }
options = { lines = { type = "array" } }
requirements = function(opts) return { lines = opts.lines, python = "3.12" } end
fetch = function(ctx, opts)
  local text = ctx.locked_requirements()
  if not text then ctx.uv { "pip", "compile" } end
  ctx.write("chosen.txt", text or "found now")
  ctx.commit_fetch("chosen.txt")
end
install = function(ctx) ctx.copy(ctx.stage_dir .. "/chosen.txt", ".") end
"""
SIX = """
[[packages]]
name = "six"
version = "VERSION"
marker = "python_full_version >= '3.12'"
wheels = [
  { url = "https://me:hidden@x.invalid/six-VERSION-b.whl", size = 7, hashes = { sha256 = "B" } },
  { url = "https://x.invalid/six-VERSION-a.whl", hashes = { sha256 = "A" } },
]
"""
OLD = """
[[packages]]
name = "old"
version = "2.0"
marker = "python_full_version >= '3.12' and sys_platform == 'linux'"
sdist = { url = "https://x.invalid/old-2.0.tar.gz", size = 5, hashes = { sha512 = "C" } }
"""
A, B, C = ("a" * 64, "b" * 64, "c" * 128)


def publish(path, *packages, version="3.5"):
    """Let the uv of the test resolve to these packages."""
    text = "\n".join(packages).replace("VERSION", version)
    for name, digest in (("A", A), ("B", B), ("C", C)):
        text = text.replace(f'"{name}"', f'"{digest}"')
    path.write_text(text)


def fingerprint(run, identity):
    return (run.folder(identity).parent / FINGERPRINT).read_bytes()


def test_requirements_are_locked_and_obeyed(project, tmp_path):
    """What requirements resolve to stands in the lock, and stays until somebody says otherwise."""
    resolved, asked = tmp_path / "resolved", tmp_path / "asked"
    env = {"RESOLVED": str(resolved), "ASKED": str(asked), "PIP_INDEX_URL": "file:///i/simple"}
    project.recipe("local.uv@r1", UV)
    project.write("recipes/uv.sh", PROGRAM)
    project.recipe("local.env@r1", RECIPE)
    manifest = 'packages = {{ {{ recipe = "local.env@r1", options = {{ lines = {{ {} }} }} }} }}\n'
    project.manifest(manifest.format('"six", ""'))
    lock = project.root / "envy.lock"
    name = 'local.env@r1{lines={"six",""}}'
    quoted = '"local.env@r1{lines={\\"six\\",\\"\\"}}"' if " " in name else name

    def envy(*words, **details):
        return project.envy(*words, env=env, **details)

    publish(resolved, SIX, OLD)
    run = envy("lock", "--no-install")
    assert f"not locked: {name}: its requirements are resolved with uv, which is not i" in run.err
    assert not asked.exists()
    text = locked_by(envy, lock, asked, quoted)
    run = envy("sync", "--locked")
    chosen = run.folder("local.env@r1") / "chosen.txt"
    assert chosen.read_text() == (
        f"old==2.0 ; sys_platform == 'linux' --hash=sha512:{C}\n"
        f"six==3.5 --hash=sha256:{A} --hash=sha256:{B}\n"
    )
    before = fingerprint(run, "local.env@r1")
    # Upstream moves, and the cache is lost.
    publish(resolved, SIX, version="3.6")
    shutil.rmtree(project.cache)
    asked.unlink()
    run = envy("sync", "--locked")
    assert fingerprint(run, "local.env@r1") == before
    assert "is as it was" in envy("lock").err
    assert "is as it was" in envy("lock", "--platform", "linux-x86_64").err
    assert not asked.exists()
    assert lock.read_text() == text
    # What is taken anew is in the key.
    envy("lock", "--update", "local.env@r1")
    new = lock.read_text()
    kept = text.replace(line_of(text, "pypi:old") + "\n", "").replace("3.5", "3.6")
    assert new == kept.replace(digest_in(text), digest_in(new))
    assert "3.5" not in asked.read_text()  # no release is preferred
    run = envy("sync")
    assert (run.folder("local.env@r1") / "chosen.txt").read_text().startswith("six==3.6 --hash")
    contradictions(envy, lock, name)
    changed_requirements(project, envy, lock, asked, manifest)
    resolved.unlink()
    project.manifest(manifest.format('"nothing-such"'))
    run = envy("lock", code=1)
    assert 'the requirements of local.env@r1{lines={"nothing-such"}} do not resolve: ' in run.err
    assert "there is no package nothing-such; looked in file:///i/simple" in run.err


def locked_by(envy, lock, asked, quoted):
    """`envy lock` installs uv, asks it once, and writes what it says; return the text."""
    run = envy("lock")
    assert "not locked" not in run.err
    text = lock.read_text()
    first = line_of(text, "pypi:six")
    rows = f"six-3.5-a.whl sha256:{A} - six-3.5-b.whl sha256:{B} 7"
    assert first == f"{quoted} release * pypi:six 3.5 {rows}"
    old = f"2.0 old-2.0.tar.gz sha512:{C} 5"
    assert f"{quoted} release * \"pypi:old; sys_platform == 'linux'\" {old}\n" in text
    assert f"{quoted} requirements * python>=3.12 sha256:" in text
    assert "hidden" not in text
    assert "unlocked" not in text
    words = asked.read_text()
    assert words.count("--universal") == 1
    assert "--python-version 3.12 requirements.in\nsix\n" in words
    assert "is as it was" in envy("lock").err
    envy("lock", "--check")
    assert asked.read_text() == words
    return text


def line_of(text, words):
    [line] = [line for line in text.splitlines() if words in line]
    return line


def digest_in(text):
    return line_of(text, " requirements * ").split()[-1]


def contradictions(envy, lock, name):
    """A release that is missing or another is one line; `envy lock` resolves it again."""
    text = lock.read_text()
    topic = f"{name} requirements python>=3.12"
    for bad in (text.replace(B, C[:64]), text.replace(line_of(text, "pypi:six") + "\n", "")):
        lock.write_text(bad)
        for words in (("sync",), ("sync", "--locked"), ("asset", "local.env@r1")):
            run = envy(*words, code=1)
            [line] = [line for line in run.err.splitlines() if "envy.lock" in line]
            assert f"envy.lock: {topic}: its digest is {digest_in(text)}, but its" in line
            assert "run `envy lock`, which resolves them again" in line
        assert "+ " in envy("lock", "--check", code=1).out
        envy("lock")
        assert lock.read_text() == text
    lock.write_text(text.replace(f"{line_of(text, ' requirements ')}\n", ""))
    assert f"envy.lock lacks {topic}: run `envy lock`" in envy("sync", "--locked", code=1).err
    assert f"warning: envy.lock lacks {topic};" in envy("sync").err
    lock.write_text(text.replace("pypi:six 3.6", "pypi:six ../1"))
    assert "'../1' is not a version" in envy("sync", code=1).err
    lock.write_text(text.replace(f" {B} 7", f" {B}").replace(B, f"{B} x y z"))
    assert "is not a" in envy("sync", code=1).err
    lock.write_text(text)


def changed_requirements(project, envy, lock, asked, manifest):
    """Of changed requirements, uv prefers what is locked; without a lock, a digest is required."""
    project.manifest(manifest.format('"six", "more"'))
    asked.unlink()
    envy("lock")
    assert 'name = "six"\nversion = "3.6"\nindex = ' in asked.read_text()
    before = lock.read_text()
    lock.unlink()
    project.manifest(manifest.format('"six", "more"') + "require_digest = true\n")
    run = envy("sync", code=1)
    assert "the requirements have no digests, and the manifest says `require_digest`" in run.err
    assert "lock them with `envy lock`" in run.err
    lock.write_text(before)
    envy("sync", "--locked")
    listed = '"six --hash=sha256:0"'  # uv verifies such lines itself
    project.manifest(manifest.format(listed))
    envy("lock")
    assert " requirements " not in lock.read_text()


@pytest.mark.network
def test_a_locked_environment(project, package_index):
    """An environment is made of what is locked; a file that changed is named with its entry."""

    def wheel(version, word="good"):
        info = f"envylocked-{version}.dist-info"
        named = f"Metadata-Version: 2.1\nName: envylocked\nVersion: {version}\n"
        return make_wheel(
            {
                "envylocked.py": f"word = '{word}'\n",
                f"{info}/METADATA": named,
                f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": "",
            }
        )

    def publish_wheel(version, **details):
        name = f"envylocked-{version}-py3-none-any.whl"
        package_index.add("envylocked", name, wheel(version), **details)

    env = {"PIP_EXTRA_INDEX_URL": package_index.url}
    publish_wheel("1.0")
    option = 'options = { requirements = { "envylocked" } }'
    project.manifest(f'packages = {{ {{ recipe = "envy.python@r1", {option} }} }}\n')
    project.envy("lock", env=env)
    text = (project.root / "envy.lock").read_text()
    assert "release * pypi:envylocked 1.0 envylocked-1.0-py3-none-any.whl sha256:" in text
    before = fingerprint(project.envy("sync", "--locked", env=env), "envy.python@r1")
    publish_wheel("2.0")
    shutil.rmtree(project.cache)
    run = project.envy("sync", "--locked", env=env)
    assert fingerprint(run, "envy.python@r1") == before
    # Without the index, from what uv has kept.
    shutil.rmtree(run.folder("envy.python@r1").parent)
    assert project.envy("sync", "--locked", "--offline", env=env).code == 0
    # The same version with other content.
    shutil.rmtree(project.cache)
    other = Reply(wheel("1.0", "evil"))
    package_index.server.routes["/files/envylocked-1.0-py3-none-any.whl"] = other
    run = project.envy("sync", "--locked", env=env, code=1)
    assert "release pypi:envylocked: the digest of envylocked 1.0 is sha256:" in run.err
    assert "run `envy lock --update 'envy.python@r1{requirements={\"envylocked\"}}'`" in run.err
