"""Credentials, region and endpoint for s3 sources: from variables, or the files of the AWS tools.

Nothing else is asked: neither the metadata service of a cloud machine, which costs seconds where
there is none, nor a service that exchanges credentials for others. Opens no connection.
"""

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.limits import REGISTRY_DOCUMENT
from envy.masking import remember
from envy.transport.context import FetchContext

# Values in a profile that name another place to ask for credentials.
_ELSEWHERE = (
    "sso_session",
    "sso_start_url",
    "role_arn",
    "credential_process",
    "web_identity_token_file",
    "credential_source",
    "login_session",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_REGION = "us-east-1"  # which the service itself takes for one that is not named
HOW_TO_GIVE = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), name a profile of "
    '~/.aws/credentials in AWS_PROFILE or as `profile`, or write auth = { env = "NAME" }, with a '
    "variable that has KEY_ID:SECRET"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """How an object is requested; without `key_id`, the request is anonymous.

    `told` says where the credentials are from, or why there are none.
    """

    key_id: str = ""
    secret: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    told: str
    region: str
    endpoint: str


def aws_access(item: SourceItem, context: FetchContext) -> AwsAccess:
    """Return the credentials, region and endpoint for a source.

    Credentials are those that the source names (`auth`, `profile`), or else those in variables, or
    else those of the profile in AWS_PROFILE, by default `default`.

    Raises:
        FetchError: what is named is missing, or is not valid.
    """
    environment, uri = context.environment, item.source
    name = item.profile or environment.get("AWS_PROFILE", "") or "default"
    profile = _profile(name, uri, context, is_wanted=bool(item.profile))
    endpoint = _first(environment, _ENDPOINTS) or profile.get("endpoint_url", "")
    region = _first(environment, _REGIONS) or profile.get("region", "")
    if item.profile:  # which was chosen for this source; the variables are for all
        endpoint, region = (
            profile.get("endpoint_url", "") or endpoint,
            profile.get("region", "") or region,
        )
    key_id, secret, session_token, told = _credentials(item, name, profile, context)
    remember(filter(None, (secret, session_token)))
    return AwsAccess(
        key_id=key_id,
        secret=secret,
        session_token=session_token,
        told=told,
        region=region or _REGION,
        endpoint=_checked(endpoint, uri),
    )


def _credentials(
    item: SourceItem, name: str, profile: Mapping[str, str], context: FetchContext
) -> tuple[str, str, str, str]:
    """Return the id and secret of a key, its session token, and where they are from."""
    environment, uri = context.environment, item.source
    for header in item.headers:  # `auth`: no others are for s3
        given = environment.get(header.variable, "").strip()
        parts = given.split(":", 2)
        remember(filter(None, (given, *parts[1:])))
        if not all(parts) or len(parts) < 2 or not given.isascii():
            missing = "is not of the form KEY_ID:SECRET" if given else "is not set"
            raise FetchError(
                f"{uri} needs credentials: the variable {header.variable}, which its source "
                f"names, {missing}",
                uri=uri,
                hint=f"set {header.variable} to KEY_ID:SECRET, or KEY_ID:SECRET:SESSION_TOKEN",
            )
        return parts[0], parts[1], parts[2] if len(parts) > 2 else "", header.variable
    key_id = environment.get("AWS_ACCESS_KEY_ID", "").strip()
    secret = environment.get("AWS_SECRET_ACCESS_KEY", "").strip()
    if (key_id or secret) and not item.profile:
        if not (key_id and secret):
            unset = "AWS_SECRET_ACCESS_KEY" if key_id else "AWS_ACCESS_KEY_ID"
            raise FetchError(
                f"{uri} needs credentials: {unset} is not set, and its counterpart is",
                uri=uri,
                hint=HOW_TO_GIVE,
            )
        token = environment.get("AWS_SESSION_TOKEN", "").strip()
        return key_id, secret, token, "AWS_ACCESS_KEY_ID"
    key_id = profile.get("aws_access_key_id", "")
    secret = profile.get("aws_secret_access_key", "")
    if key_id and secret:
        return key_id, secret, profile.get("aws_session_token", ""), f"the profile {name}"
    elsewhere = next((each for each in _ELSEWHERE if profile.get(each)), "")
    if elsewhere:
        return "", "", "", f"the profile {name} gets its own by {elsewhere}, which envy does not do"
    return "", "", "", "none are in the variables of AWS, nor in a profile"


def _profile(name: str, uri: str, context: FetchContext, *, is_wanted: bool) -> dict[str, str]:
    """Return a profile: what ~/.aws/config and ~/.aws/credentials, which counts first, say."""
    home = context.environment.get("HOME", "")
    found: dict[str, str] = {}
    paths = []
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = context.environment.get(variable, "")
        if not path and home:
            path = os.path.join(home, ".aws", file)  # noqa: PTH118
        if not path:
            continue
        path = os.path.expanduser(path)  # noqa: PTH111
        paths.append(path)
        found |= context.memo.once(("aws", path), lambda path=path: _sections(path, uri)).get(  # type: ignore[misc]
            section, {}
        )
    is_wanted = is_wanted or bool(context.environment.get("AWS_PROFILE"))
    if is_wanted and not found:
        raise FetchError(
            f"{uri} needs the profile {name}, which is not in {' or '.join(paths) or '~/.aws'}",
            uri=uri,
            hint=f"write it with `aws configure --profile {name}`, or check the name",
        )
    return found


def _sections(path: str, uri: str) -> dict[str, dict[str, str]]:
    """Return what a file of the AWS tools says, by section; nothing if there is none.

    Raises:
        FetchError: it cannot be read, or is not of their form.
    """
    try:
        lines = read_plain(path, REGISTRY_DOCUMENT).decode().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, NotPlain, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or str(error)
        raise FetchError(
            f"{path} cannot be read: {why}", uri=uri, hint="it has the credentials for s3: sources"
        ) from error
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in "#;" or line[0].isspace():
            continue  # what is indented is a table for one service
        name, equals, value = text.partition("=")
        if text[0] == "[" and "]" in text:
            section = sections.setdefault(" ".join(text[1:].partition("]")[0].split()), {})
        elif equals and section is not None:
            section[name.strip().lower()] = value.strip()
        else:
            # The line is not shown: it may have a secret.
            raise FetchError(
                f"{path}:{number} is not of the form [PROFILE] with lines NAME = VALUE", uri=uri
            )
    return sections


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _checked(endpoint: str, uri: str) -> str:
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError:
        is_address = False
    if not endpoint or (is_address and "@" not in parts.netloc and not parts.query):
        return endpoint.rstrip("/")
    raise FetchError(
        "the endpoint for s3: sources is not of the form https://HOST",
        uri=uri,
        hint=f"check {' and '.join(_ENDPOINTS)}, and `endpoint_url` in ~/.aws/config",
    )
