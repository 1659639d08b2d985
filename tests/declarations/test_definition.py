"""What recipe files say."""

from pathlib import Path

import pytest

from envy.declarations.definition import parse_definition
from envy.declarations.products import Product
from envy.declarations.sources import SourceItem
from envy.declarations.spec import DependencyUse, RecipeSpec
from envy.declarations.tables import Exports, InputPattern, StageTable
from envy.errors import DeclarationError, LuaScriptError, SourceLocation
from envy.host.platform import Platform
from envy.lua.runtime import LuaState, SandboxSettings
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase

LINUX = Platform(os="linux", arch="x86_64", os_version="1", libc="gnu", libc_version="2.36")
ASKED = SourceLocation(Path("envy.lua"), 3)
HEAD = 'identity = "local.gn@r0"\n'


@pytest.fixture
def define(tmp_path):
    """Parses the text of a recipe that is requested with some options."""
    states = []

    def parse(text, options=None, *, head=HEAD):
        path = tmp_path / "gn.lua"
        path.write_text(head + text, encoding="utf-8")
        settings = SandboxSettings(
            platform=LINUX,
            environment={},
            should_stop=lambda: False,
            on_log=lambda _level, _message: None,
            on_stdout=lambda _text: None,
        )
        state = LuaState(settings, base_dir=tmp_path)
        states.append(state)
        state.load_file(path)
        spec = RecipeSpec(
            identity="local.gn@r0",
            options=options or {},
            source=SourceItem(source="gn.lua", base_dir=tmp_path),
            origin=ASKED,
        )
        return parse_definition(
            state.user_globals(), spec=spec, path=path, text=head + text, platform=LINUX
        )

    yield parse
    for state in states:
        state.close()


def test_smallest_recipe(define):
    """An identity and a verb that creates content are enough."""
    definition = define('install = "touch x"')
    assert definition.identity == "local.gn@r0"
    assert definition.install == "touch x"
    assert (definition.check, definition.fetch, definition.stage) == (None, None, None)
    assert not definition.user_managed
    assert not definition.excluded
    assert definition.warnings == ()


def test_all_fields_of_a_recipe(define, tmp_path):
    """Each field is read, in the form that the phases use."""
    definition = define(
        """
        about = { version = "1.0", license = "MIT" }
        options = { version = { type = "string", default = "1.0" } }
        dependencies = { { recipe = "local.ninja@r1", needed_by = "build", use = "build" } }
        inputs = { "patches/*.patch", { "vendor", exclude = { "build" }, follow = true } }
        host = { "python3", cc = "cc -v" }
        fetch = { "a.tgz", { source = "b.tgz", strip = 1 } }
        stage = { strip = 2 }
        build = "make"
        install = function(ctx, opts) end
        deploy = function(ctx, opts) end
        products = { gn = "bin/gn" }
        exports = { path = { "bin" }, env = { ROOT = "{{asset}}" } }
        alias = "g"
        platforms = { "linux" }
        portable = true
        remote = true
        relocate = { "bin/*" }
        pass_env = { "CC" }
        secret_env = { "TOKEN" }
        exclusive = "gn"
        """
    )
    assert definition.about == {"version": "1.0", "license": "MIT"}
    assert definition.options == {"version": "1.0"}
    (dependency,) = definition.dependencies
    assert dependency.spec.identity == "local.ninja@r1"
    assert (dependency.needed_by, dependency.use) == (RecipePhase.BUILD, DependencyUse.BUILD)
    assert definition.inputs == (
        InputPattern(pattern="patches/*.patch"),
        InputPattern(pattern="vendor", exclude=("build",), follow=True),
    )
    assert definition.host == (("cc", "cc -v"), ("python3", "python3 --version"))
    assert definition.fetch == (
        SourceItem(source="a.tgz", base_dir=tmp_path),
        SourceItem(source="b.tgz", strip=1, base_dir=tmp_path),
    )
    assert definition.stage == StageTable(strip=2)
    assert definition.build == "make"
    assert isinstance(definition.install, LuaFunction)
    assert isinstance(definition.deploy, LuaFunction)
    assert definition.products == {"gn": Product(path="bin/gn")}
    assert definition.exports == Exports(path=("bin",), env={"ROOT": "{{asset}}"})
    assert (definition.alias, definition.platforms) == ("g", ("linux",))
    assert definition.portable
    assert definition.remote
    assert definition.relocate == ("bin/*",)
    assert (definition.pass_env, definition.secret_env) == (("CC",), ("TOKEN",))
    assert definition.exclusive == "gn"


def test_a_padded_package(define):
    """`relocate` is "padded", or names files."""
    definition = define('install = "true" relocate = "padded"')
    assert (definition.padded, definition.relocate) == (True, ())
    assert not define('install = "true"').padded
    with pytest.raises(DeclarationError, match="relocate"):
        define('install = "true" relocate = "bin/*"')


def test_functions_stay_functions(define):
    """Functions are kept, and called by the phases."""
    definition = define(
        "fetch = function() end products = function() end exports = function() end"
        " stage = function() end"
    )
    kept = (definition.fetch, definition.products, definition.exports, definition.stage)
    assert all(isinstance(value, LuaFunction) for value in kept)


def test_dependencies_may_be_a_function_of_the_options(define):
    """The function gets the options with their defaults."""
    definition = define(
        """options = { with = { type = "string", default = "zlib" }, n = { type = "integer" } }
        dependencies = function(opts)
          return { "local." .. opts.with .. "@r" .. opts.n }
        end
        build = "make" """,
        {"n": 7},
    )
    assert [item.spec.identity for item in definition.dependencies] == ["local.zlib@r7"]


def test_error_in_a_dependencies_function_has_its_line(define):
    """The error is a Lua error with the line in the recipe file."""
    with pytest.raises(LuaScriptError, match=r"gn\.lua:2: no luck"):
        define('dependencies = function(opts) error("no luck") end build = "make"')


def test_lines_of_dependencies(define):
    """A dependency has the location of its declaration."""
    definition = define('dependencies = {\n  "local.a@r1",\n  "local.b@r1",\n}\nbuild = "x"')
    assert [item.spec.origin.line for item in definition.dependencies] == [3, 4]


def test_check_makes_it_user_managed(define):
    """A `check` makes a recipe user-managed, whatever its form."""
    assert define('check = "true" install = "x"').user_managed
    assert define("check = function() end install = function() end").user_managed


@pytest.mark.parametrize(
    "verb", ['fetch = "x.tgz"', "fetch = function() end", "stage = {}", 'build = "x"']
)
def test_user_managed_recipe_creates_no_content(define, verb):
    """The error says that a download needs a separate recipe."""
    with pytest.raises(DeclarationError, match="move the download to a separate recipe"):
        define(f'check = "true"\ninstall = "x"\n{verb}')


def test_user_managed_recipe_needs_install(define):
    """A check alone has no way to change the machine."""
    with pytest.raises(DeclarationError, match=r"gn.lua:2: .* needs `install`"):
        define('check = "true"')


def test_recipe_for_other_platforms_has_no_dependencies(define):
    """Functions of a recipe that is excluded here are not called."""
    definition = define(
        'platforms = { "darwin" } build = "x" dependencies = function() error("no") end'
    )
    assert definition.excluded
    assert definition.dependencies == ()


def test_products_of_other_platforms_are_left_out(define):
    """A product may have `platforms`, like an entry."""
    definition = define(
        """build = "x"
        products = { a = { path = "bin/a", platforms = { "linux" } },
                     b = { path = "bin/b", platforms = { "darwin" } } }"""
    )
    assert definition.products == {"a": Product(path="bin/a")}


def test_products_of_the_machine_are_not_checked(define):
    """A user-managed recipe has no asset that its products could be outside of."""
    definition = define('check = "x" install = "x" products = { cc = "/usr/bin/cc" }')
    assert definition.products == {"cc": Product(path="/usr/bin/cc")}


def test_misspelt_field_warns_with_its_line(define):
    """A global that envy does not use is reported if it looks like a typo."""
    definition = define('build = "x"\nfunction instal() end')
    (warning,) = definition.warnings
    assert "gn.lua:3: envy does not use the global `instal`" in warning
    assert "`install`" in warning


def test_own_globals_do_not_warn(define):
    """Globals with other names are not reported."""
    assert define('build = "x" function compile_everything() end sizes = {1}').warnings == ()


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 0, "creates no content"),
        ("stage = {}", 0, "creates no content"),
        ("build = 3", 2, "`build` must be a script (a string) or a function, not a number"),
        ('build = { "a", "b" }', 2, "write several lines as one string"),
        ('build = ""', 2, "not an empty string"),
        ("check = true\ninstall = 'x'", 2, "`check` must be a script"),
        ("install = 'x'\ndeploy = 'y'", 3, "`deploy` must be a function"),
        ("install = 'x'\nstage = { stip = 1 }", 3, 'did you mean "strip"?'),
        ("install = 'x'\nstage = {\n strip = '1' }", 4, "`strip` must be a whole number"),
        ("install = 'x'\nproducts = { 'gn' }", 3, "`products` must be a table of paths"),
        ("install = 'x'\nproducts = {\n gn = '/gn' }", 4, "is not inside the asset"),
        ("install = 'x'\nproducts = { gn = '../gn' }", 3, "is not inside the asset"),
        ("install = 'x'\nproducts = { [''] = 'x' }", 3, "a name that no program can have"),
        ("install = 'x'\nproducts = { gn = 3 }", 3, "`products.gn` must be a path"),
        ("install = 'x'\nproducts = { gn = { path = 'x', platform = {} } }", 3, '"platforms"?'),
        ("install = 'x'\nexports = { paths = {} }", 3, 'did you mean "path"?'),
        ("install = 'x'\nexports = { path = 'bin' }", 3, 'path = { "bin" }'),
        (
            "install = 'x'\nexports = { env = { ['A=B'] = 'x' } }",
            3,
            "invalid variable name: 'A=B'",
        ),
        ("install = 'x'\nexports = { env = { A = 1 } }", 3, "`exports.env.A` must be a string"),
        ("install = 'x'\nabout = { licence = 'MIT' }", 3, 'did you mean "license"?'),
        ("install = 'x'\nabout = { version = 1.0 }", 3, 'version = "1.0"'),
        ("install = 'x'\nhost = 'python3'", 3, "`host` must be a table of programs"),
        ("install = 'x'\nhost = { cc = {} }", 3, "`host.cc` must be"),
        ("install = 'x'\nalias = 'a.b'", 3, "contains a character that is not allowed"),
        ("install = 'x'\nplatforms = { 'linus' }", 3, "'linus' is not a platform"),
        ("install = 'x'\nportable = 'yes'", 3, "`portable` must be true or false"),
        ("install = 'x'\nremote = 'yes'", 3, "`remote` must be true or false"),
        ("remote = true\nfetch = 'x'", 2, "`remote` is for `build` and `install` of packages"),
        ("install = 'x'\ncheck = 'x'\nremote = true", 4, "`remote` is for `build` and"),
        ("install = 'x'\npass_env = 'CC'", 3, 'pass_env = { "CC" }'),
        ("install = 'x'\nexclusive = true", 3, "`exclusive` must be a non-empty string"),
        ("fetch = {\n 'a.tgz',\n { source = 'b.tgz',\n sha256 = 'x' } }", 5, "64 hexadecimal"),
        ("fetch = { 'a/x', 'b/x' }", 2, 'two sources have the file name "x"'),
        ("install = 'x'\ndependencies = {\n 'local.a@r1',\n { recipe = 'a b' },\n}", 5, "name"),
        ("install = 'x'\ndependencies = {\n { recipe = 'local.x@1',\n use = 'biuld' } }", 5, "use"),
        ("install = 'x'\noptions = {\n v = { type = 'text' } }", 4, "unknown type"),
    ],
)
def test_mistake_is_an_error_with_its_line(define, text, line, part):
    """Each error says what is wrong, in which file and on which line."""
    with pytest.raises(DeclarationError) as caught:
        define(text)
    assert part in str(caught.value)
    assert caught.value.origin.path.name == "gn.lua"
    assert caught.value.origin.line == line


def test_identity_is_required(define):
    """A recipe file without an identity could be the file of any recipe."""
    with pytest.raises(DeclarationError, match=r'add identity = "local\.gn@r0"'):
        define('build = "x"', head="")


def test_identity_must_be_the_requested_one(define):
    """The error shows both identities and both locations."""
    with pytest.raises(DeclarationError) as caught:
        define('build = "x"', head='identity = "local.gn@r1"\n')
    message = str(caught.value)
    assert 'the recipe is "local.gn@r1", and envy.lua:3 requests "local.gn@r0"' in message
    assert caught.value.origin.line == 1


def test_wrong_option_is_an_error_in_the_entry(define):
    """The location of the error is the entry, not the recipe."""
    with pytest.raises(DeclarationError, match=r"^envy.lua:3: .*no option \"verison\""):
        define('build = "x" options = { version = { type = "string" } }', {"verison": "1"})
