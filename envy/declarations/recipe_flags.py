"""The words for yes and no of a recipe file, and the rules between them and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation

At = Callable[[str], SourceLocation]  # returns where a global of the file is defined


def flag_of(values: Mapping[str, object], name: str, at: At) -> bool:
    """Return whether a flag is set; it is not if it is missing."""
    return name in values and fields.flag(values, name, origin=at(name))


def remote_of(values: Mapping[str, object], at: At) -> bool:
    """Return whether scripts of the recipe may run on a server."""
    is_remote = flag_of(values, "remote", at)
    if is_remote and ("check" in values or not {"build", "install"} & values.keys()):
        raise DeclarationError(
            "`remote` is for `build` and `install` of packages in the cache",
            origin=at("remote"),
            hint="remove it: nothing of this recipe can run on a server",
        )
    return is_remote


def recheck_of(values: Mapping[str, object], at: At) -> bool:
    """Return whether the check must hold after an install."""
    if "recheck" not in values:
        return True
    if "check" not in values:
        raise DeclarationError(
            "`recheck` is for user-managed packages, and this recipe has no `check`",
            origin=at("recheck"),
        )
    return fields.flag(values, "recheck", origin=at("recheck"))


def variants_of(values: Mapping[str, object], at: At) -> str:
    """Return "both" if two variants of one package may meet in the build, else ""."""
    value = values.get("variants")
    if value is not None and value != "both":
        raise DeclarationError(
            '`variants` can only be "both": two variants of one package may meet in the build',
            origin=at("variants"),
            hint='write variants = "both", or leave it out: then it is an error',
        )
    return "both" if value else ""
