"""Which packages of a run are tested on a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envy.host.platform import host_platform
from envy.testing.package import Driver, PackageRun
from envy.testing.remote.inputs import StaysHere
from envy.testing.remote.tests import RemoteTests, RunsRemotely


def plan_remote(
    runs: Sequence[PackageRun], driver: Driver, remote: RemoteTests, check: Callable[[], None]
) -> None:
    """Set what each package that a server can test needs; report why others are tested here."""
    remote.begin(check, driver.ends_at)
    for run in runs:
        run.remote = None
        if run.binary is None or run.kept_result is not None or not remote.is_used:
            continue
        try:
            if host_platform().os != "linux":
                raise StaysHere("only programs for Linux run on a server")
            if not isinstance(driver, RunsRemotely):
                raise StaysHere("tests of its kind run here")
            run.remote = driver.remote_inputs(run, remote.places)
        except StaysHere as error:
            remote.note_local(run.package.name, str(error))
    remote.say_local()
