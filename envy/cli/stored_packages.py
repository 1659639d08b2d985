"""What `envy depot push` and `envy remote push` have in common: storing what is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.outcome import resolved
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line, write_line
from envy.errors import UsageError
from envy.masking import masked_data


def store_packages(
    settings: Settings, queries: Sequence[str], *, nowhere: UsageError, as_json: bool
) -> int:
    """Store packages in the places that the settings say are written to; return the exit code.

    Raises:
        UsageError: `nowhere`, if there is no such place; EnvyError: the project cannot be resolved.
    """
    with open_session(settings) as session:
        goals = resolved(session, queries)
        session.compute_keys()
        if session.shared is None or not session.shared.written:
            raise nowhere
        if queries:
            session.require_installed(goals)
            recipes = [session.recipe(key) for key in session.run_closure(goals)]
        else:
            recipes = session.recipes()
        found = [one for one in recipes if one.work.cached and not one.user_managed]
        session.hold_leases(one.placement.entry for one in found)
        stored = session.shared.uploads.store(found)
        names = [place.shown for place in session.shared.written]
    right = sum(one.is_stored for one in stored)
    if as_json:
        rows = [
            {"key": one.recipe.key.canonical, "stored": one.is_stored, "bytes": one.size}
            for one in sorted(stored, key=lambda one: one.recipe.key)
        ]
        print_data(json.dumps(masked_data({"depots": names, "packages": rows}), indent=2))
    else:
        noun = "package" if len(stored) == 1 else "packages"
        text = f"{right} of {len(stored)} {noun} are in {' and '.join(names)}"
        write_line(sys.stdout, safe_line(text))
    return SUCCESS if right == len(stored) else FAILURE
