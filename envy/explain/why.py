"""Why a package is in the graph: the paths that lead to it, and the references bound to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from envy.declarations.key import Query, RecipeKey
from envy.explain.view import EdgeView, GraphView, PackageView, State
from envy.graph.algorithms import dependencies_first

if TYPE_CHECKING:
    from envy.engine.session import Session
    from envy.graph.recipe import Recipe

Step = tuple[PackageView, EdgeView]


def paths_to(graph: GraphView, target: str) -> Iterator[tuple[Step, ...]]:
    """Yield every path from a root to a package, shortest first, then in key order.

    Only paths that reach the package are walked, so the first few of very many are cheap.
    """
    lengths = _lengths(graph, target)
    longest = max((lengths[root].bit_length() for root in graph.roots), default=0)
    for length in range(longest):
        for root in graph.roots:
            if lengths[root] >> length & 1:
                yield from _walks(graph, root, length, lengths)


def count_paths(graph: GraphView, target: str) -> int:
    """Return the number of paths without walking them."""
    counts: dict[str, int] = {}
    for key in _dependencies_first(graph):
        counts[key] = int(key == target) + sum(counts[e.target] for e in graph.packages[key].edges)
    return sum(counts[root] for root in graph.roots)


def _lengths(graph: GraphView, target: str) -> Mapping[str, int]:
    """Return, per package, a number whose bit n is set if a path of n steps leads to the target."""
    lengths: dict[str, int] = {}
    for key in _dependencies_first(graph):
        found = int(key == target)
        for edge in graph.packages[key].edges:
            found |= lengths[edge.target] << 1
        lengths[key] = found
    return lengths


def _dependencies_first(graph: GraphView) -> list[str]:
    packages = graph.packages
    return dependencies_first(graph.roots, lambda key: [e.target for e in packages[key].edges])


def _walks(
    graph: GraphView, root: str, length: int, lengths: Mapping[str, int]
) -> Iterator[tuple[Step, ...]]:
    """Yield the paths of exactly `length` steps; a loop, because they may be thousands long."""
    if length == 0:
        yield ()
        return
    steps: list[Step] = []
    stack = [iter(_by_target(graph.packages[root]))]
    while stack:
        edge = next(stack[-1], None)
        if edge is None:
            stack.pop()
            if steps:
                steps.pop()
            continue
        left = length - len(stack)
        if not lengths[edge.target] >> left & 1:
            continue
        here = steps[-1][1].target if steps else root
        steps.append((graph.packages[here], edge))
        if left == 0:
            yield tuple(steps)
            steps.pop()
        else:
            stack.append(iter(_by_target(graph.packages[edge.target])))


def _by_target(package: PackageView) -> Sequence[EdgeView]:
    return sorted(package.edges, key=lambda edge: edge.target)


def explain(session: Session, graph: GraphView, target: str, *, limit: int) -> list[str]:
    """Return the explanation of one package, line by line."""
    package = graph.packages[target]
    count = count_paths(graph, target)
    lines = [f"{target} ({package.state.value})"]
    if package.state in {State.HELD, State.FAILED} and package.reason:
        lines.append(f"  {package.reason}")
    shown = 0
    for path in paths_to(graph, target):
        if shown == limit:
            break
        shown += 1
        lines += ["", *_path_lines(graph, target, path)]
    if count > shown:
        more = count - shown
        lines += ["", f"  and {more} more path{'' if more == 1 else 's'}; --limit N shows more"]
    choices = choices_of(session, target)
    return [*lines, "", *choices] if choices else lines


def choices_of(session: Session, target: str) -> list[str]:
    """Return a line for each decision that led to the package.

    These are where it is built, the bundle of its recipe, overrides, versions chosen for
    constraints, and references that chose the package or have it as an unused fallback.
    """
    recipe = session.recipe(RecipeKey.parse(target))
    return [
        *_bundle(recipe),
        *_replacements(recipe),
        *_options(recipe),
        *_remote(session, recipe),
        *_choices(session, target),
        *_refusals(session, target),
    ]


def _path_lines(graph: GraphView, target: str, path: Sequence[Step]) -> Iterator[str]:
    first = path[0][0] if path else graph.packages[target]
    yield f"  {first.origin} requests {first.key}"
    for package, edge in path:
        yield f"    {package.key} needs {edge.target}: {edge.label} ({edge.origin})"


def _bundle(recipe: Recipe) -> Iterator[str]:
    loaded = recipe.loaded_or_none
    if loaded is not None and loaded.bundle:
        yield f"  its recipe is from the bundle {loaded.bundle}"


def _replacements(recipe: Recipe) -> Iterator[str]:
    """Yield a line for each entry of the package that the manifest overrides."""
    from envy.declarations.overrides import describe_replaced

    for _, spec in recipe.declarations:
        if spec.replaced is not None:
            yield f"  {describe_replaced(recipe.key, spec.replaced)} ({spec.origin})"


def _options(recipe: Recipe) -> Iterator[str]:
    """Yield a line for each option whose value is not the one that was asked for."""
    everywhere = recipe.spec.overrides.everywhere
    for name, value in recipe.options.items():
        asked = recipe.spec.options.get(name)
        if everywhere is not None and everywhere.options.get(name) == value != asked:
            yield f'  {everywhere.origin} overrides {name} everywhere: it is "{value}"'
        elif asked is not None and asked != value:
            yield f'  {name} = "{asked}" means {value}, the newest version that the recipe declares'


def _remote(session: Session, recipe: Recipe) -> Iterator[str]:
    """Yield where the verbs of a recipe with `remote` run."""
    from envy.explain.plan import remote_verbs

    remote, kept_here = remote_verbs(session, recipe)
    if remote:
        yield f"  with --remote-exec, the server runs its {' and '.join(remote)}"
    for reason in kept_here:
        yield f"  its {reason}"


def _choices(session: Session, target: str) -> Iterator[str]:
    """Yield, for each reference bound to the package, why it was bound to it."""
    for reference in session.all_references():
        if reference.provider is None or reference.provider.canonical != target:
            continue
        fallback = reference.dependency.spec
        query = f"{reference.quoted} ({reference.dependency.origin})"
        search = f"  {reference.owner} searched for {query}"
        if reference.by_fallback:
            yield f"{search}: nothing in the graph matched, so its fallback was used"
        elif fallback is None:
            yield f"{search}: this is the only package that matches"
        elif fallback.key.canonical == target:
            yield f"{search}: this package matches, and is also its fallback"
        else:
            yield f"{search}: this package matches, so its fallback {fallback.key} was not needed"


def _refusals(session: Session, target: str) -> Iterator[str]:
    """Yield the weak references whose fallback is the package, but which chose another one."""
    for reference in session.all_references():
        fallback = reference.dependency.spec
        provider = reference.provider
        if fallback is None or provider is None or fallback.key.canonical != target:
            continue
        if provider.canonical != target:
            yield (
                f"  {reference.owner} has it as the fallback for {reference.quoted} "
                f"({reference.dependency.origin}), but {provider} matches"
            )


def unused_fallbacks(session: Session, query: str) -> list[str]:
    """Return a line for each unused fallback that matches a query which no package matches."""
    asked = Query.parse(query)
    present = {recipe.key for recipe in session.recipes()}
    rows = []
    for reference in session.all_references():
        fallback = reference.dependency.spec
        if fallback is None or fallback.key in present or reference.provider is None:
            continue
        if asked.matches(fallback.key, alias=fallback.alias):
            rows.append(
                f"{fallback.key} is not in the graph: {reference.owner} has it as the fallback for "
                f"{reference.quoted} ({reference.dependency.origin}), "
                f"but {reference.provider} matches"
            )
    return rows
