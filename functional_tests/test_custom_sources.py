"""What a custom source yields is kept for exactly what decided it."""

import hashlib

import pytest

DECLARER = """
options = {{ flavour = {{ type = "string", default = "plain" }} }}
{head}
dependencies = function(opts)
  return {{ {{ recipe = "local.lib@r1", source = {{ {pin} fetch = function(ctx)
    local text = {text}
    ctx.write("recipe.lua", 'identity = "local.lib@r1"; install = "echo ' .. text .. ' > out"')
    ctx.commit_fetch("recipe.lua")
  end }} }} }}
end
install = function(ctx) ctx.copy(ctx.asset("local.lib") .. "/out", "out") end
"""


def declare(project, text, *, head="", pin=""):
    """Write local.app@r1, whose custom source fetches a recipe that installs `text`."""
    project.recipe("local.app@r1", DECLARER.format(text=text, head=head, pin=pin))


def entry(project, flavour="plain"):
    """Write the manifest, with this option of the declaring recipe."""
    project.manifest(
        f'packages = {{ {{ recipe = "local.app@r1", options = {{ flavour = "{flavour}" }} }} }}'
    )


def made(project, **details):
    """Sync, and return what the fetched recipe installed."""
    run = project.envy("sync", **details)
    folder = run.folder("local.app@r1")
    return (folder / "out").read_text().strip()


def kept(project):
    """The number of recipes that are kept for the custom source."""
    return len(list((project.cache / "recipes/local.lib@r1").glob("*/files/recipe.lua")))


def change_option(project, value):
    entry(project, value)


def change_module(project, value):
    project.write("recipes/words.lua", f'return {{ text = "{value}" }}')


def change_file(project, value):
    project.write("recipes/word.txt", value)


READ = '(function() local f <close> = assert(io.open({})); return f:read("a") end)()'
LOADED = "local word = " + READ.format('"word.txt"')
FILE = 'ctx.recipe_dir .. "/word.txt"'

CASES = {
    "option": ("opts.flavour", "", change_option),
    "module": ("words.text", 'local words = require("words")', change_module),
    "file read while loading": ("word", LOADED, change_file),
    "file read in the function": (READ.format(FILE), "", change_file),
    "ctx.read": (f"ctx.read({FILE})", "", change_file),
    "ctx.copy": (f'(ctx.copy({FILE}, "w") or ctx.read("w"))', "", change_file),
    "ctx.fetch": ('ctx.read(ctx.fetch("word.txt"))', "", change_file),
}


@pytest.mark.parametrize("case", CASES)
def test_another_input_gets_another_recipe(project, case):
    """A change of what the function depends on runs it again; the old value finds the old recipe.

    A sync without a change in between is warm, and is not fooled by the next change.
    """
    text, head, change = CASES[case]
    entry(project)
    declare(project, text, head=head)
    for value, count in (("first", 1), ("second", 2), ("first", 2)):
        change(project, value)
        assert made(project) == value
        assert made(project) == value
        assert kept(project) == count


@pytest.mark.parametrize("head", ["", 'local word = os.getenv("WORD")'])
def test_another_variable_gets_another_recipe(project, head):
    """A variable that was read, while loading or in the function, decides about the recipe."""
    entry(project)
    declare(project, "word" if head else 'os.getenv("WORD")', head=head)
    for value, count in (("first", 1), ("second", 2), ("first", 2)):
        assert made(project, env={"WORD": value}) == value
        assert made(project, env={"WORD": value, "OTHER": "x"}) == value
        assert kept(project) == count


@pytest.mark.parametrize(
    "text",
    [
        f'(ctx.exists({FILE}) and "second" or "first")',
        '(#ctx.ls(ctx.recipe_dir) > 1 and "second" or "first")',
        '(#ctx.glob(ctx.recipe_dir .. "/*.txt") > 0 and "second" or "first")',
    ],
)
def test_the_existence_of_a_file_decides_too(project, text):
    """Asking whether a file exists, or for the names in a folder, counts as reading."""
    entry(project)
    declare(project, text)
    assert made(project) == "first"
    project.write("recipes/word.txt", "")
    assert made(project) == "second"


def test_another_project_gets_another_recipe(project, second_project):
    """Two projects with one text of the declaring file, but other files, do not share a recipe."""
    for each, value in ((project, "first"), (second_project, "second")):
        entry(each)
        each.write("recipes/word.txt", value)
        declare(
            each,
            '(function() local r = ctx.run("cat " .. ctx.recipe_dir .. "/word.txt", '
            "{ capture = true }); return r.stdout end)()",
        )
        assert made(each) == value


def test_a_digest_alone_decides(project, second_project):
    """With `sha256`, neither a change of what was read nor another project runs the function."""
    text = 'identity = "local.lib@r1"; install = "echo same > out"'
    digest = hashlib.sha256(text.encode()).hexdigest()
    read = '((os.getenv("WORD") or "") and "same")'
    for each, word in ((project, "a"), (project, "b"), (second_project, "c")):
        entry(each)
        declare(each, read, pin=f'sha256 = "{digest}",')
        assert made(each, env={"WORD": word}) == "same"
    [folder] = (project.cache / "recipes/local.lib@r1").iterdir()
    assert [path.name for path in folder.iterdir()] == ["files"]


def test_a_digest_does_not_cover_other_files(project):
    """Modules that are committed beside a recipe with a digest are not in it: evidence decides."""
    text = 'identity = "local.lib@r1"; local m = require("m"); install = "echo " .. m .. " > out"'
    digest = hashlib.sha256(text.encode()).hexdigest()
    project.manifest(
        f"""packages = {{ {{ recipe = "local.lib@r1", source = {{ sha256 = "{digest}",
        fetch = function(ctx)
          ctx.write("m.lua", "return '" .. os.getenv("WORD") .. "'")
          ctx.write("recipe.lua", [[{text}]])
          ctx.commit_fetch("recipe.lua", "m.lua")
        end }} }} }}"""
    )
    for word in ("first", "second"):
        run = project.envy("sync", env={"WORD": word})
        assert (run.folder("local.lib@r1") / "out").read_text() == f"{word}\n"


def test_a_function_that_reads_the_clock_runs_in_each_sync(project):
    """What depends on the time is not used again, and no warm answer rests on it."""
    entry(project)
    declare(project, '(os.time() and os.getenv("WORD"))')
    ran = [
        len(project.envy("sync", env={"WORD": "x"}).named("phase_start", phase="recipe_fetch"))
        for _ in range(2)
    ]
    assert ran == [2, 2]
    assert kept(project) == 1


def test_two_variants_that_declare_one_source_are_an_error(project):
    """A function of different options is two sources for one key, which is reported."""
    declare(project, "opts.flavour")
    project.manifest(
        """packages = {
  { recipe = "local.app@r1", options = { flavour = "sweet" } },
  { recipe = "local.app@r1", options = { flavour = "sour" } },
}"""
    )
    run = project.envy("sync", code=1)
    assert "local.lib@r1 is declared from 2 different sources" in run.err
    assert 'for the options {flavour="sour"}' in run.err


def test_a_damaged_record_of_evidence_is_a_miss(project):
    """If the evidence cannot be read, the function runs again."""
    entry(project)
    declare(project, 'os.getenv("WORD")')
    assert made(project, env={"WORD": "x"}) == "x"
    [record] = project.cache.glob("recipes/local.lib@r1/*/envy-evidence.json")
    record.write_text("[" * 10000)
    (project.cache / "resolved").rename(project.cache / "forgotten")
    assert made(project, env={"WORD": "x"}) == "x"


def test_a_plan_uses_what_a_sync_kept(project, tmp_path):
    """A plan finds the kept recipe, runs no function, and notices when the evidence has ended."""
    entry(project)
    count = f'ctx.run("echo ran >> {tmp_path}/count")'
    declare(project, f'({count} and os.getenv("WORD"))')
    made(project, env={"WORD": "x"})
    plan = project.envy("plan", env={"WORD": "x"})
    assert "reuse    local.lib@r1" in plan.out
    assert (tmp_path / "count").read_text() == "ran\n"
    plan = project.envy("plan", env={"WORD": "y"})
    assert "local.lib@r1" in plan.out
    assert "reuse" not in plan.out
    assert kept(project) == 1
