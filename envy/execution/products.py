"""The products of packages in the cache: whether they can be run, their paths, and their shims."""

from __future__ import annotations

from envy.cache.names import ASSET
from envy.cache.shims import product_path, shim_text
from envy.declarations.locations import location_in_file
from envy.declarations.options import unknown_values
from envy.declarations.products import UnusableProduct, check_products
from envy.declarations.spec import DependencyUse
from envy.errors import DeclarationError
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe


def check_new_products(recipe: Recipe) -> None:
    """Check the products of a payload that is about to be published.

    Raises:
        UnusableProduct: one does not exist, or is a program that cannot be run.
    """
    definition = recipe.loaded.definition
    _check(recipe, hint=unknown_values(definition.declarations, definition.options))


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


def product_paths(recipe: Recipe) -> dict[str, str]:
    """Return the absolute paths of the products of a package in the cache, by name."""
    entry = recipe.placement.entry
    return {
        name: product_path(entry, name, product) for name, product in recipe.loaded.provides.items()
    }


def shims_of(recipe: Recipe, engine: PhaseServices) -> dict[str, str]:
    """Return the shims of a package by name: the scripts that run its products.

    Raises:
        DeclarationError: the program of `with` is not declared, or several dependencies provide it.
    """
    asset = recipe.placement.entry.at(ASSET)
    shims = {}
    for name, product in recipe.loaded.provides.items():
        if not product.needs_shim(name):
            continue
        words = [f"{asset}/{product.path}"]
        if product.interpreter:
            words.insert(0, _interpreter(recipe, engine, name, product.interpreter))
        shims[name] = shim_text(*words)
    return shims


def _interpreter(recipe: Recipe, engine: PhaseServices, product: str, name: str) -> str:
    """Return the path of the program that runs a product, or a name to be looked up on PATH."""
    edges = [edge for edge in engine.graph.edges(recipe.key) if edge.use is DependencyUse.RUN]
    chosen = [edge for edge in edges if edge.product == name]
    providers = [engine.graph.recipes[edge.key] for edge in chosen or edges]
    values = {
        provider.key.canonical: value
        for provider in providers
        if (value := _value_of(provider, name)) is not None
    }
    if len(values) == 1:
        return next(iter(values.values()))
    origin = location_in_file(recipe.loaded.path, "products")
    if values:
        raise DeclarationError(
            f"the product {product} is run with {name}, which several dependencies provide: "
            f"{', '.join(sorted(values))}",
            origin=origin,
            hint=f'say which: {{ product = "{name}", recipe = "…" }} in `dependencies`',
        )
    if any(name == program for program, _command in recipe.loaded.definition.host):
        return name
    raise DeclarationError(
        f"the product {product} is run with {name}, which no dependency that is needed to run "
        "provides, and which is not in `host`",
        origin=origin,
        hint=f'add {{ product = "{name}" }} to `dependencies`, or host = {{ "{name}" }}',
    )


def _value_of(provider: Recipe, name: str) -> str | None:
    if provider.user_managed:
        declared = provider.provides.get(name)
        return provider.work.products.get(name, declared.path if declared else None)
    product = provider.provides.get(name)
    return product_path(provider.placement.entry, name, product) if product else None
