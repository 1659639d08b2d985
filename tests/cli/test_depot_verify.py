"""What `envy depot verify` makes of the errors of single objects."""

import pytest

from envy.cli.depot_verify import Checked, _check, _summary
from envy.errors import ArchiveError, CacheError, Cancelled, FetchError
from envy.sharing.shelf import StoredObject
from envy.transport.context import NotFound


class Depot:
    """A depot with an object for each error."""

    shown = "file:///depot"

    def __init__(self, *errors):
        self.errors = {f"v2/{number}": error for number, error in enumerate(errors)}

    def is_by_others(self, name):
        return name == "v2/0"

    def listed(self, _context):
        return [StoredObject(name=name, size=1, used_at=0) for name in self.errors]

    def check(self, name, _layout, _context):
        if self.errors[name] is not None:
            raise self.errors[name]


def check(*errors):
    row = Checked("file:///depot")
    _check(Depot(*errors), None, None, row, shows=False)
    return row


def test_what_is_damaged_and_what_is_not():
    """Only an object that was read is damaged; one that was removed meanwhile does not count."""
    row = check(
        None,
        ArchiveError("cut", archive=None),
        FetchError("broke", uri="x"),
        NotFound("gone", uri="x"),
    )
    assert (row.objects, row.damaged, row.unreadable) == (
        3,
        [{"name": "v2/1", "reason": "cut"}],
        [{"name": "v2/2", "reason": "broke"}],
    )
    assert row.others == 1
    assert _summary(row).endswith(
        "3 objects of file:///depot: 1 damaged, 1 could not be read; 1 of other signers, whose "
        "keys are not known here"
    )


@pytest.mark.parametrize("error", [Cancelled("stopped"), CacheError("full", path=None)])
def test_what_ends_it(error):
    """Ctrl-C and a full disk say nothing about an object."""
    with pytest.raises(type(error)):
        check(error)
