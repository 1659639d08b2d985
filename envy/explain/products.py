"""The products of the packages: which package provides each, and its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.cache.shims import product_path
from envy.declarations.shipped import advice_to_add
from envy.errors import GraphError
from envy.graph.recipe import Recipe, one_of_each
from envy.lua.values import LuaFunction
from envy.suggest import nearest

if TYPE_CHECKING:
    from envy.engine.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductView:
    """One product of one package."""

    product: str
    provider: str
    value: str  # "" while unknown
    installed: bool | None  # None for a user-managed package: only its check can say
    user_managed: bool


def products_here(session: Session) -> list[ProductView]:
    """Return every known product, sorted by name and provider; installs and runs nothing."""
    rows = [row for recipe in one_of_each(_usable(session)) for row in _products_of(recipe)]
    return sorted(rows, key=lambda row: (row.product, row.provider))


def asked_at_run_time(session: Session) -> list[Recipe]:
    """Return the user-managed packages whose products are known only once their check succeeds."""
    return [recipe for recipe in _usable(session) if _has_unknown_products(recipe)]


def provider_of(session: Session, name: str, *, query: str = "") -> Recipe | None:
    """Return the package nearest to the manifest that is known to provide a product, or None.

    Raises:
        GraphError: several packages that are equally near provide the product.
    """
    answering = {recipe.key for recipe in session.find_matches(query)} if query else None
    found = [
        recipe
        for recipe in _usable(session)
        if (name in recipe.provides or name in session.known_products(recipe))
        and (answering is None or recipe.key in answering)
    ]
    found = one_of_each(session.nearest_of(found))
    if len(found) > 1:
        rows = "\n".join(f"    {recipe.key}" for recipe in found)
        raise GraphError(
            f"{len(found)} packages provide the product {name!r}\n{rows}",
            hint=f"choose one with: envy product {name} --recipe {found[0].key.identity}",
        )
    return found[0] if found else None


def ask_machine(session: Session) -> list[Recipe]:
    """Ask user-managed packages whose check succeeds for their products; return the others.

    Nothing is installed: otherwise a misspelt product name would change the machine.
    """
    return [recipe for recipe in asked_at_run_time(session) if not session.learn_products(recipe)]


def not_provided(
    session: Session, name: str, *, query: str = "", silent: Sequence[Recipe] = ()
) -> GraphError:
    """Return the error for a product that no package provides, listing the known products."""
    said = {
        name for recipe in asked_at_run_time(session) for name in session.known_products(recipe)
    }
    known = sorted(said.union(row.product for row in products_here(session)))
    near = nearest(name, known)
    by = f" of {query!r}" if query else ""
    guess = f"; did you mean {near}?" if near else ""
    failed = [str(failure.key) for failure in session.failures()]
    hint = f"products here: {', '.join(known) or 'none'}"
    advice = advice_to_add(name)
    if advice and not query:
        hint = f"{advice}; {hint}"
    if silent:
        names = ", ".join(str(recipe.key) for recipe in silent)
        hint += f"; {names} may provide more once installed by envy sync"
    if failed:
        hint += f"; not all recipes could be read ({', '.join(failed[:3])})"
    return GraphError(f"no package{by} provides the product {name!r}{guess}", hint=hint)


def _usable(session: Session) -> Iterator[Recipe]:
    for recipe in session.recipes():
        if recipe.loaded_or_none is not None and not recipe.excluded:
            yield recipe


def _has_unknown_products(recipe: Recipe) -> bool:
    definition = recipe.loaded.definition
    return definition.user_managed and isinstance(definition.products, LuaFunction)


def _products_of(recipe: Recipe) -> Iterator[ProductView]:
    user_managed = recipe.user_managed
    for name, product in recipe.provides.items():
        value = product.path
        if not user_managed:
            placement = recipe.placement_or_none
            value = product_path(placement.entry, name, product) if placement else ""
        yield ProductView(
            product=name,
            provider=recipe.key.canonical,
            value=value,
            installed=None
            if user_managed
            else recipe.work.cached or recipe.work.outcome is not None,
            user_managed=user_managed,
        )
