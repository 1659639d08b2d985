"""The fields and functions of ctx in each phase, and what envy and Lua offer everywhere."""

import json

import pytest
from project import Project, tree

COMMON = {
    *("run", "exec", "quote", "asset", "product", "extract", "extract_all", "template"),
    *("copy", "move", "remove", "exists", "mkdir", "symlink", "chmod", "write", "read", "glob"),
    *("replace", "patch", "ls"),
}
PROGRAMS = {"run", "exec", "quote", "asset", "product"}
FIELDS = {"identity", "options"}
THERE = {
    "fetch": FIELDS | COMMON | {"recipe_dir", "tmp_dir", "fetch", "commit_fetch"},
    "stage": FIELDS | COMMON | {"recipe_dir", "fetch_dir", "stage_dir", "cores"},
    "build": FIELDS | COMMON | {"recipe_dir", "fetch_dir", "stage_dir", "install_dir", "cores"},
    "install": FIELDS
    | COMMON
    | {"recipe_dir", "fetch_dir", "stage_dir", "install_dir", "cores", "mark_install_complete"},
    "deploy": FIELDS | PROGRAMS | {"asset_dir"},
    "check": FIELDS | PROGRAMS | {"exists"},
    "managed": FIELDS | PROGRAMS | {"tmp_dir"},
}
EVERYTHING = sorted(set().union(*THERE.values()))

# Writes into a file which of all names exist, and the errors for the other names.
PROBE = """
local names = {{ {names} }}
local function probe(phase)
  return function(ctx)
    local file = io.open("{folder}/" .. phase, "w")
    for _, name in ipairs(names) do
      local there, what = pcall(function() return ctx[name] end)
      local value = there and (type(what) == "string" and what or type(what)) or what
      file:write(name, "\\t", tostring(there), "\\t", (value:gsub("%s+", " ")), "\\n")
    end
    file:close()
    if phase == "install" then ctx.write("x", "") end
    return phase == "check" and ctx.exists("installed") or nil
  end
end
"""


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """Probe each phase: return phase to name to (available, value or message)."""
    folder = tmp_path_factory.mktemp("probed")
    project = Project(folder / "project")
    found = folder / "found"
    found.mkdir()
    names = ", ".join(json.dumps(name) for name in EVERYTHING)
    probe = PROBE.format(names=names, folder=found)
    project.packages("local.one@r1", "local.driver@r1")
    project.recipe(
        "local.one@r1",
        probe
        + "".join(
            f'{phase} = probe("{phase}")\n'
            for phase in ("fetch", "stage", "build", "install", "deploy")
        ),
    )
    project.recipe(
        "local.driver@r1",
        probe
        + 'local asked = probe("check")\n'
        + "check = function(ctx) return asked(ctx) or false end\n"
        + 'local noted = probe("managed")\n'
        + 'install = function(ctx) noted(ctx) ctx.run("touch installed") end',
    )
    run = project.envy("sync", "--yes", "--jobs", "2")
    rows = {}
    for path in found.iterdir():
        fields = [row.split("\t") for row in path.read_text().splitlines()]
        rows[path.name] = {name: (there == "true", value) for name, there, value in fields}
    return run, rows


@pytest.mark.parametrize("phase", THERE)
def test_fields_and_functions_of_a_phase(probed, phase):
    """Each phase has the fields and functions of its row, and no others."""
    _, rows = probed
    assert {name for name, (there, _) in rows[phase].items() if there} == THERE[phase]


@pytest.mark.parametrize("phase", THERE)
def test_a_missing_name_says_why(probed, phase):
    """A name of another phase is an error that lists its phases, or says why no phase has it."""
    _, rows = probed
    reason = (
        "is user-managed" if phase in {"check", "managed"} else f"is not available in {phase}, but"
    )
    for name, (there, message) in rows[phase].items():
        assert there or (f"ctx.{name}" in message and reason in message), message


def test_folders_are_those_of_the_entry(probed):
    """Each folder is an absolute path in the entry; recipe_dir is the folder of the recipe file."""
    run, rows = probed
    entry = run.folder("local.one@r1").parent
    install = {name: value for name, (there, value) in rows["install"].items() if there}
    assert install["install_dir"] == str(entry / "asset")
    assert install["stage_dir"] == str(entry / "work" / "stage")
    assert install["fetch_dir"] == str(entry / "fetch")
    assert rows["fetch"]["tmp_dir"][1] == str(entry / "work" / "tmp")
    assert rows["deploy"]["asset_dir"][1] == str(entry / "asset")
    assert install["recipe_dir"].endswith("/project/recipes")
    assert install["identity"] == "local.one@r1"
    assert install["cores"] == "number"


def test_run_directories(project, tmp_path):
    """Scripts of each phase run in its folder."""
    where = f"pwd >> {tmp_path}/where"
    run = project.sync_one(
        f"""fetch = function(ctx) ctx.run("{where}") end
        stage = "{where}"
        build = "{where}"
        install = "{where}; touch x"
        deploy = function(ctx) ctx.run("{where}") end"""
    )
    entry = run.folder("local.one@r1").parent
    wanted = ["work/tmp", "work/stage", "work/stage", "asset", "asset"]
    assert (tmp_path / "where").read_text().split() == [str(entry / name) for name in wanted]


# -- a fetch function is called for its sources before its phase -----------------------------------


def test_a_fetch_function_that_acts_has_no_effect_before_its_phase(project, tmp_path):
    """Its writes, messages and fetches happen once, and never for a cached package."""
    body = f"""fetch = function(ctx)
      envy.warn("fetching now")
      local file = io.open("{tmp_path}/made", "a")
      file:write("x")
      file:close()
      ctx.write("data", "data")
      ctx.commit_fetch("data")
    end"""
    first = project.sync_one(body)
    assert (tmp_path / "made").read_text() == "x"
    assert first.err.count("fetching now") == 1
    second = project.sync_one(body)
    assert (tmp_path / "made").read_text() == "x"
    assert "fetching now" not in second.err


def test_a_fetch_function_that_uses_its_folder_runs_in_its_phase(project):
    """Only the fetch phase has tmp_dir, so a function that uses it runs there."""
    body = """fetch = function(ctx)
      local file = io.open(ctx.tmp_dir .. "/data", "w")
      file:write("data")
      file:close()
      ctx.commit_fetch("data")
    end"""
    assert tree(project.make(body)) == {"data": "data"}


def test_messages_of_a_declarative_fetch_are_shown_once(project):
    """A function that only returns data is called once, and its messages are shown once."""
    project.write("recipes/data", "data")
    run = project.sync_one('fetch = function() envy.warn("chosen") return "data" end')
    assert run.err.count("chosen") == 1


# -- what every recipe has ------------------------------------------------------------------------

LANGUAGE = {
    "join": ('table.concat(envy.join({ "a" }, {}, { "b", "c" }), "")', "abc"),
    "template": ('envy.template("{{a}}/{{b}}", { a = 1, b = "x" })', "1/x"),
    "path": (
        (
            'envy.path.join("a", "b.tar.gz") .. envy.path.basename("/x/y") .. '
            'envy.path.dirname("/x/y") .. envy.path.stem("a/b.c") .. envy.path.extension("a/b.c")'
        ),
        "a/b.tar.gzy/xb.c",
    ),
    "loadenv": ('envy.loadenv("settings").answer', "42"),
    "require": ('require("lib.module").answer', "43"),
    "dofile": ('dofile("settings.lua") or answer', "42"),
    "sorted pairs": (
        (
            '(function() local s = "" for k in pairs({ b = 1, a = 1, 2, c = 1 }) do s = s .. k end '
            "return s end)()"
        ),
        "1abc",
    ),
    "io.open": ('io.open("data.txt"):read("a")', "data"),
    "a file that is not there": ('tostring(io.open("none.txt"))', "nil"),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Sync one recipe for each expression, which is evaluated while the recipe loads."""
    project = Project(tmp_path_factory.mktemp("language") / "project")
    project.write("recipes/settings.lua", "answer = 42")
    project.write("recipes/lib/module.lua", "return { answer = 43 }")
    project.write("recipes/data.txt", "data")
    identities = [f"local.{case.replace(' ', '-')}@r1" for case in LANGUAGE]
    project.packages(*identities)
    for identity, (expression, _) in zip(identities, LANGUAGE.values(), strict=True):
        project.recipe(
            identity,
            f"local value = tostring({expression})\n"
            'install = function(ctx) ctx.write("value", value) end',
        )
    return project.envy("sync")


@pytest.mark.parametrize("case", LANGUAGE)
def test_the_language(loaded, case):
    """envy.* and the reading functions of Lua work while a recipe loads."""
    folder = loaded.folder(f"local.{case.replace(' ', '-')}@r1")
    assert tree(folder) == {"value": LANGUAGE[case][1]}


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ('envy.warn("be careful")', "be careful"),
        ('envy.error("quite wrong")', "quite wrong"),
        ('warn("of Lua")', "of Lua"),
    ],
)
def test_messages_of_a_recipe_are_shown(project, statement, shown):
    """Warnings and errors that a recipe logs appear with its name."""
    run = project.sync_one(f'{statement}\ninstall = "touch x"')
    [row] = [row for row in run.err.splitlines() if shown in row]
    assert "local.one@r1" in row


def test_stdout_is_for_results(project):
    """envy.stdout of a recipe or a manifest writes to the standard output of sync."""
    project.recipe("local.one@r1", 'envy.stdout("from the recipe")\ninstall = "touch x"')
    project.manifest('envy.stdout("from the manifest")\npackages = { "local.one@r1" }')
    assert project.envy("sync").out.splitlines() == ["from the manifest", "from the recipe"]


def test_effective_options_reach_the_phases(project):
    """Defaults are filled in, and given options keep their types."""
    project.manifest(
        """packages = { { recipe = "local.one@r1",
          options = { list = { 1, 2 }, deep = { a = { b = true } }, ratio = 1.5 } } }"""
    )
    project.recipe(
        "local.one@r1",
        """options = {
          list = { type = "array" }, deep = { type = "table" }, ratio = { type = "number" },
          name = { type = "string", default = "default", choices = { "default", "other" } },
        }
        install = function(ctx, opts)
          ctx.write("seen", table.concat({ opts.list[2], tostring(opts.deep.a.b),
            opts.ratio, opts.name, ctx.options.name }, " "))
        end""",
    )
    run = project.envy("sync")
    assert tree(run.folder("local.one@r1")) == {"seen": "2 true 1.5 default default"}
