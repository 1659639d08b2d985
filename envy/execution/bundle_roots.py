"""Folders of recipe bundles: what lies below one belongs together, as in one recipe's folder."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING

from envy.declarations.sources import Scheme, local_name, scheme_of

if TYPE_CHECKING:
    from envy.declarations.bundles import Bundle
    from envy.execution.services import Services


def root_above(folder: Path, services: Services) -> Path | None:
    """Return the folder of the bundle that a folder of recipes lies in, or None.

    A bundle that is a folder of this machine counts whether or not it was opened in this run.
    """
    if not services.bundles:
        return None
    roots = {*services.bundle_roots, *map(_folder_here, services.bundles)}
    found = [root for root in roots if root is not None and folder.is_relative_to(root)]
    return max(found, key=lambda root: len(root.parts), default=None)


def own_folder(folder: Path, services: Services) -> Path:
    """Return the folder whose files a recipe reads only if its key covers them."""
    return root_above(folder, services) or folder


def _folder_here(bundle: Bundle) -> Path | None:
    item = bundle.item
    if scheme_of(item.source) not in {Scheme.LOCAL, Scheme.FILE}:
        return None
    return Path(os.path.normpath(f"{local_name(item)}/{item.subdir}"))
