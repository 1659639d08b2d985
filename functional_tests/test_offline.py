"""Unpinned sources: a sync follows them, and everything else uses what they were."""

import shutil
import subprocess

import pytest
from loopback.http_server import Reply
from project import tree
from test_warm import is_warm

RECIPE = 'identity = "vendor.tool@v3"\ninstall = "echo {} > tool.txt"\n'
DOWN = Reply(b"", status=503)
OTHER = '{ recipe = "local.other@r1" }'


def entry(source, **fields):
    """Return an entry of the manifest with a remote recipe."""
    rows = "".join(f', {name} = "{value}"' for name, value in fields.items())
    return f'{{ recipe = "vendor.tool@v3", source = "{source}"{rows} }}'


def write_manifest(project, *entries):
    project.manifest(f"packages = {{ {', '.join(entries)} }}")


def said_by(project, *words, **options):
    """Return what the tool was built to say, as a query finds it."""
    run = project.envy("asset", *words, "tool", **options)
    return tree(run.out.strip())["tool.txt"].strip()


@pytest.fixture
def served(project, http_server):
    """A project whose recipe is a file without a digest; a function changes it."""
    project.recipe("local.other@r1", 'install = "touch other"')
    write_manifest(project, entry(f"{http_server.url}/tool.lua"))

    def serve(text):
        http_server.routes["/tool.lua"] = Reply(RECIPE.format(text).encode())

    serve("one")
    project.envy("sync")
    http_server.requests.clear()
    return serve


@pytest.fixture
def branch(project, git_repository):
    """A project whose recipe is in a branch; a function changes it."""
    project.recipe("local.other@r1", 'install = "touch other"')
    write_manifest(project, entry(git_repository.url, ref="main"))

    def commit(text):
        git_repository.commit({"recipe.lua": RECIPE.format(text)})

    commit("one")
    project.envy("sync")
    return commit


QUERIES = [
    ("asset", "tool"), ("product",), ("run", "--", "true"), ("graph",), ("why", "tool"),
    ("asset", "--no-install", "tool"), ("run", "--no-install", "--", "true"),
]  # fmt: skip


@pytest.mark.parametrize("words", QUERIES, ids=" ".join)
@pytest.mark.parametrize("trace", [False, True], ids=["warm", "full"])
def test_a_query_asks_nobody(project, http_server, served, words, trace):
    """Whatever the server has by now, and whether or not the answer is a stored one."""
    served("two")
    project.envy(*words, trace=trace)
    assert http_server.paths() == []


def test_a_query_is_warm_and_a_sync_is_not(project, served):
    """A stored answer with an unpinned source is one for queries only."""
    assert is_warm(project, "asset", "tool")
    assert not is_warm(project, "sync")


@pytest.mark.parametrize("trace", [False, True], ids=["warm", "full"])
def test_a_sync_follows_a_file_and_a_query_what_the_sync_found(project, served, trace):
    """Queries change their answer when the next sync has found another one."""
    served("two")
    assert said_by(project, trace=trace) == "one"
    project.envy("sync", trace=trace)
    assert said_by(project, trace=trace) == "two"


def test_a_sync_follows_a_branch_and_a_query_what_the_sync_found(project, branch):
    """The commit of the last sync counts, even if its entry has to be built again."""
    branch("two")
    assert said_by(project) == "one"
    shutil.rmtree(project.cache / "assets")
    assert said_by(project) == "one"
    project.envy("sync")
    assert said_by(project) == "two"


def test_a_changed_manifest_keeps_the_other_sources(project, http_server, served):
    """A query resolves what the change touched, and nothing else."""
    served("two")
    write_manifest(project, entry(f"{http_server.url}/tool.lua"), OTHER)
    project.envy("asset", "other")
    assert said_by(project) == "one"
    assert http_server.paths() == []
    http_server.routes["/new.lua"] = http_server.routes["/tool.lua"]
    write_manifest(project, entry(f"{http_server.url}/new.lua"))
    assert said_by(project) == "two"
    assert http_server.paths() == ["/new.lua"]
    # It was not part of the project in between, so nothing is known about it any more.
    write_manifest(project, entry(f"{http_server.url}/tool.lua"))
    assert said_by(project) == "two"


def test_another_ref_is_another_source(project, git_repository, branch):
    """Only the ref that the manifest names now is looked up."""
    git_repository.tag("first")
    branch("two")
    git_repository.tag("second")
    git_repository.git("push", "-q", "--tags", "origin")
    write_manifest(project, entry(git_repository.url, ref="second"))
    assert said_by(project) == "two"


def test_a_branch_in_fetch_is_what_it_was(project, git_repository):
    """A source of `fetch` is treated like the source of a recipe."""
    git_repository.commit({"data": "one"})
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'fetch = {{ source = "{git_repository.url}", ref = "main" }}')

    def data(*words):
        return tree(project.envy("asset", "one", *words).out.strip())["data"]

    project.envy("sync")
    git_repository.commit({"data": "two"})
    assert data() == "one"
    shutil.rmtree(project.cache / "assets")
    assert data() == "one"
    git_repository.path.rename(git_repository.path.with_name("gone.git"))
    run = project.envy("sync")
    assert "cannot be reached, so local.one@r1 stays as it was" in run.err
    assert data("--no-install") == "one"


def test_a_sync_that_reaches_nobody_keeps_what_it_has(project, http_server, served):
    """It warns, and installs what does not depend on the source."""
    http_server.routes["/tool.lua"] = DOWN
    write_manifest(project, entry(f"{http_server.url}/tool.lua"), OTHER)
    run = project.envy("sync")
    assert "/tool.lua cannot be reached, so vendor.tool@v3 stays as it was: " in run.err
    assert run.named("recipe_complete", recipe="local.other@r1", outcome="installed")
    assert run.named("recipe_complete", recipe="vendor.tool@v3", outcome="cached")
    assert said_by(project) == "one"
    plan = project.envy("plan")
    assert "cannot be reached" in plan.err
    assert "vendor.tool@v3" in plan.out


def test_a_sync_that_never_reached_a_source_fails_only_what_needs_it(project, http_server):
    """Without a last resolution there is nothing to keep."""
    project.recipe("local.other@r1", 'install = "touch other"')
    http_server.routes["/tool.lua"] = DOWN
    write_manifest(project, entry(f"{http_server.url}/tool.lua"), OTHER)
    run = project.envy("sync", code=1)
    assert run.named("recipe_complete", recipe="local.other@r1", outcome="installed")
    assert "HTTP 503" in run.err


def test_a_source_that_was_removed_is_an_error(project, http_server, served):
    """That the file does not exist is an answer; a query still uses what was there."""
    del http_server.routes["/tool.lua"]
    assert "does not exist (HTTP 404)" in project.envy("sync", code=1).err
    assert said_by(project) == "one"


def test_a_branch_that_was_removed_is_an_error(project, git_repository):
    """The repository answers, and has no such branch."""
    git_repository.commit({"README": "no recipe"})
    git_repository.commit({"recipe.lua": RECIPE.format("one")}, branch="next")
    write_manifest(project, entry(git_repository.url, ref="next"))
    project.envy("sync")
    git_repository.git("push", "-q", "origin", ":next")
    assert "has no branch or tag next" in project.envy("sync", code=1).err
    assert said_by(project) == "one"


def test_a_failed_sync_does_not_forget(project, http_server, served):
    """What a run could not look at is kept."""
    served("two")
    write_manifest(project, entry(f"{http_server.url}/tool.lua"), '{ recipe = "local.broken@r1" }')
    project.recipe("local.broken@r1", "install = 'exit 1'")
    project.envy("asset", "broken", code=1)
    write_manifest(project, entry(f"{http_server.url}/tool.lua"))
    assert said_by(project) == "one"


@pytest.mark.parametrize("command", ["asset tool", "product tool", "run -- true"])
def test_without_installing_nothing_is_fetched(project, http_server, command):
    """A project that was never synced is an error that says what to do."""
    http_server.routes["/tool.lua"] = Reply(RECIPE.format("one").encode())
    write_manifest(project, entry(f"{http_server.url}/tool.lua"))
    verb, *words = command.split()
    run = project.envy(verb, "--no-install", *words, code=1)
    assert "/tool.lua has not been fetched for this project" in run.err
    assert "envy sync" in run.err
    assert http_server.paths() == []


def test_a_resolution_serves_no_other_project(project, second_project, http_server, served):
    """Two projects with one cache and one source each have what they last saw."""
    served("two")
    write_manifest(second_project, entry(f"{http_server.url}/tool.lua"))
    assert said_by(second_project) == "two"
    assert said_by(project) == "one"


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "manifest": "", "rows": [1]}'])
def test_a_damaged_record_knows_nothing(project, http_server, served, text):
    """The source is asked, and the record is written anew."""
    [record] = (project.cache / "resolutions").iterdir()
    good = record.read_bytes()
    record.write_text(text)
    assert said_by(project) == "one"
    assert http_server.paths() == ["/tool.lua"]
    assert record.read_bytes() == good


@pytest.mark.parametrize("found", ["../../x", "--upload-pack=x", "", "0123456789abcdef-../x"])
def test_a_strange_resolution_is_not_used(project, served, branch, found):
    """Only the name of a folder or a commit is taken from the record."""
    [record] = (project.cache / "resolutions").iterdir()
    commit = record.read_text().rpartition('": "')[2].partition('"')[0]
    record.write_text(record.read_text().replace(commit, found))
    assert said_by(project) == "one"
    assert commit in record.read_text()


@pytest.fixture
def without_network():
    """A command prefix under which there is no network, not even loopback."""
    words = ("unshare", "--net", "--map-root-user")
    if shutil.which("unshare") is None:
        pytest.skip("needs the program unshare")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare may not create network namespaces here")
    return words


def test_what_is_installed_works_without_a_network(
    project, http_server, git_repository, without_network
):
    """Every command but one that has to fetch, with recipes from a server and a repository."""
    http_server.routes["/tool.lua"] = Reply(RECIPE.format("one").encode())
    git_repository.commit({
        "recipe.lua": 'identity = "vendor.lib@v1"\nproducts = { lib = "lib" }\n'
        'install = "cp /bin/true lib"',
    })  # fmt: skip
    address = git_repository.served_by(http_server)
    library = f'{{ recipe = "vendor.lib@v1", source = "{address}", ref = "main" }}'
    write_manifest(project, entry(f"{http_server.url}/tool.lua"), library)
    project.envy("sync")
    for words in (
        ("asset", "tool"), ("product", "lib"), ("product",), ("run", "--", "lib"), ("sync",),
        ("plan",), ("graph",), ("why", "lib"), ("why-rebuild", "tool"), ("cache",),
        ("cache", "verify"), ("asset", "--no-install", "lib"), ("asset", "tool", "--verbose"),
    ):  # fmt: skip
        project.envy(*words, under=without_network, trace=False)
