"""Invalid manifests: each has its own error, and leaves nothing behind."""

import subprocess

import pytest
from mistakes import assert_clean, fails
from project import envy_command


def test_no_manifest(project):
    """The error says where envy searched, and how to create a manifest."""
    fails(
        project,
        "error: no envy.lua in ",
        str(project.root),
        f"`envy init` creates {project.root}/envy.lua",
    )


def test_a_manifest_above_the_repository_is_only_suggested(project):
    """The search ends at the root of the repository; --manifest is suggested for the one above."""
    project.packages()
    (project.root / "repository/.git").mkdir(parents=True)
    fails(
        project,
        "is the root of a repository",
        f"add --manifest {project.root}/envy.lua",
        cwd=project.root / "repository",
    )


def test_a_missing_named_manifest(project):
    """The error has the full path, and the options that may have named it."""
    fails(
        project,
        f"there is no manifest {project.root}/other.lua",
        "--manifest and ENVY_MANIFEST",
        words=("sync", "--manifest", "other.lua"),
    )


def test_a_folder_instead_of_the_manifest(project):
    """A folder is not accepted as a manifest; the error suggests the file in the folder."""
    (project.root / "envy.lua").mkdir()
    fails(
        project,
        "envy.lua is a directory, not a manifest",
        "name the file: ",
        words=("sync", "--manifest", "envy.lua"),
    )


def test_an_unreadable_manifest(project, unprivileged):
    """Missing read permission is reported as the reason."""
    project.packages().chmod(0)
    fails(project, "envy.lua cannot be read: Permission denied", under=unprivileged)


def test_a_removed_current_directory(project):
    """A removed current directory is an error, unless the manifest is named by a full path."""
    project.packages()
    removed = project.root / "gone"
    for words, code, expected in (
        ("", 1, "has been removed"),
        (f"--manifest {project.root}/envy.lua", 0, "complete"),
    ):
        removed.mkdir()
        ended = subprocess.run(
            ["sh", "-c", f"rmdir {removed}; exec {envy_command()} sync {words}"],
            cwd=removed,
            env=project.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, expected in ended.stderr) == (code, True), ended.stderr
        assert_clean(project, ended.stderr)


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        (
            'packages = {\n  "local.a@r1"\n  "local.b@r1",\n}',
            "envy.lua:3: '}' expected (to close '{' at line 1) near '\"local.b@r1\"'",
            "",
        ),
        ("packages = nil + 1", "envy.lua:1: attempt to perform arithmetic on a nil value", ""),
        ('error("my words")', "envy.lua:1: my words", ""),
        ("\x1bLua…", "envy.lua: the file is compiled Lua; envy loads only Lua source text", ""),
        ('require_envy = ">=0"', "envy.lua: the manifest has no `packages`", "packages = {"),
        (
            '\npackage = { "local.a@r1" }',
            "envy.lua: the manifest has no `packages`",
            "did you mean `packages` instead of `package`, on line 2?",
        ),
        (
            'packages = "x"',
            "envy.lua:1: `packages` must be an array of entries, not a string",
            "it lists",
        ),
        ("packages = function() end", "must be an array of entries, not a function", "it lists"),
        (
            "local t = {} t.t = t packages = { { options = t } }",
            "not a value that is not data (packages[1].options.t is a table that contains itself)",
            "it lists",
        ),
        (
            'packages = { "local.a@r1", nil, "local.b@r1" }',
            "without names and gaps",
            "an entry is nil",
        ),
        ('packages = { recipe = "local.a@r1" }', "without names and gaps", "packages = { { recipe"),
        (
            'packages = {\n  { recipie = "local.a@r1" } }',
            'envy.lua:2: an entry has no field "recipie"',
            'did you mean "recipe"?',
        ),
        ("packages = { 3 }", "must be a string or a table with `recipe`, not a number", ""),
        ("packages = { {} }", "must be a string or a table with `recipe`, not an empty table", ""),
        (
            'packages = { "local.a" }',
            '"local.a" is not a valid identity: it has no revision',
            "local.python@r4",
        ),
        (
            'packages = { "local.../../evil@v1" }',
            "is not a valid identity: it contains '/'",
            "local.python@r4",
        ),
        (
            'packages = { "vendor.a@r1" }',
            "envy.lua:1: the source of vendor.a@r1 is missing",
            'source = "…"',
        ),
        (
            'packages = { "envy.nniinja@r1" }',
            "no recipe envy.nniinja@r1 ships with envy",
            'did you mean "envy.ninja@r1"?',
        ),
        (
            'packages = { { recipe = "local.a@r1", needed_by = "build" } }',
            'an entry has no field "needed_by"',
            "known names: alias, exports",
        ),
        (
            'packages = { { recipe = "local.a@r1", sha256 = "ab" } }',
            "`sha256` is about a source",
            "",
        ),
        (
            'packages = { { recipe = "local.a@r1", source = "ftp://x/y.lua" } }',
            'envy does not support "ftp:"',
            "sources are",
        ),
        (
            'packages = { { recipe = "local.a@r1", platforms = { "linus" } } }',
            "'linus' is not a platform",
            "linux, darwin",
        ),
        (
            'packages = { { recipe = "local.a@r1", options = { v = print } } }',
            "`options.v` is a function",
            "options are",
        ),
        (
            'packages = { { recipe = "local.a@r1", options = { version = 3.10 } } }',
            "as a number, 3.10 would become 3.1",
            "quotes",
        ),
        (
            'packages = { { recipe = "local.a@r1", alias = "x.y" } }',
            'the alias "x.y" contains a character that is not allowed',
            "dots, @, braces",
        ),
        (
            (
                'packages = {\n  { recipe = "local.a@r1", alias = "x" },\n'
                '  { recipe = "local.b@r1", alias = "x" } }'
            ),
            (
                'envy.lua:3: two packages have the alias "x":\n    local.a@r1, in envy.lua:2\n'
                "    local.b@r1, in envy.lua:3"
            ),
            "rename one of them",
        ),
        (
            (
                'packages = {\n  { recipe = "local.a@r1", source = "a.lua" },\n'
                '  { recipe = "local.a@r1", source = "b.lua" } }'
            ),
            "envy.lua:3: local.a@r1 comes from two sources:",
            "a.lua, in envy.lua:2",
        ),
        (
            'requires_envy = ">=99"\npackages = 3',
            "envy.lua:1: this project needs envy >=99, and this is envy ",
            "install a version",
        ),
        (
            'requires_envy = ">=99"\npackages = envy.of_the_future()',
            "envy.lua:1: this project needs envy >=99",
            "",
        ),
        (
            'requires_envy = "new"\npackages = {}',
            "envy.lua:1: `requires_envy`: the constraint 'new' is invalid at 'new'",
            '">=1.4,<2"',
        ),
        (
            'packages = {}\ndefault_shell = "zsh"',
            "envy.lua:2: 'zsh' is not a shell",
            "ENVY_SHELL.BASH",
        ),
        (
            "packages = {}\ndefault_shell = function(ctx)\n  return ctx.asset('zsh') end",
            "envy.lua:2: no package answers to 'zsh'",
            "",
        ),
    ],
)
def test_a_mistake_in_the_manifest(project, text, reason, remedy):
    """The reason is reported once, with file, line and remedy."""
    project.manifest(text)
    fails(project, reason, remedy, "error: envy.lua:")


def test_a_manifest_that_needs_a_newer_envy_says_only_that(project):
    """Other mistakes are not reported, since the required envy may accept them."""
    project.manifest('requires_envy = ">=99"\npackages = { { recipie = 3 } }')
    assert "recipie" not in fails(project, "needs envy >=99").err
