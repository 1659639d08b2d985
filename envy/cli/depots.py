"""The depots of a command: those of its options, of ENVY_DEPOT and of the manifest, opened.

Without any, this imports nothing of `sharing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envy.cli.remotes import remote_cache
from envy.cli.settings import absolute_path
from envy.errors import UsageError

if TYPE_CHECKING:
    from envy.cli.settings import Settings
    from envy.declarations.depots import Depot
    from envy.declarations.manifest import Manifest
    from envy.declarations.signature import Signature
    from envy.sharing.depot import OpenDepot
    from envy.sharing.place import EntryPlace, SharedPlaces, Signer
    from envy.sharing.shelf import Shelf

KEY_VARIABLE = "ENVY_DEPOT_KEY"
_UNSIGNED = (
    "no package is taken from {place}: nobody signs what is there, and this project names "
    "depot_keys (--remote-unsigned takes them all the same)"
)
NO_DEPOT = UsageError(
    "no depot is named",
    hint="name one with --depot URL, in ENVY_DEPOT, or by `depot` in envy.lua",
)
ONLY_SERVERS = UsageError(
    "no depot is a folder, and envy works offline", hint="run it without --offline"
)


def shared_places(settings: Settings, manifest: Manifest) -> SharedPlaces | None:
    """Return the places of finished entries that a command uses; None if there are none.

    Raises:
        UsageError: a place is not valid, or is a server of which everything would be believed.
    """
    depots = _opened_depots(settings, manifest)
    keys = manifest.depots.keys if manifest.depots is not None else ()
    remote = remote_cache(settings)
    if not depots and remote is None:
        return None
    from envy.sharing.place import SharedPlaces

    writes: list[EntryPlace] = list(depots[:1]) if settings.depot_write else []
    sign = None
    if writes:
        sign = signer_of(settings.environment.get(KEY_VARIABLE, ""), keys)
    asked: list[EntryPlace] = [*depots]
    unasked = ""
    if remote is not None:
        if keys and not settings.remote_unsigned:
            unasked = _UNSIGNED.format(place=remote.shown)
        else:
            asked.append(remote)
        writes += [remote] if remote.writes else []
    return SharedPlaces(asked=tuple(asked), writes=tuple(writes), sign=sign, unasked=unasked)


def _opened_depots(settings: Settings, manifest: Manifest) -> Sequence[OpenDepot]:
    variable = settings.environment.get("ENVY_DEPOT", "")
    if not settings.depots and not variable.strip() and manifest.depots is None:
        if settings.depot_write:
            raise NO_DEPOT
        return ()
    chosen, keys = _chosen(settings, variable, manifest)
    if settings.offline:
        chosen = [depot for depot in chosen if depot.is_local]
    elif settings.depot_write and not chosen:
        raise NO_DEPOT
    return open_depots(chosen, keys, writes=settings.depot_write)


def _chosen(
    settings: Settings, variable: str, manifest: Manifest
) -> tuple[Sequence[Depot], Sequence[Signature]]:
    from envy.declarations.depots import NO_DEPOTS, chosen_depots

    declared = manifest.depots or NO_DEPOTS
    chosen = chosen_depots(settings.depots, variable, declared.listed)
    if not declared.keys and not settings.depot_unsigned:
        for depot in chosen:
            check_may_be_believed(depot)
    return chosen, declared.keys


def check_may_be_believed(depot: Depot) -> None:
    """Raise unless a depot is a folder: whoever writes to a server could put anything into a cache.

    Raises:
        UsageError: it is a server.
    """
    if depot.is_local:
        return
    from envy.masking import masked_address

    raise UsageError(
        f"the depot {masked_address(depot.url)} is a server, and no key says whose packages to "
        "believe",
        hint='name the keys of those who build: depot_keys = { "RW…" } in envy.lua, or allow '
        "unsigned packages with --depot-unsigned",
    )


def open_depots(
    chosen: Sequence[Depot], keys: Sequence[Signature], *, writes: bool
) -> list[OpenDepot]:
    """Return depots for use by this command, which may write to the first; nothing is opened."""
    if not chosen:
        return []
    from envy.sharing.depot import OpenDepot

    return [OpenDepot(_shelf(depot, makes=writes and depot is chosen[0]), keys) for depot in chosen]


def _shelf(depot: Depot, *, makes: bool) -> Shelf:
    """Return the place of a depot."""
    if depot.is_local:
        from envy.sharing.folder_shelf import FolderShelf

        return FolderShelf(depot.url, makes=makes)
    if depot.url.startswith("s3:"):
        from envy.sharing.s3_shelf import S3Shelf

        return S3Shelf(depot)
    from envy.sharing.http_shelf import HttpShelf

    return HttpShelf(depot)


def signer_of(path: str, keys: Sequence[Signature]) -> Signer | None:
    """Return what signs with the key in a file; None without one, where no key is demanded.

    Raises:
        UsageError: the file has no secret key, or one that the project does not believe; or the
            project demands keys, and none is given.
    """
    if path:
        from envy.sharing.signing import signer

        found = signer(absolute_path(path, what=KEY_VARIABLE))
        _check_believed(found, path, keys)
        return found
    if keys:
        raise UsageError(
            f"this project takes only packages signed by its depot_keys, and {KEY_VARIABLE} is not "
            "set",
            hint=f"set {KEY_VARIABLE} to the file of a secret key of minisign",
        )
    return None


def _check_believed(signer: Signer, path: str, keys: Sequence[Signature]) -> None:
    """Raise unless the project takes what a key signs: nobody would ask for it otherwise."""
    from envy.declarations.signature import Signature

    if not keys:
        raise UsageError(
            f"this project names no depot_keys, so nobody would take what the key {path} signs",
            hint=f'name its public key: depot_keys = {{ "{signer.public}" }} in envy.lua, or unset '
            f"{KEY_VARIABLE} to store packages that nobody signs",
        )
    if Signature(signer.public).key not in {key.key for key in keys}:
        raise UsageError(
            f"the key {path} is not one of this project, which would not take what it signs",
            hint=f"name another file in {KEY_VARIABLE}, or the public key of this one in "
            f'depot_keys: "{signer.public}"',
        )
