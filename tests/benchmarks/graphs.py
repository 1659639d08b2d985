"""Projects of any size and shape for benchmarks; their recipes install nothing."""

import random

WINDOW = 20  # in the shape of that name, recipes depend on some of the last so many


def edges_of(shape, count, *, fan=3, seed=1):
    """Yield for each recipe, by number, the earlier recipes that it depends on."""
    rng = random.Random(seed)
    width = max(1, round(count**0.5))
    for number in range(count):
        if shape == "star" or number == 0:
            yield []
        elif shape == "chain":
            yield [number - 1]
        elif shape == "ladder":
            yield list(range(max(0, number - 2), number))
        elif shape == "layers":
            above = number // width * width
            pool = range(above - width, above) if above else range(0)
            yield sorted(rng.sample(pool, min(fan, len(pool))))
        elif shape == "window":
            pool = range(max(0, number - WINDOW), number)
            yield sorted(rng.sample(pool, min(fan, len(pool))))
        else:
            yield sorted(rng.sample(range(number), min(fan, number)))


def write_project(folder, shape, count, *, needed_by="", install="mark"):
    """Write envy.lua and its recipes; return the number of edges."""
    body = {
        "mark": "install = function(ctx) ctx.mark_install_complete() end",
        "shell": 'install = "echo made > made.txt"',
    }[install]
    needs = list(edges_of(shape, count))
    write_recipes(folder, needs, [body] * count, needed_by=needed_by)
    return sum(map(len, needs))


def write_recipes(folder, needs, bodies, *, needed_by=""):
    """Write envy.lua and a recipe for each body, with dependencies given by number in `needs`."""
    recipes = folder / "recipes"
    recipes.mkdir(parents=True)
    gate = f', needed_by = "{needed_by}"' if needed_by else ""
    names = [f"local.n{number}@r1" for number in range(len(needs))]
    for name, wanted, body in zip(names, needs, bodies, strict=True):
        rows = "".join(f'  {{ recipe = "{names[need]}"{gate} }},\n' for need in wanted)
        (recipes / f"{name}.lua").write_text(
            f'identity = "{name}"\ndependencies = {{\n{rows}}}\n{body}\n'
        )
    (folder / "envy.lua").write_text(
        "packages = {\n" + "".join(f'  "{name}",\n' for name in names) + "}\n"
    )
