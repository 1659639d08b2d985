"""The credentials that an OCI registry accepts: a token for a repository, or those of the user.

Credentials of the user are those in .netrc, or in the file in which Docker and its like keep them;
programs that hold credentials are not run.
"""

import base64
import os.path
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.request_headers import AUTHORIZATION, is_value
from envy.errors import FetchError
from envy.limits import REGISTRY_DOCUMENT, REGISTRY_VALUES
from envy.masking import remember
from envy.transport.addresses import check_named, redacted
from envy.transport.context import Answered, FetchContext
from envy.transport.credentials import netrc_authorization
from envy.transport.http import read_page

HOW_TO_GIVE = (
    "log in with `docker login HOST` or write the credentials into ~/.netrc, or write "
    'auth = { env = "NAME" } in the source, with a variable that has a token'
)
_PARAMETER = re.compile(r'([A-Za-z]{1,32})\s{0,9}=\s{0,9}(?:"([^"]*)"|([^\s",]+))')
_LONGEST_CHALLENGE = 8192


def registry_authorization(challenge: str, registry: str, uri: str, context: FetchContext) -> str:
    """Return the header that a registry's challenge asks for; "" if there is none to give.

    Raises:
        FetchError: the token cannot be requested.
    """
    own = _of_user(registry, context)
    scheme, _, rest = challenge[:_LONGEST_CHALLENGE].strip().partition(" ")
    if scheme.lower() == "basic":
        return own
    if scheme.lower() != "bearer":
        return ""
    parameters = {name.lower(): one or two for name, one, two in _PARAMETER.findall(rest)}
    realm = parameters.get("realm", "")
    check_named(realm, by=registry, verb="sends clients for a token to", with_credentials=bool(own))
    query = {"service": parameters.get("service", ""), "scope": parameters.get("scope", "")}
    query["scope"] = query["scope"] or f"repository:{urlsplit(registry).path[4:]}:pull"
    joint = "&" if urlsplit(realm).query else "?"
    address = f"{realm}{joint}{urlencode({name: text for name, text in query.items() if text})}"
    try:
        body, _, _ = read_page(address, context, headers={AUTHORIZATION: own} if own else {})
    except Answered as error:
        if error.status not in {401, 403}:
            raise
        verb = "does not accept the credentials for" if own else "requires credentials for"
        raise FetchError(
            f"the registry {verb} {uri} (HTTP {error.status} from {redacted(realm)})",
            uri=uri,
            hint=HOW_TO_GIVE,
        ) from error
    return f"Bearer {_token_in(body, realm, uri)}"


def _token_in(body: bytes, realm: str, uri: str) -> str:
    try:
        document = parse_json(body, most_values=REGISTRY_VALUES.value)
    except ValueError:
        document = None
    found = ""
    if isinstance(document, dict):
        found = str(document.get("token") or document.get("access_token") or "")
    if not is_value(found):
        raise FetchError(f"{redacted(realm)} answered without a token for {uri}", uri=uri)
    remember([found])
    return found


def _of_user(registry: str, context: FetchContext) -> str:
    """Return the user's own credentials for the host of a registry, as a header; "" if none."""
    found = netrc_authorization(registry, context)
    if found:
        return found
    host = urlsplit(registry).netloc
    known = context.memo.once(("oci credentials",), lambda: _read_file(context))
    for name in (host, f"https://{host}", f"https://{host}/v2/"):
        if name in known:
            return f"Basic {known[name]}"
    return ""


def _read_file(context: FetchContext) -> Mapping[str, str]:
    """Return the credentials in the file of Docker, in base64, by host."""
    environment = context.environment
    home = environment.get("HOME", "")
    folder = environment.get("DOCKER_CONFIG", "") or (os.path.join(home, ".docker") if home else "")  # noqa: PTH118
    path = environment.get("REGISTRY_AUTH_FILE", "") or (
        os.path.join(folder, "config.json") if folder else ""  # noqa: PTH118
    )
    if not path:
        return {}
    try:
        document = parse_json(read_plain(path, REGISTRY_DOCUMENT))
    except FileNotFoundError:
        return {}
    except (OSError, NotPlain, ValueError) as error:
        reason = getattr(error, "strerror", "") or "it is not a plain file with JSON"
        context.warn(f"{path} cannot be read, and is not used: {reason}")
        return {}
    listed = document.get("auths") if isinstance(document, dict) else None
    found = {}
    for host, row in listed.items() if isinstance(listed, dict) else ():
        encoded = row.get("auth") if isinstance(row, dict) else None
        if isinstance(encoded, str) and is_value(encoded):
            found[host] = encoded
            remember([encoded, *_password_in(encoded)])
    return found


def _password_in(encoded: str) -> list[str]:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return []
    return [part for part in decoded.partition(":")[2:] if part]
