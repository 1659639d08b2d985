"""Remote recipes: by HTTP with a digest, and from git repositories."""

import hashlib
import os
import signal
import threading
from pathlib import Path

import pytest
from archives import make_tar
from loopback.http_server import Reply
from project import is_running, tree

RECIPE = 'identity = "vendor.tool@v3"\ninstall = "echo {} > tool.txt"\n'


def entry(source, **fields):
    """Return a manifest with one remote recipe."""
    rows = "".join(f', {name} = "{value}"' for name, value in fields.items())
    return f'packages = {{ {{ recipe = "vendor.tool@v3", source = "{source}"{rows} }} }}'


def digest_of(content):
    """Return the sha256 of a text or bytes."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def test_a_pinned_recipe_is_fetched_once(project, http_server):
    """A recipe with a sha256 is fetched once and kept in the cache."""
    text = RECIPE.format("one")
    http_server.routes["/tool.lua"] = Reply(text.encode())
    project.manifest(entry(f"{http_server.url}/tool.lua", sha256=digest_of(text)))
    folder = project.envy("sync").folder("vendor.tool@v3")
    assert tree(folder) == {"tool.txt": "one\n"}
    project.envy("sync")
    assert http_server.paths() == ["/tool.lua"]


def test_remote_recipes_are_fetched_in_parallel(project, http_server):
    """Fetches overlap however few jobs there are, since they only wait for downloads."""
    both = threading.Barrier(2, timeout=300)
    rows = []
    for name in ("one", "two"):
        text = f'identity = "vendor.{name}@v1"\ninstall = "touch {name}"\n'

        def answer(_request, text=text):
            both.wait()
            return Reply(text.encode())

        http_server.routes[f"/{name}.lua"] = answer
        source = f'source = "{http_server.url}/{name}.lua", sha256 = "{digest_of(text)}"'
        rows.append(f'{{ recipe = "vendor.{name}@v1", {source} }}')
    project.manifest(f"packages = {{ {', '.join(rows)} }}")
    run = project.envy("sync", "--jobs", "1", "--fetch-jobs", "2")
    assert len(run.named("recipe_complete", outcome="installed")) == 2


def test_a_recipe_with_a_wrong_digest_is_refused(project, http_server):
    """Content that does not match the sha256 is an error that shows both digests."""
    text = RECIPE.format("one")
    http_server.routes["/tool.lua"] = Reply(text.replace("one", "two").encode())
    project.manifest(entry(f"{http_server.url}/tool.lua", sha256=digest_of(text)))
    run = project.envy("sync", code=1)
    assert digest_of(text) in run.err
    assert digest_of(RECIPE.format("two")) in run.err
    assert project.markers() == []


def test_a_recipe_without_digest_follows_its_source(project, http_server):
    """It is fetched each time, with a warning that contains the line to add."""
    http_server.routes["/tool.lua"] = Reply(RECIPE.format("one").encode())
    project.manifest(entry(f"{http_server.url}/tool.lua"))
    first = project.envy("sync")
    assert f'sha256 = "{digest_of(RECIPE.format("one"))}"' in first.err
    http_server.routes["/tool.lua"] = Reply(RECIPE.format("two").encode())
    second = project.envy("sync")
    assert tree(second.folder("vendor.tool@v3")) == {"tool.txt": "two\n"}
    http_server.routes["/tool.lua"] = Reply(RECIPE.format("one").encode())
    assert project.envy("sync").named("recipe_complete", outcome="cached")


def test_two_sources_of_one_identity_are_two_recipes(project, second_project, http_server):
    """A recipe file is stored by its source, and not confused with that of another source."""
    for number, each in enumerate((project, second_project)):
        text = RECIPE.format(number)
        http_server.routes[f"/{number}/tool.lua"] = Reply(text.encode())
        each.manifest(entry(f"{http_server.url}/{number}/tool.lua", sha256=digest_of(text)))
        folder = each.envy("sync").folder("vendor.tool@v3")
        assert tree(folder) == {"tool.txt": f"{number}\n"}


def test_many_processes_fetch_a_pinned_recipe_once(project, http_server):
    """A process that waited for another process's fetch uses the fetched file."""
    text = RECIPE.format("one")
    http_server.routes["/tool.lua"] = Reply(text.encode())
    project.manifest(entry(f"{http_server.url}/tool.lua", sha256=digest_of(text)))
    runs = [project.popen("sync") for _ in range(5)]
    for run in runs:
        run.communicate(timeout=300)
    assert [run.returncode for run in runs] == [0] * 5
    assert http_server.paths() == ["/tool.lua"]


def test_a_missing_recipe_names_its_address(project, http_server):
    """The error has the server's answer, the address, and where it is declared."""
    project.manifest(entry(f"{http_server.url}/none.lua"))
    run = project.envy("sync", code=1)
    assert f"{http_server.url}/none.lua" in run.err
    assert "404" in run.err
    assert "envy.lua:1" in run.err


# -- git ----------------------------------------------------------------------------------------


@pytest.fixture
def repository(git_repository):
    """A repository with a recipe in a subfolder and a patch beside the recipe."""
    git_repository.commit(
        {
            "README": "not the recipe",
            "recipe/recipe.lua": 'identity = "vendor.tool@v3"\ninputs = { "data.txt" }\n'
            'install = function(ctx) ctx.copy(ctx.recipe_dir .. "/data.txt", "tool.txt") end',
            "recipe/data.txt": "one\n",
        }
    )
    return git_repository


@pytest.mark.parametrize("kind", ["commit", "branch", "tag"])
def test_a_recipe_in_a_git_repository(project, repository, kind):
    """A commit, a branch or a tag is checked out; recipe and inputs are in the subfolder."""
    commit = repository.git("rev-parse", "HEAD")
    repository.tag("v3.0", annotated=True)
    ref = {"commit": commit, "branch": "main", "tag": "v3.0"}[kind]
    project.manifest(entry(repository.url, ref=ref, subdir="recipe"))
    assert tree(project.envy("sync").folder("vendor.tool@v3")) == {"tool.txt": "one\n"}


def test_a_branch_that_moved_is_followed(project, repository):
    """Each run resolves the branch; a commit in the manifest stays fixed."""
    commit = repository.git("rev-parse", "HEAD")
    project.manifest(entry(repository.url, ref="main", subdir="recipe"))
    project.envy("sync")
    repository.commit({"recipe/data.txt": "two\n"})
    assert tree(project.envy("sync").folder("vendor.tool@v3")) == {"tool.txt": "two\n"}
    project.manifest(entry(repository.url, ref=commit, subdir="recipe"))
    assert project.envy("sync").named("recipe_complete", outcome="cached")


def test_a_pinned_commit_needs_no_repository(project, repository):
    """A recipe of a full commit is used from the cache without its repository."""
    commit = repository.git("rev-parse", "HEAD")
    project.manifest(entry(repository.url, ref=commit, subdir="recipe"))
    project.envy("sync")
    repository.path.rename(repository.path.with_name("gone"))
    assert project.envy("sync").named("recipe_complete", outcome="cached")


def test_files_of_a_fetched_recipe_must_be_inputs(project, git_repository):
    """Files beside a fetched recipe are in its key only if they are declared."""
    git_repository.commit(
        {
            "recipe.lua": 'identity = "vendor.tool@v3"\n'
            'install = function(ctx) ctx.copy(ctx.recipe_dir .. "/data.txt", "tool.txt") end',
            "data.txt": "one\n",
        }
    )
    project.manifest(entry(git_repository.url, ref="main"))
    run = project.envy("sync", code=1)
    assert "not in its `inputs`" in run.err


NEEDS_LIB = (
    'identity = "vendor.tool@v3"\ninstall = "touch x"\n'
    'dependencies = { { recipe = "vendor.lib@v1", source = "recipes/vendor.lib@v1.lua" } }\n'
)


@pytest.mark.parametrize("listed", [True, False])
def test_paths_in_a_fetched_recipe_start_from_its_own_folder(project, git_repository, listed):
    """If the project has such a file and the repository has not, the error says what is meant."""
    git_repository.commit({"recipe.lua": NEEDS_LIB})
    lib = '{ recipe = "vendor.lib@v1", source = "recipes/vendor.lib@v1.lua" }'
    tool = f'{{ recipe = "vendor.tool@v3", source = "{git_repository.url}", ref = "main" }}'
    project.manifest(f"packages = {{ {tool}{f', {lib}' if listed else ''} }}")
    project.recipe("vendor.lib@v1", 'install = "touch x"')
    run = project.envy("sync", code=1)
    assert ("vendor.lib@v1 is declared from 2 different sources" in run.err) is listed
    assert "a relative path starts from the folder of the file that names it" in run.err
    git_repository.commit(
        {"recipes/vendor.lib@v1.lua": 'identity = "vendor.lib@v1"\ninstall = "touch x"'}
    )
    if listed:
        run = project.envy("sync", code=1)
        assert "a relative path" not in run.err
        assert "one key is one recipe" in run.err
    else:
        project.envy("sync")


def test_a_repository_without_recipe_says_where_to_look(project, git_repository):
    """The error for a folder without recipe lists the file names that are searched for."""
    git_repository.commit({"README": "nothing here"})
    project.manifest(entry(git_repository.url, ref="main"))
    run = project.envy("sync", code=1)
    assert "recipe.lua" in run.err
    assert "vendor.tool@v3.lua" in run.err
    assert "subdir" in run.err


def test_an_unknown_ref_is_named(project, repository):
    """An unknown branch is an error that names the branch and its repository."""
    project.manifest(entry(repository.url, ref="no-such-branch", subdir="recipe"))
    run = project.envy("sync", code=1)
    assert "no-such-branch" in run.err
    assert repository.url in run.err


def test_a_remote_recipe_brings_its_own_dependencies(project, http_server):
    """Relative sources of a fetched recipe are its own; absolute sources are fetched in turn."""
    archive = make_tar({"tool.txt": "tool\n"})
    library = 'identity = "vendor.lib@v1"\ninstall = "echo lib > lib.txt"\n'
    http_server.routes["/lib.lua"] = Reply(library.encode())
    http_server.routes["/tool.tar"] = Reply(archive)
    text = f"""identity = "vendor.tool@v3"
    dependencies = {{ {{ recipe = "vendor.lib@v1", source = "{http_server.url}/lib.lua",
      sha256 = "{digest_of(library)}" }} }}
    fetch = {{ source = "{http_server.url}/tool.tar",
      sha256 = "{digest_of(archive)}" }}
    build = function(ctx) ctx.copy(ctx.asset("vendor.lib") .. "/lib.txt", "lib.txt") end
    """
    http_server.routes["/tool.lua"] = Reply(text.encode())
    project.manifest(entry(f"{http_server.url}/tool.lua", sha256=digest_of(text)))
    run = project.envy("sync")
    assert tree(run.folder("vendor.tool@v3")) == {"tool.txt": "tool\n", "lib.txt": "lib\n"}
    assert "warn" not in run.err


# -- processes left by a killed envy -------------------------------------------------------------

CUSTOM = """
packages = {{
  {{ recipe = "vendor.tool@v3", source = {{ fetch = function(ctx)
      ctx.run([[{script}]])
      ctx.write("recipe.lua", 'identity = "vendor.tool@v3" install = "echo > tool.txt"')
      ctx.commit_fetch("recipe.lua")
    end }} }},
}}
"""


def ended(orphan):
    """Return whether an orphan has ended; end it in any case."""
    running = is_running(orphan)
    if running:
        os.kill(orphan, signal.SIGKILL)
    return not running


def test_an_orphan_of_a_custom_source_ends_before_it_runs_again(project, tmp_path):
    """A process that a killed envy left is ended before another envy fetches the recipe."""
    reached, armed = tmp_path / "reached.fifo", tmp_path / "armed"
    os.mkfifo(reached)
    armed.touch()
    script = f"if [ -e {armed} ]; then echo $$ > {reached}; sleep 600; fi"
    project.manifest(CUSTOM.format(script=script))
    victim = project.popen("sync")
    orphan = int(reached.read_text())
    victim.kill()
    victim.communicate(timeout=300)
    armed.unlink()
    project.envy("sync")
    assert ended(orphan)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_an_orphaned_git_ends_before_the_source_is_fetched_again(project, tmp_path, git_repository):
    """A git that was checking out the source is ended before the next fetch uses its folder."""
    commit = git_repository.commit({"file": "content"})
    reached, armed = tmp_path / "reached.fifo", tmp_path / "armed"
    os.mkfifo(reached)
    armed.touch()
    real = os.environ["PATH"]
    git = project.write(
        "bin/git",
        "#!/bin/sh\n"
        f'case "$*" in *checkout*) [ -e {armed} ] && echo $$ > {reached} && sleep 600 ;; esac\n'
        f'PATH="{real}" exec git "$@"\n',
        mode=0o755,
    )
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        f'fetch = {{ source = "git+{git_repository.url}", ref = "{commit}" }}\n'
        'install = "cp -r $ENVY_STAGE_DIR/. ."',
    )
    path = {"PATH": f"{git.parent}:{real}"}
    victim = project.popen("sync", env=path)
    orphan = int(reached.read_text())
    victim.kill()
    victim.communicate(timeout=300)
    armed.unlink()
    project.envy("sync", env=path)
    assert ended(orphan)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_an_orphaned_program_of_git_ends_before_the_source_is_fetched_again(project, tmp_path):
    """A program that git runs for a transfer is ended, too, if git has ended and left it behind."""
    reached, armed = tmp_path / "reached.fifo", tmp_path / "armed"
    os.mkfifo(reached)
    armed.touch()
    helper = project.write(
        "git-core/git-remote-http",
        f"#!/bin/sh\n[ -e {armed} ] || exit 1\necho $$ $PPID > {reached}\nexec setsid sleep 600\n",
        mode=0o755,
    )
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        f'fetch = {{ source = "git+http://localhost/a.git", ref = "{"1" * 40}" }}\n'
        'install = "true"',
    )
    env = {"GIT_EXEC_PATH": str(helper.parent)}
    victim = project.popen("sync", env=env)
    orphan, git = map(int, reached.read_text().split())
    victim.kill()
    victim.communicate(timeout=300)
    os.kill(git, signal.SIGKILL)
    armed.unlink()
    run = project.envy("sync", code=1, env=env)
    assert "git fetch failed for http://localhost/a.git" in run.err
    assert ended(orphan)
