"""The products of packages in the cache: whether they are there and can be run."""

from __future__ import annotations

from envy.cache.names import ASSET
from envy.declarations.locations import location_in_file
from envy.declarations.products import UnusableProduct, check_products
from envy.graph.recipe import Recipe


def check_new_products(recipe: Recipe) -> None:
    """Check the products of a payload that is about to be published.

    Raises:
        UnusableProduct: one does not exist, or is a program that cannot be run.
    """
    _check(recipe, hint="")


def check_found_products(recipe: Recipe) -> None:
    """Check the products of a package that was found in the cache.

    An earlier version of envy published packages without these products, and files may have been
    removed since.

    Raises:
        UnusableProduct: one does not exist, or is a program that cannot be run.
    """
    _check(
        recipe,
        hint="if files of the package were changed, rebuild it with: "
        f"envy cache verify --repair '{recipe.key}'; otherwise correct `products` in the recipe",
    )


def _check(recipe: Recipe, *, hint: str) -> None:
    products = recipe.loaded.provides
    if not products:
        return
    try:
        check_products(products, recipe.placement.entry.at(ASSET), hint=hint)
    except UnusableProduct as error:
        error.origin = location_in_file(recipe.loaded.path, "products")
        raise
