"""`requires_envy` of a manifest: the versions of envy that the project works with."""

import re

from envy import __version__
from envy.declarations import fields
from envy.declarations.locations import SourceText
from envy.declarations.versions import parse_constraint, satisfies
from envy.errors import DeclarationError, ManifestError

_NAME = "requires_envy"
_ASSIGNMENT = re.compile(r"""^[ \t]*requires_envy[ \t]*=[ \t]*(["'])([^"'\n]*)\1""", re.MULTILINE)


def written_requirement(text: str) -> str | None:
    """Return the value of `requires_envy` in the text of a manifest that need not be valid Lua."""
    found = _ASSIGNMENT.search(text)
    return found[2] if found else None


def satisfies_written(text: str, version: str) -> bool:
    """Return whether a version is what the text of a manifest asks for, if that is valid."""
    written = written_requirement(text)
    try:
        return not written or satisfies(_release(version), parse_constraint(written))
    except DeclarationError:
        return True  # a sync says what is wrong with it


def _release(version: str) -> str:
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return found[0] if found else version


def check_required_envy(value: object, source: SourceText, *, version: str = __version__) -> None:
    """Check that this version of envy is one that the manifest asks for.

    A version before a release of envy counts as that release.

    Raises:
        ManifestError: it is not, or the value is not a constraint such as `>=0.4,<2`.
    """
    if value is None:
        return
    if not isinstance(value, str):
        raise ManifestError(
            f"`{_NAME}` must be a string, not {fields.describe(value)}",
            origin=source.at(_NAME),
            hint=f'such as {_NAME} = ">=0.4"',
        )
    try:
        clauses = parse_constraint(value)
    except DeclarationError as error:
        raise ManifestError(
            f"`{_NAME}`: {error.message}", origin=source.at(_NAME), hint=error.hint
        ) from error
    if not satisfies(_release(version), clauses):
        raise ManifestError(
            f"this project needs envy {value.strip()}, and this is envy {version}",
            origin=source.at(_NAME),
            hint="install a version of envy that satisfies this, or run ./envyw if there is one",
        )
