"""The form that a source of each scheme must have.

An address in an OCI registry has its digest in itself, so such a source is always pinned.
"""

import re

from envy.declarations.mirrors import has_host

_PYPI = re.compile(r"pypi:[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_NPM = re.compile(r"npm:(?:@[\w.~-]+/)?[\w.~-]+@[0-9A-Za-z][0-9A-Za-z.+-]*")
_S3 = re.compile(
    r"s3://[A-Za-z0-9][\w.-]+[A-Za-z0-9](?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f]+)+", re.ASCII
)
_HTTP = re.compile(r"https?://[^/].*", re.IGNORECASE | re.DOTALL)
_OCI_NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_OCI = re.compile(
    r"oci:(?P<host>(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?)/"
    rf"(?P<repository>{_OCI_NAME}(?:/{_OCI_NAME})*)(?::[\w.-]{{1,128}})?"
    r"@(?P<algorithm>sha256|sha512):(?P<digits>[0-9a-f]{64}|[0-9a-f]{128})",
    re.ASCII,
)
_DIGITS = {"sha256": 64, "sha512": 128}


_FORMS = {
    "pypi": (_PYPI, "pypi:NAME==VERSION"),
    "npm": (_NPM, "npm:NAME@VERSION"),
    "s3": (_S3, "s3://BUCKET/KEY"),
    "oci": (_OCI, "oci:HOST/REPOSITORY@sha256:DIGEST"),
    "http": (_HTTP, "https://HOST/PATH"),
}


def missing_form(scheme: str, source: str) -> str:
    """Return the form that a source should have, "" if it has it."""
    pattern, form = _FORMS.get(scheme, (None, ""))
    is_right = pattern is None or pattern.fullmatch(source) is not None
    if scheme == "oci":
        is_right = oci_parts(source) is not None
    elif scheme == "http":
        is_right = is_right and has_host(source)
    return "" if is_right else form


def oci_parts(source: str) -> tuple[str, str, str, str] | None:
    """Return host, repository, algorithm and digest of a source; None if it has another form.

    A tag before the digest says nothing, and is left out.
    """
    found = _OCI.fullmatch(source)
    if found is None or len(found["digits"]) != _DIGITS[found["algorithm"]]:
        return None
    return found["host"], found["repository"], found["algorithm"], found["digits"]
