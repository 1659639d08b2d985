"""The depots that `envy depot verify` and `prune` work on, in a project and outside of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from envy.cli.depots import NO_DEPOT, ONLY_SERVERS, open_depots
from envy.cli.manifest_path import manifest_path
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.declarations.depots import chosen_depots
from envy.errors import ManifestError
from envy.sharing.depot import OpenDepot


def maintained_depots(settings: Settings) -> Sequence[OpenDepot]:
    """Return the depots to check or to clean; the project's only where there is a project.

    Raises:
        UsageError: there is none, or one is not valid; ManifestError: the manifest is not valid.
    """
    try:
        manifest_path(settings)
    except ManifestError:
        if settings.manifest is not None:
            raise
        variable = settings.environment.get("ENVY_DEPOT", "")
        opened = open_depots(chosen_depots(settings.depots, variable, ()), (), writes=False)
    else:
        only = dataclasses.replace(settings, depot_write=False, remote="")
        with open_session(only, writes=False) as session:
            places = session.shared.places if session.shared else ()
            opened = [place for place in places if isinstance(place, OpenDepot)]
    if not opened:
        raise ONLY_SERVERS if settings.offline else NO_DEPOT
    return opened
