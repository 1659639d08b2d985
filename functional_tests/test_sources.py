"""Where packages are fetched from: HTTP, git, local files, and the registries of pip and npm."""

import hashlib
import os
import threading

import pytest
from archives import make_archive, make_tar
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_sdist, make_wheel
from mistakes import interrupt
from project import tree

CONTENT = b"content\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


# -- http ---------------------------------------------------------------------------------------


def test_a_file_is_verified_and_published(project, http_server):
    """A download with its sha256 is published under the name that its address ends in."""
    http_server.routes["/a/data.txt"] = Reply(CONTENT)
    body = f'fetch = {{ source = "{http_server.url}/a/data.txt?x=1", sha256 = "{DIGEST}" }}'
    run = project.sync_one(body)
    assert tree(run.folder("local.one@r1")) == {"data.txt": "content\n"}
    [done] = run.named("lua_ctx_fetch_complete")
    assert done["bytes_downloaded"] == len(CONTENT)
    assert "sha256 =" not in run.err


def test_another_content_than_promised_is_refused(project, http_server):
    """The error shows both digests, and nothing is published."""
    http_server.routes["/data.txt"] = Reply(b"changed\n")
    body = f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}'
    run = project.sync_one(body, code=1)
    assert DIGEST in run.err
    assert hashlib.sha256(b"changed\n").hexdigest() in run.err
    assert project.markers() == []


def test_a_file_without_digest_warns_with_the_line_to_paste(project, http_server):
    """Once for each file, with what would pin it."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    run = project.sync_one(f'fetch = "{http_server.url}/data.txt"')
    assert run.err.count(f'sha256 = "{DIGEST}"') == 1


def test_a_cached_package_downloads_nothing(project, http_server):
    """The second sync asks no server."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    body = f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}'
    project.sync_one(body)
    project.sync_one(body)
    assert len(http_server.requests) == 1


def test_a_failed_attempt_loses_no_download(project, http_server, tmp_path):
    """What was fetched and verified is used again by the next attempt."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    body = (
        f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}\n'
        f'build = "test -e {tmp_path}/ready"'
    )
    project.sync_one(body, code=1)
    (tmp_path / "ready").touch()
    assert tree(project.make(body)) == {"data.txt": "content\n"}
    assert len(http_server.requests) == 1


def test_a_batch_is_fetched_whole_or_not_at_all(project, http_server):
    """When one of several files is missing, nothing is staged."""
    http_server.routes["/a.txt"] = Reply(b"a")
    rows = ", ".join(f'"{http_server.url}/{name}.txt"' for name in "ab")
    run = project.sync_one(f"fetch = {{ {rows} }}", code=1)
    assert f"{http_server.url}/b.txt" in run.err
    assert "404" in run.err


def test_a_batch_is_fetched_in_parallel(project, http_server):
    """Two downloads of one package are under way at one time."""
    both = threading.Barrier(2, timeout=30)

    def meet(_request):
        both.wait()
        return Reply(CONTENT)

    http_server.routes["/a.txt"] = http_server.routes["/b.txt"] = meet
    rows = ", ".join(f'"{http_server.url}/{name}.txt"' for name in "ab")
    project.make(f"fetch = {{ {rows} }}")


def test_no_more_downloads_than_asked_for(project, http_server):
    """--fetch-jobs limits how many downloads of all packages are under way."""
    lock, now, most = threading.Lock(), 0, 0
    gone_on = threading.Event()

    def count(_request):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gone_on.wait(0.05)  # long enough for another one to come, if one may
        with lock:
            now -= 1
        return Reply(CONTENT)

    names = [f"local.p{number}@r1" for number in range(4)]
    project.packages(*names)
    for name in names:
        rows = []
        for letter in "abc":
            http_server.routes[f"/{name}/{letter}"] = count
            rows.append(f'"{http_server.url}/{name}/{letter}"')
        project.recipe(name, f"fetch = {{ {', '.join(rows)} }}")
    project.envy("sync", "--fetch-jobs", "2", "--jobs", "4")
    assert most <= 2


def test_ctx_fetch_downloads_what_the_function_decides(project, http_server):
    """A function may read one file to know what to fetch next."""
    http_server.routes["/latest"] = Reply(b"tool-2.tar.gz")
    http_server.routes["/tool-2.tar.gz"] = Reply(make_archive("x.tar.gz", {"tool": "two"}))
    body = f"""fetch = function(ctx)
      local name = ctx.read(ctx.fetch("{http_server.url}/latest"))
      ctx.commit_fetch(ctx.fetch({{ source = "{http_server.url}/" .. name }}))
    end"""
    assert tree(project.make(body)) == {"tool": "two"}


# -- local --------------------------------------------------------------------------------------


def test_local_sources_are_relative_to_the_recipe(project):
    """A file beside the recipe, one above it, and one by its URI."""
    project.write("recipes/beside.txt", "1")
    project.write("above.txt", "2")
    project.write("by uri.txt", "3")
    uri = (project.root / "by uri.txt").as_uri()
    folder = project.make(f'fetch = {{ "beside.txt", "../above.txt", "{uri}" }}')
    assert tree(folder) == {"beside.txt": "1", "above.txt": "2", "by uri.txt": "3"}


def test_a_local_file_is_verified_too(project):
    """A digest of a local file is not for nothing."""
    project.write("recipes/data.txt", "changed")
    run = project.sync_one(f'fetch = {{ source = "data.txt", sha256 = "{DIGEST}" }}', code=1)
    assert DIGEST in run.err


def test_a_wait_for_a_busy_server_is_interrupted(project, http_server):
    """A run that waits as long as a server asked for ends promptly when it is told to."""
    http_server.routes["/x"] = Reply(status=503, headers={"Retry-After": "3600"})
    body = f'fetch = function(ctx) envy.info("begun") ctx.fetch("{http_server.url}/x") end'
    project.recipe("local.one@r1", body)
    project.packages("local.one@r1")
    interrupt(project, once="begun")


# -- git ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["commit", "branch", "tag"])
def test_a_git_source_is_its_tree(project, git_repository, kind):
    """A commit, a branch or a tag gives the files of it, and no repository."""
    commit = git_repository.commit({"src/main.c": "int main;\n", "README": "read\n"})
    git_repository.tag("v1")
    git_repository.commit({"README": "later\n"}, branch="later")
    ref = {"commit": commit, "branch": "main", "tag": "v1"}[kind]
    folder = project.make(f'fetch = {{ source = "{git_repository.url}", ref = "{ref}" }}')
    assert tree(folder) == {"src/main.c": "int main;\n", "README": "read\n"}


def test_a_git_source_may_be_a_part_of_the_tree(project, git_repository):
    """subdir takes a folder of the repository, into another one."""
    git_repository.commit({"src/deep/main.c": "int main;\n", "README": "read\n"})
    fields = 'ref = "main", subdir = "src", into = "code"'
    folder = project.make(f'fetch = {{ source = "{git_repository.url}", {fields} }}')
    assert tree(folder) == {"code/deep/main.c": "int main;\n"}


def test_a_branch_that_moved_is_another_package(project, git_repository):
    """The commit that a branch means is part of the key; it is built again only when it moved."""
    git_repository.commit({"README": "one\n"})
    body = f'fetch = {{ source = "{git_repository.url}", ref = "main" }}'
    project.make(body)
    assert project.sync_one(body).named("recipe_complete", outcome="cached")
    git_repository.commit({"README": "two\n"})
    assert tree(project.make(body)) == {"README": "two\n"}


def test_the_settings_of_git_change_no_package(project, git_repository, tmp_path):
    """A hook and line ends in the user's git settings neither run nor reach the package."""
    commit = git_repository.commit({"a.txt": "one\ntwo\n"})
    hook = project.write("home/hooks/post-checkout", f"#!/bin/sh\ntouch {tmp_path}/marker\n")
    hook.chmod(0o755)
    settings = f"[core]\nhooksPath = {hook.parent}\nautocrlf = true\neol = crlf\n"
    home = project.write("home/.gitconfig", settings).parent
    body = f'fetch = {{ source = "{git_repository.url}", ref = "{commit}" }}'
    folder = project.make(body, env={"HOME": str(home)})
    assert (folder / "a.txt").read_bytes() == b"one\ntwo\n"
    assert not (tmp_path / "marker").exists()


def test_pointers_of_git_lfs_are_warned_of(project, git_repository):
    """A package of pointer files is published with a warning that names the remedy."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST}\nsize 8\n"
    files = {".gitattributes": "*.bin filter=lfs\n", "a.bin": pointer}
    commit = git_repository.commit(files)
    run = project.sync_one(f'fetch = {{ source = "{git_repository.url}", ref = "{commit}" }}')
    assert "add lfs = true to the source" in run.err
    assert tree(run.folder("local.one@r1")) == files


def test_lfs_needs_its_program(project, git_repository):
    """Without git-lfs, `lfs = true` is an error that names the program."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST}\nsize 8\n"
    commit = git_repository.commit({".gitattributes": "*.bin filter=lfs\n", "a.bin": pointer})
    program = project.write("programs/git-lfs", "#!/bin/sh\nexit 127\n")
    program.chmod(0o755)
    run = project.sync_one(
        f'fetch = {{ source = "{git_repository.url}", ref = "{commit}", lfs = true }}',
        code=1,
        env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
    )
    assert "install git-lfs" in run.err
    assert project.markers() == []


# -- pypi and npm -------------------------------------------------------------------------------


def test_a_wheel_is_laid_out(project, package_index):
    """Scripts go to bin/ and can be run, data to the root, the rest stays in place."""
    wheel = make_wheel(
        {
            "tool/__init__.py": "x = 1\n",
            "tool-1.0.data/scripts/tool": "#!/bin/sh\necho tool\n",
            "tool-1.0.data/data/share/doc.txt": "doc\n",
            "tool-1.0.dist-info/METADATA": "Name: tool\n",
        }
    )
    package_index.add("tool", "tool-1.0-py3-none-any.whl", wheel)
    body = 'fetch = "pypi:tool==1.0"\nproducts = { tool = "bin/tool" }'
    folder = project.make(body, env={"PIP_INDEX_URL": package_index.url})
    found = tree(folder)
    assert found["bin/tool"] == "#!/bin/sh\necho tool\n"
    assert found["share/doc.txt"] == "doc\n"
    assert found["tool/__init__.py"] == "x = 1\n"
    assert (folder / "bin/tool").stat().st_mode & 0o111


def test_a_source_release_is_unpacked(project, package_index):
    """kind = "sdist" takes the source archive, to be built."""
    package_index.add("tool", "tool-1.0.tar.gz", make_sdist("tool-1.0", {"main.c": "int main;\n"}))
    body = 'fetch = { source = "pypi:tool==1.0", kind = "sdist", strip = 1 }'
    folder = project.make(body, env={"PIP_INDEX_URL": package_index.url})
    assert tree(folder) == {"main.c": "int main;\n"}


def test_an_index_names_no_file_of_this_machine(project, package_index, tmp_path):
    """A local file that an index names over HTTP does not become a package."""
    secret = tmp_path / "tool-1.0-py3-none-any.whl"
    secret.write_bytes(make_wheel({"secret": "s"}))
    package_index.add("tool", secret.name, secret.read_bytes(), url=secret.as_uri())
    run = project.sync_one(
        'fetch = "pypi:tool==1.0"', code=1, env={"PIP_INDEX_URL": package_index.url}
    )
    assert f"names {secret.as_uri()}, but an address that comes from the network" in run.err
    assert project.markers() == []


def test_an_npm_package_drops_its_leading_folder(project, npm_registry):
    """`package/` is how npm packs, and no part of what is published."""
    npm_registry.add("@scope/tool", "1.2.3", make_npm_tarball({"bin/tool.js": "js\n"}))
    folder = project.make(
        'fetch = "npm:@scope/tool@1.2.3"', env={"npm_config_registry": npm_registry.url}
    )
    assert tree(folder) == {"bin/tool.js": "js\n"}


def test_sources_of_all_sorts_make_one_package(project, http_server, git_repository):
    """One fetch may hold a download, a repository and a local tree."""
    http_server.routes["/a.tar"] = Reply(make_tar({"a.txt": "a"}))
    git_repository.commit({"b.txt": "b"})
    project.write("recipes/local/c.txt", "c")
    folder = project.make(
        f"""fetch = {{
          "{http_server.url}/a.tar",
          {{ source = "{git_repository.url}", ref = "main" }},
          "local",
        }}"""
    )
    assert tree(folder) == {"a.txt": "a", "b.txt": "b", "c.txt": "c"}
