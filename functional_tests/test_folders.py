"""Folders of this machine as inputs and sources: what is taken of them, and their links."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from project import tree

COPY = 'install = function(ctx) ctx.copy(ctx.recipe_dir .. "/vendor/.", ".") end'


@pytest.fixture
def vendor(project):
    """A folder beside the recipe, with a link to a folder outside of it."""
    project.write("recipes/vendor/a.txt", "a")
    project.write("recipes/vendor/build/out.o", "out")
    project.write("sdk/include/a.h", "header")
    (project.root / "recipes/vendor/sdk").symlink_to("../../sdk")
    return project.root / "recipes/vendor"


def source(fields, where="vendor"):
    return f'fetch = {{ source = "{where}", {fields} }}'


def inputs(fields):
    return f'inputs = {{ {{ "vendor", {fields} }} }}\n{COPY}'


@pytest.mark.parametrize("form", [source, inputs])
def test_a_link_that_leads_outside_names_what_to_do(project, vendor, form):
    """The error is at the line of the recipe, and nothing is made."""
    run = project.sync_one(form(""), code=1)
    assert "local.one@r1.lua:2" in run.err
    assert f"{vendor}: the link sdk → ../../sdk leads outside" in run.err
    assert 'leave it out: exclude = { "sdk" }; or take what it leads to: follow = true' in run.err
    assert project.markers() == []


@pytest.mark.parametrize("form", [source, inputs])
def test_what_is_excluded_is_in_neither_key_nor_package(project, vendor, form):
    """A change to it, or behind it, changes nothing; any other change does."""
    body = form('exclude = { "build", "sd*" }')
    run = project.sync_one(body)
    assert tree(run.folder("local.one@r1")) == {"a.txt": "a"}
    project.write("recipes/vendor/build/out.o", "other")
    project.write("recipes/vendor/build/new.o", "new")
    project.write("sdk/include/a.h", "other")
    again = project.envy("sync")
    assert again.named("cache_hit") or not again.named("recipe_start")
    assert len(project.markers()) == 1
    project.write("recipes/vendor/a.txt", "changed")
    assert tree(project.envy("sync").folder("local.one@r1")) == {"a.txt": "changed"}


@pytest.mark.parametrize("form", [source, inputs])
def test_what_a_followed_link_leads_to_is_in_key_and_package(project, vendor, form):
    """Its content is copied; a change of it makes another package, in a warm command as well."""
    body = form('exclude = { "build" }, follow = true')
    run = project.sync_one(body)
    assert tree(run.folder("local.one@r1")) == {"a.txt": "a", "sdk/include/a.h": "header"}
    first = project.envy("asset", "local.one@r1", trace=False).out
    project.write("sdk/include/a.h", "other")
    second = project.envy("asset", "local.one@r1", trace=False).out
    assert first != second
    assert (Path(second.strip()) / "sdk/include/a.h").read_text() == "other"


def test_a_part_of_an_input_is_copied_by_the_same_rules(project, vendor):
    """What is left out, or followed, is so in a copy of an inner folder, and of a followed one."""
    project.write("recipes/vendor/src/build/x.o", "x")
    project.write("recipes/vendor/src/x.c", "x")
    asset = project.make(
        'inputs = { { "vendor", exclude = { "**/build" }, follow = true } }\n'
        "install = function(ctx)\n"
        '  ctx.copy(ctx.recipe_dir .. "/vendor/src", "src")\n'
        '  ctx.copy(ctx.recipe_dir .. "/vendor/sdk", "sdk")\n'
        '  ctx.write("read", ctx.read(ctx.recipe_dir .. "/vendor/sdk/include/a.h"))\n'
        "end"
    )
    assert tree(asset) == {"src/x.c": "x", "sdk/include/a.h": "header", "read": "header"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('ctx.read(ctx.recipe_dir .. "/vendor/build/out.o")', "not in its `inputs`"),
        ('ctx.copy(ctx.recipe_dir .. "/vendor/build", "x")', "not in its `inputs`"),
        ('io.open(ctx.recipe_dir .. "/vendor/build/out.o")', "list it in `inputs`"),
        ('ctx.fetch("vendor")', "build of vendor is left out of `inputs`"),
    ],
)
def test_what_is_excluded_cannot_be_read(project, vendor, call, said):
    """A function would depend on what is not in the key."""
    (vendor / "sdk").unlink()
    run = project.sync_one(
        'inputs = { { "vendor", exclude = { "build" } } }\n'
        f"fetch = function(ctx) {call} ctx.commit_fetch('vendor') end",
        code=1,
    )
    assert said in run.err


def test_a_function_fetches_what_its_input_takes(project, vendor):
    """The same rules in both places are accepted."""
    fields = 'exclude = { "build" }, follow = true'
    asset = project.make(
        f'inputs = {{ {{ "vendor", {fields} }} }}\n'
        f'fetch = function(ctx) ctx.commit_fetch(ctx.fetch {{ source = "vendor", {fields} }}) end'
    )
    assert tree(asset) == {"vendor/a.txt": "a", "vendor/sdk/include/a.h": "header"}


def test_one_pattern_may_leave_out_what_another_names(project):
    """A pattern leaves out its own matches, and not those of another pattern."""
    for name in ("src/a.c", "src/gen/b.c", "src/gen/keep.c"):
        project.write(f"recipes/{name}", name)
    asset = project.make(
        'inputs = { { "src/**", exclude = { "gen" } }, "src/gen/keep.c" }\n'
        "install = function(ctx)\n"
        '  ctx.copy(ctx.recipe_dir .. "/src/.", ".")\n'
        '  ctx.copy(ctx.recipe_dir .. "/src/gen/keep.c", "keep.c")\n'
        "end"
    )
    assert tree(asset) == {"a.c": "src/a.c", "keep.c": "src/gen/keep.c"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'inputs = { "vendor", exclude = { "build" } }\ninstall = "true"',
            'write inputs = { "patches", { "vendor", exclude = { "build" } } }',
        ),
        ('inputs = { { "vendor", exlude = {} } }\ninstall = "true"', 'did you mean "exclude"?'),
        ('inputs = { { "vendor", "other" } }\ninstall = "true"', "an input has no field"),
        ('inputs = { { exclude = { "a" } } }\ninstall = "true"', "`inputs` must be an array of"),
        ('inputs = { { "vendor", exclude = { "../a" } } }\ninstall = "true"', "relative to the"),
        ('inputs = { { "vendor", exclude = { "/a" } } }\ninstall = "true"', "relative to the"),
        ('inputs = { { "vendor", follow = 1 } }\ninstall = "true"', "`follow` must be true or"),
        (
            'inputs = { "*", { "vendor", exclude = { "**" } } }\ninstall = "true"',
            "twice, with different `exclude` or `follow`",
        ),
        (source("vcs = true", "vendor/a.txt"), "is a file, and `vcs` is for folders"),
        (source("follow = true", "https://h/x"), "`follow` is for folders of this machine"),
        (source('exclude = { "x" }', "x.git"), "`exclude` is for archives and for folders"),
        (source("vcs = true", "x.git"), "`vcs` is for folders of this machine"),
    ],
)
def test_mistakes_are_named(project, vendor, body, said):
    """Each error is at a line of the recipe."""
    run = project.sync_one(body, code=1)
    assert said in run.err
    assert "local.one@r1.lua:2" in run.err


def test_a_custom_source_rests_on_what_it_takes(project):
    """Its evidence has the same rules: what is left out, and what is followed."""
    recipe = 'identity = "acme.lib@r1"\ninstall = "touch x"\n'
    project.write("repo/recipe.lua", recipe)
    project.write("repo/.git/HEAD", "one")
    project.write("elsewhere/a", "one")
    (project.root / "repo/link").symlink_to("../elsewhere")
    project.manifest(
        'packages = { { recipe = "acme.lib@r1", source = { fetch = function(ctx)\n'
        '  ctx.fetch { source = "repo", follow = true }\n'
        '  ctx.copy("repo/recipe.lua", "recipe.lua")\n'
        '  ctx.commit_fetch("recipe.lua")\n'
        "end } } }"
    )
    project.envy("sync")

    def fetched_after(name, text):
        project.write(name, text)
        return bool(project.envy("sync").named("lua_ctx_fetch_start"))

    assert not fetched_after("repo/.git/HEAD", "two")
    assert fetched_after("elsewhere/a", "two")
    assert not fetched_after("elsewhere/a", "two")


# -- version control ------------------------------------------------------------------------------


@pytest.fixture
def repository(project):
    """A work tree with a git folder, an inner module with a git file, and a bare repository."""
    folder = project.root / "recipes/repo"
    for name in (".git/HEAD", "module/.git", "bare.git/HEAD", ".hg/x", "lib/.svn/x", ".jj/x", "a"):
        project.write(f"recipes/repo/{name}", name)
    return folder


def test_version_control_of_a_source_is_left_out(project, repository):
    """It is in neither key nor package, so that a commit makes no new package."""
    run = project.sync_one('fetch = "repo"')
    assert tree(run.folder("local.one@r1")) == {"a": "a", "bare.git/HEAD": "bare.git/HEAD"}
    (repository / ".git/HEAD").write_text("changed")
    project.envy("sync")
    assert len(project.markers()) == 1


def test_version_control_of_a_source_can_be_taken(project, repository):
    """With `vcs = true`, it is in both."""
    asset = project.make('fetch = { source = "repo", vcs = true }')
    assert set(tree(asset)) == set(tree(repository))
    (repository / ".git/HEAD").write_text("changed")
    project.envy("sync")
    assert len(project.markers()) == 2


def test_sockets_of_version_control_do_not_matter(project, repository, monkeypatch):
    """git's file system monitor has one; anywhere else, the error says how to leave it out."""
    monkeypatch.chdir(repository / ".git")  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("fsmonitor--daemon.ipc")
    project.sync_one('fetch = "repo"')
    run = project.sync_one('fetch = { source = "repo", vcs = true }', code=1)
    assert "fsmonitor--daemon.ipc is neither a file, a directory nor a link" in run.err
    assert 'leave it out: exclude = { ".git/fsmonitor--daemon.ipc" }' in run.err
    run = project.sync_one('inputs = { "repo" }\ninstall = "touch x"', code=1)
    assert 'leave it out: exclude = { ".git/fsmonitor--daemon.ipc" }' in run.err
    project.sync_one('inputs = { { "repo", exclude = { ".git" } } }\ninstall = "touch x"')


@pytest.mark.needs("git")
def test_a_build_that_asks_git_gets_a_hint(project, repository):
    """The hint is there when the script fails and git was asked, and only then."""
    shutil.rmtree(repository / ".git")
    where = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*where, "init", "-q"], check=True)
    subprocess.run([*where, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    asks = "git describe --always > version || true\ntest -s version\ncp version "
    build = f"build = [[\n{asks} $ENVY_INSTALL_DIR\n]]"
    hint = 'the git folder of repo is left out; to take it: { source = "repo", vcs = true }'
    err = project.sync_one(f'fetch = "repo"\n{build}', code=1).err
    assert hint in err
    assert "hint: it ran in " in err
    assert "vcs" not in project.sync_one('fetch = "repo"\nbuild = "false"', code=1).err
    project.make(f'fetch = {{ source = "repo", vcs = true }}\n{build}')


def test_a_build_that_asks_git_of_another_source_gets_no_hint(project):
    """`vcs = true` helps only where there is something to take."""
    project.write("recipes/plain/a", "a")
    said = "echo 'fatal: not a git repository (or any of the parent directories): .git' >&2; exit 1"
    run = project.sync_one(f'fetch = "plain"\nbuild = [[{said}]]', code=1)
    assert "vcs" not in run.err


def test_a_source_around_the_cache(project):
    """The whole project can be a source if the cache in it is left out."""
    cache = project.root / "cache"
    project.write("a.txt", "a")
    env = {"ENVY_CACHE_ROOT": str(cache)}
    run = project.sync_one('fetch = ".."', code=1, env=env)
    assert "contains the cache itself" in run.err
    assert "exclude" in run.err
    fields = 'exclude = { "cache", "recipes", "envy.lua" }'
    run = project.sync_one(f'fetch = {{ source = "..", dest = "all", {fields} }}', env=env)
    assert tree(run.folder("local.one@r1")) == {"a.txt": "a"}
