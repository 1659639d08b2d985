"""A known identity that may have been meant by an invalid one. Used for error messages only."""

from pathlib import Path

from envy.declarations.query_match import split_query
from envy.declarations.shipped import TESTS_ENDING, shipped_identities, shipped_recipes_dir
from envy.errors import InvalidIdentity
from envy.suggest import nearest


def suggest_identity(error: InvalidIdentity, recipes_dir: Path) -> None:
    """Add the most similar identity that ships with envy, or has a file in `recipes_dir`."""
    files = recipes_dir.glob("local.*@*.lua")
    local = frozenset(path.stem for path in files if not path.name.endswith(TESTS_ENDING))
    found = similar_identity(error.identity, local | shipped_identities(shipped_recipes_dir()))
    if found:
        error.suggest(found)


def similar_identity(text: str, known: frozenset[str]) -> str:
    """Return the known identity of which `text` seems to be a part; "" if there is none."""
    forms: dict[str, str] = {}
    for identity in sorted(known):
        full_name = identity.rpartition("@")[0]
        for form in (identity, full_name, full_name.partition(".")[2]):
            forms.setdefault(form, identity)
    parts = split_query(text)
    name = parts[0] if parts else text
    for candidate in (text, name):
        if candidate in forms:
            return forms[candidate]
    starts = [form for form in sorted(forms) if len(name) > 1 and form.startswith(name)]
    close = starts[0] if starts else nearest(text, forms) or nearest(name, forms)
    return forms[close] if close else ""
