"""Loading envy.lua."""

import pytest

from envy import __version__
from envy.declarations.key import RecipeKey
from envy.declarations.manifest import load_manifest
from envy.declarations.sources import local_path
from envy.errors import DeclarationError, EnvyError, LuaScriptError, ManifestError
from envy.host.platform import Platform
from envy.lua.runtime import LuaState, SandboxSettings
from envy.lua.values import LuaFunction

LINUX = Platform(os="linux", arch="x86_64", os_version="1", libc="gnu", libc_version="2.36")


@pytest.fixture
def load(tmp_path):
    """Loads a manifest with the given text."""
    states = []

    def make_state(base_dir):
        settings = SandboxSettings(
            platform=LINUX,
            environment={},
            should_stop=lambda: False,
            on_log=lambda _level, _message: None,
            on_stdout=lambda _text: None,
        )
        states.append(LuaState(settings, base_dir=base_dir))
        return states[-1]

    def load_text(text):
        path = tmp_path / "envy.lua"
        path.write_text(text, encoding="utf-8")
        return load_manifest(path, platform=LINUX, make_state=make_state)

    yield load_text
    for state in states:
        state.close()


def test_packages(load, tmp_path):
    """Entries become specs in order, each with its line and source."""
    manifest = load(
        """packages = {
          "local.tools@r2",
          { recipe = "local.python@r4", source = "recipes/py.lua",
            options = { version = "3.13" }, alias = "py" },
        }
        default_shell = ENVY_SHELL.BASH"""
    )
    tools, python = manifest.packages
    assert local_path(tools.source) == tmp_path / "recipes" / "local.tools@r2.lua"
    assert local_path(python.source) == tmp_path / "recipes" / "py.lua"
    assert [spec.origin.line for spec in manifest.packages] == [2, 3]
    assert manifest.aliases == {"py": RecipeKey.of("local.python@r4", {"version": "3.13"})}
    assert manifest.default_shell == "@shell:bash"
    assert manifest.path == tmp_path / "envy.lua"
    assert manifest.warnings == ()


def test_computed_packages(load):
    """The list may be computed in Lua; then entries have the line of the list."""
    manifest = load(
        'local list = {} for i = 1, 3 do list[i] = "local.p" .. i .. "@v1" end packages = list'
    )
    assert [spec.identity for spec in manifest.packages] == [f"local.p{i}@v1" for i in (1, 2, 3)]
    assert manifest.packages[2].origin.line in {0, 1}


def test_no_packages_at_all(load):
    """An empty list is valid."""
    assert load("packages = {}").packages == ()


def test_default_shell_may_be_a_function_or_a_table(load):
    """Both are kept, and evaluated later."""
    assert isinstance(
        load("packages = {} default_shell = function() end").default_shell, LuaFunction
    )
    shell = load('packages = {} default_shell = { file = { "zsh" }, ext = ".zsh" }').default_shell
    assert shell == {"file": ["zsh"], "ext": ".zsh"}


def test_entries_for_other_platforms_are_left_out(load):
    """Such entries have no name and no alias here, and conflict with nothing."""
    manifest = load(
        """packages = {
          { recipe = "local.a@r1", source = "mac.lua", platforms = { "darwin" }, alias = "a" },
          { recipe = "local.a@r1", source = "linux.lua", platforms = { "linux-amd64" } },
          { recipe = "local.b@r1", alias = "a" },
        }"""
    )
    assert [spec.source.source for spec in manifest.packages] == ["linux.lua", "local.b@r1.lua"]
    assert manifest.aliases == {"a": RecipeKey.of("local.b@r1")}


def test_duplicates_of_one_source_collapse(load):
    """The same package twice is one package, with every alias."""
    manifest = load(
        """packages = {
          { recipe = "local.a@r1", source = "recipes/local.a@r1.lua", alias = "x" },
          { recipe = "local.a@r1", alias = "y" },
        }"""
    )
    assert len(manifest.packages) == 1
    assert set(manifest.aliases) == {"x", "y"}


def test_one_key_from_two_sources_is_an_error_with_both_locations(load):
    """Either of the two could be meant."""
    with pytest.raises(ManifestError) as caught:
        load(
            'packages = {\n  { recipe = "local.a@r1", source = "x.lua" },\n'
            '  { recipe = "local.a@r1", source = "y.lua" },\n}'
        )
    message = str(caught.value)
    assert "x.lua, in" in message
    assert "envy.lua:2" in message
    assert "envy.lua:3: local.a@r1 comes from two sources" in message


def test_duplicate_alias_is_an_error_with_both_locations(load):
    """An alias is exact, so it has one meaning."""
    with pytest.raises(ManifestError) as caught:
        load(
            'packages = {\n  { recipe = "local.a@r1", alias = "x" },\n'
            '  { recipe = "local.b@r1", alias = "x" },\n}'
        )
    message = str(caught.value)
    assert 'two packages have the alias "x"' in message
    assert "local.a@r1, in" in message
    assert "envy.lua:2" in message
    assert "envy.lua:3" in message


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 0, "the manifest has no `packages`"),
        ("packages = 'x'", 1, "must be an array of entries, not a string"),
        ("packages = function() end", 1, "not a function"),
        ("\npackages = { recipe = 'local.a@r1' }", 2, "packages = { { recipe"),
        ("packages = { 'local.a@r1', nil, 'local.b@r1' }", 1, "an entry is nil, or has a name"),
        ("packages = {\n'local.a@r1',\n'local.b' }", 3, "is not a valid identity"),
        ("packages = {\n{ recipe = 'local.a@r1',\n alias = 'a.b' } }", 3, "that is not allowed"),
        (
            "packages = {\n{ recipe = 'local.a@r1', platforms = { 'linus' } } }",
            2,
            "is not a platform",
        ),
        ("packages = {\n{ recipe = 'local.a@r1',\n needed_by = 'build' } }", 3, "has no field"),
        ("packages = {}\ndefault_shell = 3", 2, "`default_shell` must be"),
        ("packages = {}\nrequires_envy = 0.4", 2, "`requires_envy` must be a string"),
        ("packages = {}\nrequires_envy = 'new'", 2, "the constraint 'new' is invalid"),
    ],
)
def test_mistake_is_an_error_with_its_line(load, text, line, part):
    """Each error says what is wrong, and where."""
    with pytest.raises(EnvyError) as caught:
        load(text)
    assert isinstance(caught.value, ManifestError | DeclarationError)
    assert part in str(caught.value)
    assert caught.value.origin.line == line
    assert caught.value.origin.path.name == "envy.lua"


@pytest.mark.parametrize(
    "rest", ["packages = 3", "packages = { 'nonsense' }", "envy.feature_of_tomorrow{}", "x = = 1"]
)
def test_too_old_is_the_only_error(load, rest):
    """For a manifest of a newer envy, the version is the only error, even if its Lua fails."""
    with pytest.raises(ManifestError) as caught:
        load(f'requires_envy = ">=99.1"\n{rest}')
    message = str(caught.value)
    assert f"this project needs envy >=99.1, and this is envy {__version__}" in message
    assert caught.value.origin.line == 1


def test_error_in_lua_is_that_error(load):
    """If the version is satisfied, the Lua error is reported."""
    with pytest.raises(LuaScriptError):
        load(f'requires_envy = ">={__version__}"\nenvy.feature_of_tomorrow()')


def test_misspelt_global_warns(load):
    """A typo in an optional field would otherwise go unnoticed."""
    (warning,) = load("packages = {}\ndefalt_shell = ENVY_SHELL.SH").warnings
    assert "envy.lua:2: envy does not use the global `defalt_shell`" in warning


def test_files_that_the_manifest_reads_are_known(load, tmp_path):
    """The manifest depends on the files that it loads."""
    (tmp_path / "more.lua").write_text("list = { 'local.a@r1' }", encoding="utf-8")
    manifest = load("packages = envy.loadenv('more').list")
    assert [spec.identity for spec in manifest.packages] == ["local.a@r1"]
    assert tmp_path / "more.lua" in manifest.reads.files


def test_the_fields_of_the_lock(load):
    """`platforms` are sorted and each once; whether digests are required is true or false."""
    manifest = load(
        "packages = {}\nrequire_digest = true\n"
        "platforms = { 'linux-x86_64-musl', 'darwin-arm64', 'darwin-arm64' }"
    )
    assert manifest.platforms == ("darwin-arm64", "linux-x86_64-musl")
    assert manifest.require_digest
    assert (load("packages = {}").platforms, load("packages = {}").require_digest) == ((), False)
    for value in ("'linux-x86_64'", "{}", "{ 1 }", "{ x = 'linux-x86_64' }"):
        with pytest.raises(ManifestError, match="`platforms` must be an array of platforms"):
            load(f"packages = {{}}\nplatforms = {value}")
    with pytest.raises(DeclarationError, match="'linux' is not a platform") as caught:
        load("packages = {}\nplatforms = { 'linux-arm64', 'linux' }")
    assert caught.value.origin.line == 2
