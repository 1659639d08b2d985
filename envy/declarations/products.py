"""The products of a recipe: names for its programs and files, strictly parsed.

Owns the forms of `products`, and the rule that a product must exist and, unless it is a file, be
executable. `products` may be a function, whose result is parsed by the same code.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from envy.declarations import fields
from envy.declarations.tables import is_included
from envy.errors import DeclarationError, SourceLocation
from envy.host.platform import Platform
from envy.suggest import did_you_mean, nearest

_PRODUCT_FIELDS = frozenset({"path", "platforms", "kind", "with"})
_KINDS = ("program", "file")
_MOST_NAMES = 20_000  # files that are searched for the one that was meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product: its path, relative to the asset, and whether it is a program.

    The path of a user-managed package's product is used as written. A program with an `interpreter`
    is run by that product of a dependency, or program of the machine.
    """

    path: str
    is_program: bool = True
    interpreter: str = ""

    def needs_shim(self, name: str) -> bool:
        """Return whether a script runs the program by this name, which is not that of its file."""
        is_renamed = self.path.rpartition("/")[2] != name
        return self.is_program and (is_renamed or bool(self.interpreter))


class UnusableProduct(DeclarationError):
    """A declared product does not exist, or is a program that cannot be run."""

    def __init__(self, message: str, *, exists: bool, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.exists = exists


def parse_products(
    value: object, *, platform: Platform, user_managed: bool, origin: SourceLocation | None
) -> Mapping[str, Product]:
    """Return the table `products`, without the products for other platforms.

    Raises:
        DeclarationError: the table is invalid, or a path leads out of the asset.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fields.wrong_type(
            "products", value, "a table of paths", origin=origin, hint='such as { gn = "bin/gn" }'
        )
    products: dict[str, Product] = {}
    for name, declared in value.items():
        product = _parse_product(str(name), declared, platform, origin)
        if product is None:
            continue
        _check_interpreter(str(name), product, origin, user_managed=user_managed)
        if "/" in str(name) or "\0" in str(name) or name in {"", ".", ".."}:
            raise DeclarationError(
                f'the product "{name}" has a name that no program can have',
                origin=fields.field_origin(origin, str(name)),
                hint='a name is one word, such as gn = "bin/gn"',
            )
        if not user_managed and _leaves(product.path):
            raise DeclarationError(
                f'the product {name} is "{product.path}", which is not inside the asset',
                origin=fields.field_origin(origin, str(name)),
                hint="paths of products are relative to the asset, such as bin/gn; a program of "
                "the machine can be a product of a user-managed package",
            )
        products[str(name)] = product
    return products


def _parse_product(
    name: str, value: object, platform: Platform, origin: SourceLocation | None
) -> Product | None:
    """Return a product; None if it is for other platforms."""
    if isinstance(value, str) and value and not name.isdigit():
        return Product(path=value)
    at_product = fields.field_origin(origin, name)
    if not isinstance(value, dict) or "path" not in value:
        raise fields.wrong_type(
            f"products.{name}",
            value,
            "a path under a name",
            origin=origin,
            hint='such as gn = "bin/gn", or gn = { path = "bin/gn", platforms = { "linux" } }',
        )
    fields.check_known(value, _PRODUCT_FIELDS, what="a product", origin=at_product)
    filters = fields.texts(value, "platforms", origin=at_product)
    kind = fields.text(value, "kind", origin=at_product) or "program"
    if kind not in _KINDS:
        raise DeclarationError(
            f'`kind` of a product must be "program" or "file", not "{kind}"',
            origin=at_product,
            hint=did_you_mean(kind, _KINDS),
        )
    product = Product(
        path=fields.text(value, "path", origin=at_product),
        is_program=kind == "program",
        interpreter=fields.text(value, "with", origin=at_product),
    )
    return product if is_included(filters, platform, at_product) else None


def _check_interpreter(
    name: str, product: Product, origin: SourceLocation | None, *, user_managed: bool
) -> None:
    if not product.interpreter:
        return
    problem = ""
    if not product.is_program:
        problem = f"the product {name} is a file, and has `with`, which runs a program"
    elif user_managed:
        problem = f"the product {name} has `with`, and its package is user-managed"
    elif "/" in product.interpreter or product.interpreter == name:
        problem = f'the product {name} cannot be run with "{product.interpreter}"'
    if problem:
        raise DeclarationError(
            problem,
            origin=fields.field_origin(origin, name),
            hint="`with` is the name of another program, such as "
            'cli = { path = "lib/cli.js", with = "node" }',
        )


def _leaves(path: str) -> bool:
    return path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path)


# -- products in a payload -------------------------------------------------------------------------


def check_products(products: Mapping[str, Product], asset: str, *, hint: str = "") -> None:
    """Check that the products of a package exist in its asset folder, and that programs can be run.

    `hint` replaces the advice for the author of the recipe.

    Raises:
        UnusableProduct: one does not exist, or is a program that cannot be run.
    """
    for name, product in products.items():
        path = f"{asset}/{product.path}"
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116  thousands of packages are checked
        except OSError:
            raise _missing(name, product, asset, hint) from None
        if not product.is_program:
            continue
        if not stat.S_ISREG(mode):
            problem, advice = "is not a file", "write "
        elif os.name == "posix" and not mode & 0o111 and not product.interpreter:
            problem, advice = "is not executable", "make it executable with ctx.chmod, or write "
        else:
            continue
        declared = f'{name} = {{ path = "{product.path}", kind = "file" }}'
        raise UnusableProduct(
            f"the product {name} cannot be run: {path} {problem}",
            exists=True,
            hint=hint or f"{advice}{declared} if it is not a program",
        )


def _missing(name: str, product: Product, asset: str, hint: str) -> UnusableProduct:
    link = Path(asset, product.path)
    if link.is_symlink():
        return UnusableProduct(
            f'the product {name} is "{product.path}", a link to {link.readlink()}, which does '
            f"not exist in {asset}",
            exists=False,
            hint=hint or "correct the link in `install`, or `products`",
        )
    near = _nearest_file(product.path, asset)
    advice = f"did you mean {near}?" if near else "create it in `install`, or correct `products`"
    return UnusableProduct(
        f'the product {name} is "{product.path}", which does not exist in {asset}'
        + (f"; the nearest file is {near}" if near and hint else ""),
        exists=False,
        hint=hint or advice,
    )


def _nearest_file(path: str, asset: str) -> str | None:
    """Return the file of the asset that is most likely meant: one of the same name, if any."""
    files = list(_files_of(asset))
    same = [file for file in files if file.name == Path(path).name]
    if same:
        return min(same, key=lambda file: (len(file.parts), file)).as_posix()
    return nearest(path, [file.as_posix() for file in files])


def _files_of(asset: str) -> Iterator[Path]:
    found = 0
    for folder, folders, names in os.walk(asset):
        folders.sort()
        for name in sorted(names):
            found += 1
            if found > _MOST_NAMES:
                return
            yield Path(folder, name).relative_to(asset)
