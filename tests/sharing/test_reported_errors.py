"""What becomes of a depot or a server that cannot store an entry."""

import pytest

from envy.errors import CacheError, FetchError
from envy.sharing.depot import OpenDepot
from envy.sharing.place import OtherPayload
from envy.sharing.shelf import ReadOnly
from envy.transport.context import NoAnswer


class Shelf:
    shown = "https://depot.example.org"

    def is_news(self, _error):
        return True


class Context:
    """Collects warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def depot():
    return OpenDepot(Shelf(), ()), ReadOnly


def remote():
    pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
    pytest.importorskip("buildgrid.common", reason="buildgrid-common is missing")
    from envy.sharing.remote.remote_cache import RemoteCache
    from envy.sharing.remote.server import Refused

    return RemoteCache(Shelf(), writes=True), Refused


@pytest.mark.parametrize("make", [depot, remote])
def test_what_ends_storing(make):
    """One that does not answer or takes nothing is not tried with each further entry."""
    for ends in (False, True):
        place, refusal = make()
        context = Context()
        place.report(OtherPayload("it", "x", ["a"]), context)
        place.report(CacheError("damaged", path=None), context)
        place.report(FetchError("too large", uri="x"), context)
        assert (place.is_off, place.takes_nothing) == (False, False)
        error = NoAnswer if ends else refusal
        before = len(context.warnings)
        for _ in range(3):
            place.report(error("it says no", uri="x"), context)
        assert (place.is_off, place.takes_nothing) == (ends, not ends)
        assert ["it says no" in text for text in context.warnings[before:]] == [True]
