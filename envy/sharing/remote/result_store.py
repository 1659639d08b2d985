"""The results of tests on a server of the Remote Execution API, by their keys.

A result is that of an action that nobody executes: its command is `envy-test`, the format and the
key. Two blobs make up one result: what it rests on, and what the tests did. Under one key there may
be several, the latest first, which rest on different contents of the same files.

Guarantees
  The result of the action is stored last, when the server has every blob that it names.
  A blob has the size and the digest that the action says, or there is no result.
  A server that does not answer is not asked again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi

from envy.errors import Cancelled, EnvyError
from envy.host.platform import host_platform
from envy.sharing.remote.blobs import Blobs, WrongBlob
from envy.sharing.remote.messages import NO_FOLDER, digest_of, named_action
from envy.sharing.remote.server import Refused, RemoteServer
from envy.sharing.result_names import OfferedResult, Offers, ResultName, ResultToStore
from envy.transport.context import NotFound

_FORMAT = "1"
_MOST = 4  # results under one key
_TOGETHER = 32 << 20  # bytes of blobs that are read at once
_FORGOTTEN = "it does not have all of it any more"
_ON, _OF = "evidence", "events"


class ResultStore:
    """The results of a server in use by one command."""

    def __init__(
        self, server: RemoteServer, *, writes: bool, warn: Callable[[str], None], largest: int
    ) -> None:
        """`largest` is the limit of a blob in bytes."""
        self.shown = server.shown
        self.writes = writes
        self._server = server
        self._warn = warn
        self._largest = largest
        self.why_off = ""

    # -- reading -----------------------------------------------------------------------------------

    def find(self, names: Sequence[ResultName], check: Callable[[], None]) -> Mapping[str, Offers]:
        """Return what the server has, by key: all questions are sent at once."""
        offers = {name.key: Offers() for name in names}
        asked = self._ask(names)
        if self.why_off:
            return {key: Offers(missed=self.why_off) for key in offers}
        listed: dict[str, list[tuple[reapi.Digest, reapi.Digest]]] = {}
        for key, future in asked:
            try:
                listed[key] = self._listed(self._server.finish(future, check))
            except NotFound:
                offers[key].missed = "it has none"
            except _Unusable as error:
                offers[key].missed = str(error)
            except Cancelled:
                raise
            except EnvyError as error:
                self._switch_off(error)
                return {key: Offers(missed=self.why_off) for key in offers}
        blobs = self.read([one for rows in listed.values() for one, _ in rows], check)
        for key, rows in listed.items():
            for evidence, events in rows:
                text = blobs[evidence.hash]
                if isinstance(text, bytes):
                    offers[key].found.append(OfferedResult(text, events))
                else:
                    offers[key].missed = text
        return offers

    def read(
        self, digests: Sequence[reapi.Digest], check: Callable[[], None]
    ) -> Mapping[str, bytes | str]:
        """Return the content of blobs by hash, verified; in place of one, why there is none."""
        found: dict[str, bytes | str] = {}
        together: list[reapi.Digest] = []
        size = 0
        for digest in digests:
            together.append(digest)
            size += digest.size_bytes
            if size >= _TOGETHER:
                found.update(self._read(together, check))
                together, size = [], 0
        found.update(self._read(together, check))
        return found

    def _read(
        self, digests: Sequence[reapi.Digest], check: Callable[[], None]
    ) -> Mapping[str, bytes | str]:
        if self.why_off:
            return {digest.hash: self.why_off for digest in digests}
        try:
            return dict(Blobs(self._server, check).read(digests)) if digests else {}
        except Cancelled:
            raise
        except EnvyError as error:
            is_one_blob = isinstance(error, NotFound | WrongBlob)
            if isinstance(error, NotFound) and len(digests) > 1:
                gone = self._gone(digests, check)
                if gone:  # one call for all that a server has forgotten
                    rest = [digest for digest in digests if digest.hash not in gone]
                    return {**self._read(rest, check), **dict.fromkeys(gone, _FORGOTTEN)}
            if is_one_blob and len(digests) > 1:  # the others may be right
                half = len(digests) // 2
                parts = (digests[:half], digests[half:])
                found: dict[str, bytes | str] = {}
                for part in parts:
                    found.update(self._read(part, check))
                return found
            if isinstance(error, NotFound):
                missed = _FORGOTTEN
            elif is_one_blob:
                missed = f"its result cannot be used: {_first_line(error)}"
            else:
                self._switch_off(error)
                missed = self.why_off
            return {digest.hash: missed for digest in digests}

    def _gone(self, digests: Sequence[reapi.Digest], check: Callable[[], None]) -> set[str]:
        """Return the hashes of the blobs that the server says it lacks."""
        try:
            return set(Blobs(self._server, check).missing(digests))
        except Cancelled:
            raise
        except EnvyError as error:
            self._switch_off(error)
            return set()

    def _listed(self, result: reapi.ActionResult) -> list[tuple[reapi.Digest, reapi.Digest]]:
        """Return the pairs of blobs in the result of an action."""
        files = {row.path: row.digest for row in result.output_files}
        if result.exit_code or len(result.output_files) > 2 * _MOST:
            raise _Unusable("its result is not that of passed tests")
        found = []
        for number in range(_MOST):
            pair = [files.get(f"{number}.{name}") for name in (_ON, _OF)]
            if pair[0] is None or pair[1] is None:
                break
            if not all(0 <= one.size_bytes <= self._largest for one in pair if one is not None):
                raise _Unusable("its result is larger than a result may be")
            found.append((pair[0], pair[1]))
        if not found:
            raise _Unusable("its result is not that of passed tests")
        return found

    def _begin(self, name: ResultName) -> Any:
        request = reapi.GetActionResultRequest(
            instance_name=self._server.instance, action_digest=digest_of(action_of_tests(name)[0])
        )
        return self._server.begin(self._server.actions.GetActionResult, request)

    # -- writing -----------------------------------------------------------------------------------

    def store(
        self, results: Sequence[ResultToStore], check: Callable[[], None]
    ) -> Mapping[str, int | str]:
        """Store results; return by key the bytes that were sent, or why there are none."""
        if not results:
            return {}
        if self.why_off or not self.writes:
            return {one.name.key: self.why_off or "nothing is stored there" for one in results}
        try:
            update = self._server.capabilities().cache_capabilities
            if not update.action_cache_update_capabilities.update_enabled:
                raise Refused(f"{self.shown} is read-only for this user", uri=self.shown)
            return self._store(results, check)
        except Cancelled:
            raise
        except EnvyError as error:
            self.writes = False
            if self._server.is_news(error):
                hint = f" ({error.hint})" if error.hint else ""
                self._warn(f"results of tests are not stored: {_first_line(error)}{hint}")
            return {one.name.key: _first_line(error) for one in results}

    def _store(
        self, results: Sequence[ResultToStore], check: Callable[[], None]
    ) -> Mapping[str, int | str]:
        blobs = Blobs(self._server, check)
        earlier = self._earlier(results, blobs, check)
        sources: dict[str, tuple[reapi.Digest, Callable[[], Any]]] = {}
        owners: dict[str, str] = {}
        for one in results:
            for text in (one.evidence, one.events, *action_of_tests(one.name), NO_FOLDER):
                digest = digest_of(text)
                sources[digest.hash] = (digest, functools.partial(_whole, text))
                owners.setdefault(digest.hash, one.name.key)
        missing = blobs.missing(digest for digest, _ in sources.values())
        blobs.upload([sources[name] for name in sources if name in missing])
        sent: dict[str, int | str] = {one.name.key: 0 for one in results}
        for name in missing:
            before = sent[owners[name]]
            sent[owners[name]] = sources[name][0].size_bytes + int(before)
        futures = []
        for one in results:
            mine = (digest_of(one.evidence), digest_of(one.events))
            others = earlier.get(one.name.key, [])
            if any(other[0].hash == mine[0].hash for other in others):
                continue  # there is a result of this, which stays
            request = reapi.UpdateActionResultRequest(
                instance_name=self._server.instance,
                action_digest=digest_of(action_of_tests(one.name)[0]),
                action_result=_action_result([mine, *others][:_MOST]),
            )
            futures.append(self._server.begin(self._server.actions.UpdateActionResult, request))
        for future in futures:
            self._server.finish(future, check)
        return sent

    def _earlier(
        self, results: Sequence[ResultToStore], blobs: Blobs, check: Callable[[], None]
    ) -> dict[str, list[tuple[reapi.Digest, reapi.Digest]]]:
        """Return what the server has for the keys of results, as far as it has all of it."""
        asked = [(one.name.key, self._begin(one.name)) for one in results]
        found: dict[str, list[tuple[reapi.Digest, reapi.Digest]]] = {}
        for key, future in asked:
            try:
                found[key] = self._listed(self._server.finish(future, check))
            except (NotFound, _Unusable):
                continue
        pairs = [pair for rows in found.values() for pair in rows]
        gone = blobs.missing(one for pair in pairs for one in pair) if pairs else set()
        return {
            key: [pair for pair in rows if not {one.hash for one in pair} & gone]
            for key, rows in found.items()
        }

    # -- words -------------------------------------------------------------------------------------

    def _ask(self, names: Sequence[ResultName]) -> list[tuple[str, Any]]:
        """Send a question for each name; return the future of each answer, with its key."""
        if self.why_off:
            return []
        try:
            self._server.capabilities()
            return [(name.key, self._begin(name)) for name in names]
        except Cancelled:
            raise
        except EnvyError as error:
            self._switch_off(error)
            return []

    def _switch_off(self, error: EnvyError) -> None:
        if self.why_off:
            return
        self.why_off = _first_line(error)
        if not self._server.is_news(error):
            return
        hint = f" ({error.hint})" if error.hint else ""
        self._warn(f"{self.why_off}{hint}; it is not used in this run")


class _Unusable(Exception):
    """A result that cannot be used; the text says why."""


def action_of_tests(name: ResultName) -> tuple[bytes, bytes]:
    """Return the action of a result of tests, and its command."""
    system = host_platform()
    rows = {
        "envy-libc": f"{system.libc} {system.libc_version}".strip(),
        "envy-platform": system.tag,
        "envy-system": system.os_version,
        "envy-toolchain": name.toolchain,
    }
    outputs = [f"{number}.{kind}" for number in range(_MOST) for kind in (_ON, _OF)]
    return named_action(["envy-test", _FORMAT, name.key], rows, outputs)


def _action_result(pairs: Sequence[tuple[reapi.Digest, reapi.Digest]]) -> reapi.ActionResult:
    return reapi.ActionResult(
        output_files=[
            reapi.OutputFile(path=f"{number}.{name}", digest=digest)
            for number, pair in enumerate(pairs)
            for name, digest in zip((_ON, _OF), pair, strict=True)
        ]
    )


def _whole(text: bytes) -> Any:
    yield text


def _first_line(error: EnvyError) -> str:
    return error.message.partition("\n")[0]
