"""Random graphs through the real command, with real Lua, files and threads, against the model."""

from dataclasses import replace

import pytest
from engine.observed import expected
from engine.worlds import Blueprint, Need, Shape, World, seeded_world

from envy.phase import RecipePhase

ON_DISK = Shape(least=3, most=12, on_disk=True)
PHASES = {phase.label: phase for phase in RecipePhase}


class WorldOnDisk:
    """Writes a world as a manifest and recipe files."""

    def __init__(self, project, world: World) -> None:
        self.project = project
        self.world = world
        self.variants: dict[str, list[Blueprint]] = {}
        for one in world.recipes.values():
            self.variants.setdefault(one.identity, []).append(one)

    def write(self) -> None:
        for identity, variants in self.variants.items():
            if variants[0].source is None:
                self.project.write(f"recipes/{identity}.lua", self._file(variants))
            for one in variants:
                if one.satisfied:
                    self.project.write(f"done-{one.name}-{version_of(one.key)}", "")
        rows = ",\n".join(self._root(key) for key in self.world.roots)
        self.project.manifest(f"packages = {{\n{rows}\n}}\n")

    def _root(self, key: str) -> str:
        one = self.world.recipes[key]
        fields = self._request_fields(key)
        fields += [f'alias = "{name}"' for name, who in self.world.aliases.items() if who == key]
        if one.source is not None:
            needs = ", ".join(self._need(need) for need in one.source)
            file = self._file(self.variants[one.identity])
            fields[1] = (
                f"source = {{ dependencies = {{ {needs} }}, fetch = function(ctx)\n"
                f'ctx.write("recipe.lua", [==[{file}]==])\n'
                'ctx.commit_fetch("recipe.lua")\nend }'
            )
        return f"  {{ {', '.join(fields)} }}"

    def _request_fields(self, key: str) -> list[str]:
        identity = key.partition("{")[0]
        path = self.project.root / "recipes" / f"{identity}.lua"
        fields = [f'recipe = "{identity}"', f'source = "{path}"']
        if version_of(key):
            fields.append(f'options = {{ v = "{version_of(key)}" }}')
        return fields

    def _need(self, need: Need) -> str:
        fields = self._request_fields(need.target) if need.kind == "strong" else []
        if need.kind != "strong" and need.query:
            fields.append(f"recipe = {quoted(need.query)}")
        if need.product:
            fields.append(f'product = "{need.product}"')
        if need.kind == "weak":
            here = [] if need.fallback_here else ['platforms = { "windows" }']
            fields.append(f"weak = {{ {', '.join(self._request_fields(need.target) + here)} }}")
        if need.needed_by > RecipePhase.RECIPE_FETCH:
            fields.append(f'needed_by = "{need.needed_by.label}"')
        fields.append(f'use = "{need.use.value}"')
        if not need.here:
            fields.append('platforms = { "windows" }')
        return f"{{ {', '.join(fields)} }}"

    def _file(self, variants: list[Blueprint]) -> str:
        one = variants[0]
        fails, needs = [], []
        for variant in variants:
            version = version_of(variant.key)
            phase = variant.fails_in
            fails.append(f'["{version}"] = "{"" if phase is None else phase.label}"')
            rows = ",\n    ".join(self._need(need) for need in variant.needs)
            needs.append(f'["{version}"] = {{\n    {rows} }}')
        lines = [
            f'identity = "{one.identity}"',
            f"local fails = {{ {', '.join(fails)} }}",
            f"local needs = {{ {', '.join(needs)} }}",
            "local function may_fail(phase, opts)",
            '  if fails[opts.v or ""] == phase then error("broken in " .. phase) end',
            "end",
            "dependencies = function(opts)",
            '  may_fail("recipe_fetch", opts)',
            '  return needs[opts.v or ""]',
            "end",
        ]
        lines += [f'alias = "{one.alias}"'] if one.alias else []
        lines += ['platforms = { "windows" }'] if one.excluded else []
        products = ", ".join(f'{name} = {{ path = "out", kind = "file" }}' for name in one.products)
        lines += [f"products = {{ {products} }}"] if products else []
        lines += self._verbs_of_user(one) if one.user_managed else VERBS
        return "\n".join(lines) + "\n"

    def _verbs_of_user(self, one: Blueprint) -> list[str]:
        done = f'"done-{one.name}-" .. (opts.v or "")'
        return [
            f"check = function(ctx, opts) return ctx.exists({done}) end",
            'install = function(ctx, opts) may_fail("install", opts)',
            f'  ctx.run("touch " .. {done})',
            "end",
            'deploy = function(ctx, opts) may_fail("deploy", opts) end',
        ]


VERBS = [
    'fetch = function(ctx, opts) ctx.write("got", "") may_fail("fetch", opts) end',
    'stage = function(ctx, opts) may_fail("stage", opts) end',
    'build = function(ctx, opts) may_fail("build", opts) end',
    'install = function(ctx, opts) may_fail("install", opts) ctx.write("out", "") end',
    'deploy = function(ctx, opts) may_fail("deploy", opts) end',
]


def version_of(key):
    """Return the single option of a key, or ""."""
    return key.partition('{v="')[2].removesuffix('"}')


def quoted(text):
    """Return a Lua string."""
    return f"[=[{text}]=]"


def sync(project, world, *, jobs):
    """Sync a world and compare the trace with the model; return what the model expects."""
    model = expected(world)
    fine = not model.error and not model.wanted & model.failures.keys()
    run = project.envy("sync", "--yes", "--jobs", str(jobs), code=None)
    assert "bug" not in run.err, run.err
    ran: dict[str, list[RecipePhase]] = {}
    for row in run.named("phase_start"):
        ran.setdefault(row["key"], []).append(PHASES[row["phase"]])
    assert ran == model.ran
    assert {r["key"]: r["outcome"] for r in run.named("recipe_complete")} == model.outcomes
    failed = {key for key, failure in model.failures.items() if not failure.dependency}
    assert {row["key"] for row in run.named("phase_failed")} == failed
    assert {row["key"] for row in run.named("recipe_aborted")} == model.failures.keys() - failed
    choices = {
        (r["query"], r["provider"], r["by_fallback"]) for r in run.named("reference_resolved")
    }
    assert choices == {choice[1:] for choice in model.choices}
    check_error(run, model.error)
    assert run.code == (0 if fine else 1), run.err
    return model


def check_error(run, error):
    """Assert that the error about the whole graph is the expected one."""
    if error is None:
        return
    sort, about = error
    if sort == "cycle":
        assert f"dependency cycle: {' → '.join([*about, about[0]])}" in run.err
    elif sort == "ambiguous":
        for owner, query, candidates in about:
            assert f"several packages answer to {query}, which {owner} needs" in run.err
            assert all(candidate in run.err for candidate in candidates)
    else:
        assert ("nothing answers to" if about else "cannot be fetched") in run.err


@pytest.mark.parametrize("number", range(30))
def test_a_random_graph_has_the_results_of_the_model(project, number):
    """A sync has the results of the model, with an empty cache and with the cache of that sync."""
    world = seeded_world(number, ON_DISK)
    world = replace(world, goals=None)
    WorldOnDisk(project, world).write()
    model = sync(project, world, jobs=1 + number % 4)
    if model.error or model.failures:
        return
    done = {
        key: replace(
            one,
            cached=model.outcomes.get(key) == "installed",
            satisfied=one.satisfied or model.outcomes.get(key) == "changed",
            brought=one.source is not None,
        )
        for key, one in world.recipes.items()
    }
    sync(project, replace(world, recipes=done), jobs=1 + number % 4)
