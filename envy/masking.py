"""Secrets, and the one function that masks them in everything that leaves the process.

Guarantees
  `masked` replaces three kinds of text: the values that were remembered, also where they are
  escaped, percent-encoded or part of something in base64; in addresses, the user info and the
  values of parameters whose name sounds secret; and the credentials of an Authorization header.
  Masking a masked text changes nothing.

There is one set of remembered values for the process, not one for each part that writes: whatever
is shown or stored passes here, so a value that is known to one recipe appears nowhere. A text for
a key is masked by `Secrets` of its own, since a key may not depend on what else a run knows.
"""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    _T = TypeVar("_T")

MASK = "***"
# A shorter value would turn output into asterisks, and is no secret.
SHORTEST = 4
_SHORTEST_IN_BASE64 = 8
_SHORTEST_USER = 16  # of a URL without a password: longer ones are tokens
_SECRET_WORDS = ("token", "key", "sig", "secret", "password", "credential")
_NESTED = 3  # addresses inside parameters of addresses


class Secrets:
    """A set of values to mask. It may grow while other threads use it."""

    __slots__ = ("_changing", "_encoded", "_needles", "_values", "longest")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._changing = _thread.allocate_lock()
        self.clear()
        self.add(values)

    def clear(self) -> None:
        """Forget every value."""
        self._values: frozenset[str] = frozenset()
        self._needles: tuple[str, ...] = ()
        self._encoded: tuple[bytes, ...] = ()
        self.longest = 0  # bytes of the longest text that is masked

    def add(self, values: Iterable[str]) -> None:
        """Add values, with the forms in which they appear. Those below four characters are not."""
        found = {form for value in values for form in _lines_of(value)} - self._values
        if found:
            with self._changing:
                self._values |= found
                needles = {needle for value in self._values for needle in _forms(value)}
                # Longest first, since one may be the start of another.
                ordered = sorted(needles, key=lambda needle: (-len(needle), needle))
                encoded = tuple(needle.encode("utf-8", "surrogateescape") for needle in ordered)
                self.longest = max(map(len, encoded))
                self._needles, self._encoded = tuple(ordered), encoded

    def masked(self, text: str) -> str:
        """Return the text without secrets."""
        # A search for one rare character is many times faster than one for a word.
        if ":" in text:
            has_address = "://" in text or ("\\" in text and ":\\/\\/" in text)
            if has_address and _may_have_secrets(text):
                text = _addresses_masked(text)
            if ("z" in text and "uthorization" in text) or ("Z" in text and "UTHORIZATION" in text):
                text = _patterns()[1].sub(rf"\1 {MASK}", text)
        for needle in self._needles:
            if needle in text:
                return self._literals_masked(text)
        return text

    def masked_data(self, value: _T) -> _T:
        """Return data of records, collections and texts with every text masked.

        Data is masked before it is written as JSON or the like, whose words may look like a value.
        """
        found: _T = _data_masked(value, self.masked)
        return found

    def masked_bytes(self, line: bytes) -> bytes:
        """Return the bytes without secrets."""
        if not self.may_be_in(line):
            return line
        text = self.masked(line.decode("utf-8", "surrogateescape"))
        return text.encode("utf-8", "surrogateescape")

    def may_be_in(self, line: bytes) -> bool:
        """Return whether bytes may contain something to mask; false for most output."""
        if b":" in line and (
            b"://" in line
            or (b"\\" in line and b":\\/\\/" in line)
            or (b"z" in line and b"uthorization" in line)
            or (b"Z" in line and b"UTHORIZATION" in line)
        ):
            return True
        return any(needle in line for needle in self._encoded)

    def may_be_in_json(self, text: str) -> bool:
        """Return whether JSON may contain something to mask."""
        return bool(self._values) or "://" in text or "uthorization" in text.lower()

    def occur_in(self, text: str) -> set[str]:
        """Return the remembered values of which some form occurs in a text."""
        return {value for value in self._values if any(form in text for form in _forms(value))}

    def safe_cut(self, line: bytes, end: int) -> int:
        """Return the last place up to `end` where a cut divides nothing that is to be masked."""
        if not self.may_be_in(line):
            return end
        text = line.decode("utf-8", "surrogateescape")
        spans = [match.span() for pattern in _patterns() for match in pattern.finditer(text)]
        spans += self._spans(text)
        cut = len(line[:end].decode("utf-8", "surrogateescape"))
        for start, stop in sorted(spans, reverse=True):
            if start < cut < stop:
                cut = start
        return len(text[:cut].encode("utf-8", "surrogateescape"))

    def _literals_masked(self, text: str) -> str:
        """Return the text with each needle replaced; needles that overlap become one mask."""
        parts, at = [], 0
        for start, stop in sorted(self._spans(text)):
            if start >= at:
                parts += [text[at:start], MASK]
            at = max(at, stop)
        return "".join([*parts, text[at:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for needle in self._needles:
            start = text.find(needle)
            while start >= 0:
                yield start, start + len(needle)
                start = text.find(needle, start + 1)


_known = Secrets()
masked = _known.masked
masked_bytes = _known.masked_bytes
masked_data = _known.masked_data
may_be_in = _known.may_be_in
safe_cut = _known.safe_cut
occur_in = _known.occur_in
remember = _known.add
forget_all = _known.clear  # a session begins with none


def longest() -> int:
    """Return how many bytes the longest remembered form of a secret has."""
    return _known.longest


def remember_address(address: str) -> None:
    """Remember the password of a URL, or a token in its place, which programs may print alone."""
    user, at, _ = address.partition("://")[2].partition("/")[0].rpartition("@")
    if not at:
        return
    from urllib.parse import unquote

    name, _, password = user.partition(":")
    if password:
        remember([password, unquote(password), user, unquote(user)])
    elif len(name) >= _SHORTEST_USER:
        remember([name, unquote(name)])


def masked_address(address: str) -> str:
    """Return one address without secrets; unlike in other text, it may be relative, or have spaces.

    A server may send anything as an address.
    """
    if not _may_have_secrets(address):
        return masked(address)
    scheme, colon, rest = address.partition("://")
    if colon:
        return masked(scheme + _address_masked(colon + rest, 0))
    return masked(_tail_masked(address, 0))


def masked_code(text: str) -> str:
    """Return the text of a recipe without secrets; it may put addresses together from parts.

    So `&token=…` is masked also where no address stands before it.
    """
    if "&" not in text and "?" not in text:
        return masked(text)
    import re

    words = "|".join(_SECRET_WORDS)
    part = rf"([?&][^\s=?&\"']{{0,99}}(?:{words})[^\s=?&\"']{{0,99}}=)[^\s&#\"'\]]+"
    return masked(re.sub(part, rf"\1{MASK}", text, flags=re.IGNORECASE))


def cut_short(text: str) -> str:
    """Return the text of an error, masked and shortened if it exceeds the limit of such texts."""
    from envy.limits import ERROR_TEXT, shortened

    return text if len(text) <= ERROR_TEXT.value else shortened(masked(text))


def _data_masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        # An enumeration of texts is a word of envy's own.
        return mask(value) if type(value) is str else value
    if hasattr(value, "items"):
        return {_data_masked(key, mask): _data_masked(each, mask) for key, each in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return type(value)(_data_masked(each, mask) for each in value)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        import dataclasses

        names = [field.name for field in dataclasses.fields(value)]
        found = {name: _data_masked(getattr(value, name), mask) for name in names}
        return dataclasses.replace(value, **found)
    return value


# -- the forms of a value --------------------------------------------------------------------------


def _lines_of(value: str) -> Iterator[str]:
    """Yield a value and its lines, since most output is masked line by line."""
    for form in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
        if len(form) >= SHORTEST:
            yield form


def _forms(value: str) -> Iterator[str]:
    import binascii
    from urllib.parse import quote, quote_plus

    yield value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    yield from (escaped, escaped.replace("\n", "\\n"), value.replace("\n", "\\n"))
    raw = value.encode("utf-8", "surrogateescape")
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    for before in range(3):
        # What precedes and follows the value in the encoded text decides the first and last digit.
        digits = binascii.b2a_base64(b"\0" * before + raw, newline=False).decode("ascii")
        start, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        if end - start >= _SHORTEST_IN_BASE64:
            for form in (digits[start:end], digits[start:].rstrip("="), digits[start:]):
                yield from (form, form.replace("+", "-").replace("/", "_"))


# -- addresses and headers -------------------------------------------------------------------------

_compiled: list[re.Pattern[str]] = []


def _patterns() -> list[re.Pattern[str]]:
    """Return the patterns of addresses and of Authorization headers, compiled on first use."""
    if not _compiled:
        import re

        schemes = "basic|bearer|token|digest|negotiate|ntlm|apikey|aws4-hmac-sha256"
        _compiled[:] = [
            # From the colon on: a search for schemes would be slow in long lines of letters.
            re.compile(r":\\?/\\?/[^\s\"'<>`\x00-\x1f]+"),
            re.compile(
                rf"(authorization[\"']?\s{{0,9}}:\s{{0,9}}[\"']?(?:{schemes}))\s+[^\"'\r\n]+",
                re.IGNORECASE,
            ),
        ]
    return _compiled


def _may_have_secrets(text: str) -> bool:
    """Return whether addresses in a text can have user info or parameters."""
    return "@" in text or "=" in text or "%3" in text


def _addresses_masked(text: str, depth: int = 0) -> str:
    return _patterns()[0].sub(lambda match: _address_masked(match[0], depth), text)


def _address_masked(address: str, depth: int) -> str:
    """Return an address from its `://` on, without user info and secret parameters."""
    import re

    slashes = 5 if address.startswith(":\\/\\/") else 3
    start, rest = address[:slashes], address[slashes:]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    at = authority.rfind("@")
    port = authority.rpartition(":")[2]
    if at < 0 and ":" in authority and port and not port.isdigit() and "]" not in port:
        at = rest.find("@")  # a slash in the password, which should have been encoded
    return start + _tail_masked(rest[at + 1 :], depth)


def _tail_masked(tail: str, depth: int) -> str:
    """Return what follows the user info of an address, without the values of secret parameters."""
    if "=" not in tail and "%3" not in tail:
        return tail
    import re

    parts = re.split(r"([?&;#])", tail)
    return parts[0] + "".join(
        delimiter + _parameter_masked(parameter, depth)
        for delimiter, parameter in zip(parts[1::2], parts[2::2], strict=True)
    )


def _parameter_masked(parameter: str, depth: int) -> str:
    from urllib.parse import quote, unquote

    name, equals, value = parameter.partition("=")
    if not equals or not value:
        return parameter
    words = unquote(name).lower()
    if any(word in words for word in _SECRET_WORDS):
        end = len(value.rstrip(").,:]}"))  # of the sentence around the address
        return f"{name}={MASK}{value[end:]}"
    if "%" not in value or depth == _NESTED:
        return parameter
    inner = unquote(value)
    shown = _addresses_masked(_tail_masked(inner, depth + 1), depth + 1)
    return parameter if shown == inner else f"{name}={quote(shown, safe='*')}"
