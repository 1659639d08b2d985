"""Choosing the version of an option that was given a constraint, such as version = ">=1.4,<2".

The versions are those that the recipe declares. Imported when a constraint was given.
"""

from collections.abc import Sequence

from envy.declarations.versions import (
    is_prerelease,
    nearest_versions,
    newest,
    parse_constraint,
    satisfies,
)
from envy.errors import DeclarationError, SourceLocation


def choose(
    name: str,
    text: str,
    versions: Sequence[str],
    *,
    origin: SourceLocation | None,
    locked: str = "",
) -> str:
    """Return the newest version that satisfies a constraint on the option `name`.

    `locked` is the version that the lock has, which is taken as long as it satisfies it.

    Raises:
        DeclarationError: the constraint is invalid, no version satisfies it, or the newest two are
            equal in order.
    """
    try:
        clauses = parse_constraint(text)
    except DeclarationError as error:
        error.origin = origin
        raise
    if locked in versions and satisfies(locked, clauses):
        return locked
    found = newest(version for version in versions if satisfies(version, clauses))
    if len(found) > 1:
        raise DeclarationError(
            f'option {name} is "{text}", and the newest versions are equal: {", ".join(found)}',
            origin=origin,
            hint="name one of them",
        )
    if found:
        return found[0]
    near = nearest_versions(clauses[-1].version, versions)
    hint = f"the nearest versions are {', '.join(near)}" if near else ""
    if any(is_prerelease(version) for version in near):
        hint += "; one before a release is taken only when it is named"
    raise DeclarationError(
        f'no version that the recipe declares satisfies {name} = "{text}"',
        origin=origin,
        hint=hint,
    )
