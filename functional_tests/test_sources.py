"""Sources of packages: HTTP, git, local files, and the registries of pip and npm."""

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
    """A verified download is published under the last name in its URL."""
    http_server.routes["/a/data.txt"] = Reply(CONTENT)
    body = f'fetch = {{ source = "{http_server.url}/a/data.txt?x=1", sha256 = "{DIGEST}" }}'
    run = project.sync_one(body)
    assert tree(run.folder("local.one@r1")) == {"data.txt": "content\n"}
    [done] = run.named("lua_ctx_fetch_complete")
    assert done["bytes_downloaded"] == len(CONTENT)
    assert "sha256 =" not in run.err


def test_another_content_than_declared_is_refused(project, http_server):
    """The error has the declared and the actual digest, and nothing is published."""
    http_server.routes["/data.txt"] = Reply(b"changed\n")
    body = f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}'
    run = project.sync_one(body, code=1)
    assert DIGEST in run.err
    assert hashlib.sha256(b"changed\n").hexdigest() in run.err
    assert project.markers() == []


def test_a_file_without_digest_warns_with_the_line_to_paste(project, http_server):
    """The warning has the digest to add, once for each file."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    run = project.sync_one(f'fetch = "{http_server.url}/data.txt"')
    assert run.err.count(f'sha256 = "{DIGEST}"') == 1


def test_a_cached_package_downloads_nothing(project, http_server):
    """The second sync sends no request."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    body = f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}'
    project.sync_one(body)
    project.sync_one(body)
    assert len(http_server.requests) == 1


def test_a_failed_attempt_loses_no_download(project, http_server, tmp_path):
    """The next attempt uses verified downloads of a failed one."""
    http_server.routes["/data.txt"] = Reply(CONTENT)
    body = (
        f'fetch = {{ source = "{http_server.url}/data.txt", sha256 = "{DIGEST}" }}\n'
        f'build = "test -e {tmp_path}/ready"'
    )
    project.sync_one(body, code=1)
    (tmp_path / "ready").touch()
    assert tree(project.make(body)) == {"data.txt": "content\n"}
    assert len(http_server.requests) == 1


def test_a_missing_file_of_a_batch_is_an_error(project, http_server):
    """If one of several files is missing, the error names it."""
    http_server.routes["/a.txt"] = Reply(b"a")
    rows = ", ".join(f'"{http_server.url}/{name}.txt"' for name in "ab")
    run = project.sync_one(f"fetch = {{ {rows} }}", code=1)
    assert f"{http_server.url}/b.txt" in run.err
    assert "404" in run.err


def test_a_batch_is_fetched_in_parallel(project, http_server):
    """Two downloads of one package run at the same time."""
    both = threading.Barrier(2, timeout=300)

    def meet(_request):
        both.wait()
        return Reply(CONTENT)

    http_server.routes["/a.txt"] = http_server.routes["/b.txt"] = meet
    rows = ", ".join(f'"{http_server.url}/{name}.txt"' for name in "ab")
    project.make(f"fetch = {{ {rows} }}")


def test_fetch_jobs_limits_downloads(project, http_server):
    """--fetch-jobs limits the simultaneous downloads of all packages."""
    lock, now, most = threading.Lock(), 0, 0
    never = threading.Event()

    def count(_request):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        never.wait(0.05)  # long enough for another request, if more are allowed
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
    """A fetch function may read one file to decide what to fetch next."""
    http_server.routes["/latest"] = Reply(b"tool-2.tar.gz")
    http_server.routes["/tool-2.tar.gz"] = Reply(make_archive("x.tar.gz", {"tool": "two"}))
    body = f"""fetch = function(ctx)
      local name = ctx.read(ctx.fetch("{http_server.url}/latest"))
      ctx.commit_fetch(ctx.fetch({{ source = "{http_server.url}/" .. name }}))
    end"""
    assert tree(project.make(body)) == {"tool": "two"}


# -- local --------------------------------------------------------------------------------------


def test_local_sources_are_relative_to_the_recipe(project):
    """A local source is a path relative to the recipe, or a URI."""
    project.write("recipes/beside.txt", "1")
    project.write("above.txt", "2")
    project.write("by uri.txt", "3")
    uri = (project.root / "by uri.txt").as_uri()
    folder = project.make(f'fetch = {{ "beside.txt", "../above.txt", "{uri}" }}')
    assert tree(folder) == {"beside.txt": "1", "above.txt": "2", "by uri.txt": "3"}


def test_a_local_file_is_verified_too(project):
    """A local file that does not match its digest is an error."""
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
    """A commit, branch or tag provides its files, without the repository."""
    commit = git_repository.commit({"src/main.c": "int main;\n", "README": "read\n"})
    git_repository.tag("v1")
    git_repository.commit({"README": "later\n"}, branch="later")
    ref = {"commit": commit, "branch": "main", "tag": "v1"}[kind]
    folder = project.make(f'fetch = {{ source = "{git_repository.url}", ref = "{ref}" }}')
    assert tree(folder) == {"src/main.c": "int main;\n", "README": "read\n"}


def test_a_git_source_may_be_a_part_of_the_tree(project, git_repository):
    """`subdir` selects a folder of the repository, and `into` names its destination."""
    git_repository.commit({"src/deep/main.c": "int main;\n", "README": "read\n"})
    fields = 'ref = "main", subdir = "src", into = "code"'
    folder = project.make(f'fetch = {{ source = "{git_repository.url}", {fields} }}')
    assert tree(folder) == {"code/deep/main.c": "int main;\n"}


def test_a_branch_that_moved_is_another_package(project, git_repository):
    """The commit of a branch is part of the key, so a moved branch causes a rebuild."""
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
    """Scripts go to bin/ as executables, data to the root, and the rest stays in place."""
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
    """kind = "sdist" fetches the source archive."""
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
    """The leading folder `package/` of npm archives is removed."""
    npm_registry.add("@scope/tool", "1.2.3", make_npm_tarball({"bin/tool.js": "js\n"}))
    folder = project.make(
        'fetch = "npm:@scope/tool@1.2.3"', env={"npm_config_registry": npm_registry.url}
    )
    assert tree(folder) == {"bin/tool.js": "js\n"}


def test_one_package_may_have_sources_of_all_kinds(project, http_server, git_repository):
    """One fetch may combine a download, a repository and a local tree."""
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
