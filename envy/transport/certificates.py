"""Which certificate authorities envy trusts: those that variables name, or else the system's.

Owns the places where systems keep them, and why a certificate is not trusted. Opens no connection.
"""

import os.path
import re
import ssl
import sys
from collections.abc import Mapping

from envy.errors import FetchError

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# A Python that was built elsewhere looks in places that this machine may not have.
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Gentoo, NixOS
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def tls_context(
    environment: Mapping[str, str], certificates: str = "", *, system: str = sys.platform
) -> ssl.SSLContext:
    """Return a context that trusts `certificates`, or what the environment or the system does.

    On Linux, the system's authorities are files, which OpenSSL reads once. Elsewhere the system
    itself is asked about each certificate.

    Raises:
        FetchError: the certificates cannot be read.
    """
    named = [certificates, *(environment.get(name, "") for name in CERTIFICATE_VARIABLES)]
    file = next((name for name in named if name), None)
    folder = environment.get("SSL_CERT_DIR") or None
    if file is not None and os.path.isdir(file):  # noqa: PTH112
        file, folder = None, file  # as requests allows it
    if file is None and folder is None:
        if system != "linux":
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        file = _where_openssl_does_not_look()
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, ssl.SSLError):  # whose text is about OpenSSL's code
            reason = "it has no certificate in the form of PEM"
        raise FetchError(
            f"the certificates in {file or folder} cannot be read: {reason}",
            uri=str(file or folder),
            hint=f"check {', '.join(CERTIFICATE_VARIABLES)} and SSL_CERT_DIR",
        ) from error


def trusted_places(*, system: str = sys.platform) -> list[str]:
    """Return where the authorities are that the system trusts; none if it has none."""
    if system != "linux":
        return [f"the trust store of {system}"]
    other = _where_openssl_does_not_look()
    paths = ssl.get_default_verify_paths()
    found = [other] if other else [paths.cafile, paths.capath]
    return [path for path in found if path and os.path.exists(path)]  # noqa: PTH110


def _where_openssl_does_not_look() -> str | None:
    """Return the file of authorities to use if OpenSSL's own places have none."""
    paths = ssl.get_default_verify_paths()
    return None if has_authorities(paths.cafile, paths.capath) else first_file(_PLACES)


def has_authorities(file: str | None, folder: str | None) -> bool:
    """Return whether OpenSSL finds authorities in a file or in a folder."""
    if file and os.path.isfile(file):  # noqa: PTH113
        return True
    try:
        return bool(folder) and any(map(_HASHED.fullmatch, os.listdir(folder)))  # noqa: PTH208
    except OSError:
        return False


def first_file(places: tuple[str, ...]) -> str | None:
    """Return the first place that is a file."""
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113


def tls_reason(host: str, cause: BaseException) -> tuple[str, str]:
    """Return why a connection could not be encrypted, and what to do about it."""
    text = str(cause)
    # The systems that are asked have texts of their own.
    is_about_trust = any(
        isinstance(each, ssl.SSLCertVerificationError)
        for each in (cause, cause.__cause__, cause.__context__, *cause.args)
    )
    if is_about_trust or "certificate verify failed" in text.lower():
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        what = f"the certificate of {host} is not trusted" + (f" ({reason})" if reason else "")
        return what, (
            "add the certificate of your own certificate authority to those of the system, or name "
            "its file in SSL_CERT_FILE"
        )
    return f"an encrypted connection to {host} could not be established ({text})", ""
