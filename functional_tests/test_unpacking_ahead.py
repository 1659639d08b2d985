"""Archives that are unpacked while they are downloaded: what is published was verified."""

import hashlib
import os
import random
import time

import pytest
from archives import make_archive
from project import tree
from slow_server import SlowServer

RANDOM = random.Random(11)
FILES = {"top/first": "1" * 2_000_000}
FILES |= {f"top/{n}": RANDOM.randbytes(6000).hex() for n in range(200)}
OTHER = {**FILES, "top/first": "2" * 2_000_000, "top/200": "new"}


@pytest.fixture
def server():
    server = SlowServer()
    yield server
    server.close()


def body(server, name, digest):
    return f'fetch = {{ source = "{server.url}/{name}", strip = 1, sha256 = "{digest}" }}'


def payload(files):
    return {name.removeprefix("top/"): text for name, text in files.items()}


def first_is_there(project):
    return lambda: any(project.cache.glob("assets/local.one@r1/*/asset/first"))


@pytest.mark.parametrize("name", ["x.zip", "x.tar.zst"])
def test_a_slow_download(project, server, name):
    """The first file is there before the last byte is, and what is published is the same."""
    server.data = make_archive(name, FILES)
    digest = hashlib.sha256(server.data).hexdigest()
    server.first, server.go_on = len(server.data) // 2, first_is_there(project)
    run = project.sync_one(body(server, name, digest))
    assert server.went_on
    folder = run.folder("local.one@r1")
    assert tree(folder) == payload(FILES)
    assert {path.stat().st_mode & 0o222 for path in folder.rglob("*")} == {0}
    assert run.named("lua_ctx_extract_complete", files_extracted=201)
    rows = (folder.parent / "envy-fingerprint.blake3").read_text().splitlines()[1:]
    project.envy("cache", "clear", trace=False)
    server.first = len(server.data)
    again = project.sync_one(body(server, name, digest)).folder("local.one@r1")
    assert (again.parent / "envy-fingerprint.blake3").read_text().splitlines()[1:] == rows


def test_faults_on_the_way(project, server):
    """A wrong digest, other content after a break, and kill -9: nothing stays of what was wrong."""
    good, other = make_archive("x.tar.zst", FILES), make_archive("x.tar.zst", OTHER)
    server.data, server.first, server.go_on = good, len(good) // 2, first_is_there(project)
    failed = project.sync_one(body(server, "x.tar.zst", "0" * 64), code=1)
    assert f"actual   {hashlib.sha256(good).hexdigest()}" in failed.err
    assert "kept as" in failed.err
    assert [*project.cache.glob("assets/*/*/asset/*")] == []

    # The server has other content when the download goes on: it starts over, and so is this.
    def change():
        # Nothing is unpacked ahead any more when it starts over.
        if server.version == "2" or first_is_there(project)():
            server.data, server.version = other, "2"
            return True
        return False

    server.go_on, server.breaks = change, True
    right = body(server, "x.tar.zst", hashlib.sha256(other).hexdigest())
    run = project.sync_one(right)
    assert tree(run.folder("local.one@r1")) == payload(OTHER)
    project.envy("cache", "clear", trace=False)

    server.go_on, server.first = lambda: False, len(other) // 2
    killed = project.popen("sync")
    is_there = first_is_there(project)
    while killed.poll() is None and not is_there():
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert is_there()
    assert not [*project.cache.glob("assets/*/*/envy-complete")]
    server.first = len(other)
    assert tree(project.envy("sync").folder("local.one@r1")) == payload(OTHER)


def unpacked_whole(project):
    return lambda: any(project.cache.glob("assets/local.one@r1/*/asset/199"))


def test_what_was_never_verified_is_never_published(project, server):
    """All bytes of another archive arrive and are unpacked before the right one takes its place."""
    good = {**FILES, "top/first": "2" * 2_000_000}
    bad, right = make_archive("x.tar", FILES), make_archive("x.tar", good)
    assert len(bad) == len(right)
    digest = hashlib.sha256(right).hexdigest()
    server.data, server.first, server.go_on = bad, len(bad) // 2, first_is_there(project)
    server.others["/good.tar"] = right
    mirrors = f'mirrors = {{ "{server.url}/good.tar" }}, sha256'
    run = project.sync_one(body(server, "x.tar", digest).replace("sha256", mirrors))
    assert server.went_on
    assert "trying the next of 2 addresses" in run.err
    assert tree(run.folder("local.one@r1")) == payload(good)
    project.envy("cache", "clear", trace=False)

    # The rest of a part is there, and then the server sends more, and then another file.
    server.breaks, server.went_on, server.surplus = True, False, bytes(10)

    def go_further():
        if not unpacked_whole(project)():
            return False
        server.data, server.version, server.first = right, "2", len(right)
        return True

    server.go_further = go_further
    run = project.sync_one(body(server, "x.tar", digest))
    assert server.went_on
    assert server.surplus == b""
    assert tree(run.folder("local.one@r1")) == payload(good)


def test_a_server_that_does_not_answer_for_the_end_of_a_zip(project, server):
    """Nothing waits for it: the zip is unpacked when it is there."""
    server.data = make_archive("x.zip", FILES)
    digest = hashlib.sha256(server.data).hexdigest()
    server.answers_for_end.clear()
    server.first, server.go_on = 1_000_000, iter([False] * 30 + [True] * 9).__next__
    run = project.sync_one(body(server, "x.zip", digest))
    assert tree(run.folder("local.one@r1")) == payload(FILES)
    server.answers_for_end.set()


def test_a_limit_and_a_hostile_archive(project, server):
    """The errors are those of the phase stage, and what failed ahead is removed at once."""
    server.data = make_archive("x.tar.zst", FILES)
    digest = hashlib.sha256(server.data).hexdigest()
    server.first, server.go_on = len(server.data) // 4, first_is_there(project)
    server.breaks, server.surplus, removed = True, bytes(10), []

    def go_further():
        # The limit is reached in the rest of the archive; the download still goes on.
        if first_is_there(project)():
            return False
        removed.append(True)
        server.version, server.first = "2", len(server.data)
        return True

    server.go_further = go_further
    failed = project.sync_one(
        body(server, "x.tar.zst", digest), code=1, env={"ENVY_LIMITS": "unpacked-size=3000000"}
    )
    assert "the limit unpacked-size" in failed.err
    assert "local.one@r1 in stage" in failed.err
    assert removed == [True]


def test_unpacking_it_once_more(project, server):
    """ctx.extract_all of a build and an install unpacks the file, however slowly it came."""
    server.data = make_archive("x.tar.zst", FILES)
    digest = hashlib.sha256(server.data).hexdigest()
    server.first = len(server.data) // 2
    server.go_on = lambda: any(project.cache.glob("assets/local.one@r1/*/work/stage/first"))
    functions = """
build = function(ctx)
  ctx.mkdir("built")
  ctx.write("built/count", tostring(ctx.extract_all({ dest = "built", strip = 1 })))
end
install = function(ctx)
  ctx.copy(ctx.stage_dir .. "/built", ctx.install_dir .. "/built")
  ctx.extract_all({ dest = ctx.install_dir .. "/installed" })
end
"""
    run = project.sync_one(body(server, "x.tar.zst", digest) + functions)
    assert server.went_on
    found = tree(run.folder("local.one@r1"))
    built = {f"built/{name}": text for name, text in payload(FILES).items()}
    installed = {f"installed/{name}": text for name, text in payload(FILES).items()}
    assert found == {**built, **installed, "built/count": "201"}


def test_a_folder_in_dest(project, server):
    """It is unpacked once, and counts once for the limits, wherever the archive lies."""
    server.data = make_archive("x.tar.zst", FILES)
    digest = hashlib.sha256(server.data).hexdigest()
    seen = []

    def is_seen():
        # The number of an open file cannot become that of another one.
        found = project.cache.glob("assets/local.one@r1/*/asset/first")
        seen.extend(path.open() for path in found)
        return bool(seen)

    server.first, server.go_on = len(server.data) // 2, is_seen
    size = sum(map(len, FILES.values()))
    run = project.sync_one(
        body(server, "x.tar.zst", digest).replace(", strip", ', dest = "a/b/x.tar.zst", strip'),
        env={"ENVY_LIMITS": f"unpacked-size={size + 10}"},
    )
    folder = run.folder("local.one@r1")
    with seen[0] as first:
        assert os.path.samestat(os.fstat(first.fileno()), (folder / "first").stat())
    assert tree(folder) == payload(FILES)
