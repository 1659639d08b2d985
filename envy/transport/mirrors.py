"""The addresses of one file, tried in order until one gives the content that is wanted.

Owns the order, and the error that names every address and why it failed. Opens no connection.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from envy.declarations.mirrors import PrefixMap, mirrored, mirrors_in
from envy.errors import FetchError
from envy.transport.addresses import check_named, origin_of, redacted
from envy.transport.context import CannotWrite, FetchContext, NoAnswer, NotFound, Offline

VARIABLE = "ENVY_MIRRORS"

Result = TypeVar("Result")


def addresses_of(url: str, own: Sequence[str], context: FetchContext) -> list[str]:
    """Return the addresses to try for the file at `url`; hosts that gave no answer come last.

    Raises:
        FetchError: ENVY_MIRRORS is not valid.
    """
    maps = tuple(filter(None, (_of_environment(context), context.mirrors)))
    if not own and not maps:
        return [url]
    silent = _silent(context)
    return sorted(mirrored(url, tuple(own), maps), key=lambda each: origin_of(each) in silent)


def _of_environment(context: FetchContext) -> PrefixMap:
    text = context.environment.get(VARIABLE, "")
    try:
        return mirrors_in(text) if text else {}
    except ValueError as error:
        raise FetchError(
            f"{VARIABLE}: {error}",
            uri=VARIABLE,
            hint=f"write {VARIABLE}=https://example.org/=https://mirror.example.net/, with more of "
            "them after spaces",
        ) from None


def _silent(context: FetchContext) -> set[tuple[str, str, int]]:
    """Return the origins that gave no answer in this run."""
    return context.memo.once(("gave no answer",), set[tuple[str, str, int]])


def first_good(
    url: str,
    addresses: Sequence[str],
    attempt: Callable[[str, FetchContext], Result],
    context: FetchContext,
    *,
    is_pinned: bool,
) -> Result:
    """Return the result of the first address for which `attempt` succeeds.

    With several addresses, each is tried once, so that one that is down costs little; those that
    gave no answer are then tried again, with all repeats.

    Raises:
        FetchError: all failed; the error of a single one, or one that names all.
    """
    if len(addresses) == 1 and addresses[0] == url:
        return attempt(url, context)
    failures: dict[str, FetchError] = {}
    for each, used in _attempts(addresses, failures, context):
        try:
            if each != url:
                check_named(each, by=url, verb="has the mirror", is_pinned=is_pinned)
            return attempt(each, used)
        except (Offline, CannotWrite):
            raise
        except FetchError as error:
            failures[each] = error
            if isinstance(error, NoAnswer):
                _silent(context).add(origin_of(each))
            if len(failures) < len(addresses):
                context.warn(f"{error.message}; trying the next of {len(addresses)} addresses")
    raise _all_failed(url, failures)


def _attempts(
    addresses: Sequence[str], failures: Mapping[str, FetchError], context: FetchContext
) -> Iterator[tuple[str, FetchContext]]:
    """Yield each address, without repeats of requests; then, with them, those without an answer."""
    quick = replace(context, retries=0)
    for each in addresses:
        yield each, quick
    for each in [each for each in failures if isinstance(failures[each], NoAnswer)]:
        yield each, context


def _all_failed(url: str, failures: Mapping[str, FetchError]) -> FetchError:
    errors = list(failures.values())
    if len(errors) == 1:
        return errors[0]
    kind = FetchError
    if any(isinstance(error, NoAnswer) for error in errors):
        kind = NoAnswer
    elif all(isinstance(error, NotFound) for error in errors):
        kind = NotFound
    lines = "".join(
        f"\n  {number}. " + error.message.replace("\n", "\n     ")
        for number, error in enumerate(errors, 1)
    )
    hints = dict.fromkeys(error.hint for error in errors if error.hint)
    return kind(
        f"none of the {len(errors)} addresses of {redacted(url)} has the file:{lines}",
        uri=redacted(url),
        hint=next(iter(hints), ""),
    )
