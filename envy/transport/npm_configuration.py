"""The registry that the user's npm takes packages from, and the credentials for it.

Owns the reading of npm's settings: the environment, `.npmrc` beside the manifest, that of the user,
and the answer of npm itself. So envy needs no setting, and no address, of its own.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from envy.declarations.request_headers import is_value
from envy.errors import FetchError, ScriptFailed
from envy.masking import remember
from envy.transport.addresses import check_address
from envy.transport.context import FetchContext

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmConfiguration:
    """The registry for one package. The settings contain credentials, and are never shown."""

    registry: str
    certificates: str = ""
    settings: Mapping[str, str] = field(repr=False)

    def authorization(self, url: str) -> str:
        """Return the header for a URL, from the settings of its longest prefix, or "".

        Whatever it is made of is remembered as a secret.

        Raises:
            FetchError: a setting cannot be sent in a header.
        """
        parts = urlsplit(url)
        prefix = f"//{parts.netloc.rpartition('@')[2]}{parts.path}"
        while prefix.strip("/"):
            for candidate in (prefix, prefix.rstrip("/") + "/"):
                header = _header_of(self.settings, candidate)
                if header:
                    return header
            prefix = prefix.rstrip("/").rpartition("/")[0]
        return ""


def npm_configuration(name: str, base_dir: Path, context: FetchContext) -> NpmConfiguration:
    """Return the registry that npm takes the package `name` from.

    Raises:
        FetchError: no setting names a registry, and npm cannot be run.
    """
    settings = context.memo.once(
        ("npm settings", base_dir), lambda: read_settings(base_dir, context.environment)
    )
    scope = name.partition("/")[0] if name.startswith("@") else ""
    registry = (settings.get(f"{scope}:registry") if scope else "") or settings.get("registry")
    if not registry:
        registry = context.memo.once("npm registry", lambda: _ask_npm(context))
    check_address(registry, "the registry of npm", hint="`npm config get registry` prints it")
    return NpmConfiguration(
        registry=registry.rstrip("/") + "/",
        certificates=settings.get("cafile", ""),
        settings=settings,
    )


def read_settings(base_dir: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return npm's settings: the environment before the project's file before the user's."""
    settings: dict[str, str] = {}
    from_environment = {
        name[len("npm_config_") :]: value
        for name, value in environment.items()
        if name.lower().startswith("npm_config_") and value
    }
    lowered = {name.lower(): value for name, value in from_environment.items()}
    home = environment.get("HOME") or environment.get("USERPROFILE") or ""
    user = lowered.get("userconfig") or (str(Path(home) / ".npmrc") if home else "")
    for file in (Path(user) if user else None, base_dir / ".npmrc"):
        if file is not None and file.is_file():
            settings |= parse_npmrc(file.read_text(errors="replace"), environment)
    settings |= {
        name if name.startswith(("@", "//")) else name.lower().replace("_", "-"): value
        for name, value in from_environment.items()
    }
    return settings


def parse_npmrc(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in an `.npmrc`, with each `${VARIABLE}` replaced by its value."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not name or name[0] in "#;":
            continue
        value = value.strip().strip("\"'")
        value = _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), value)
        settings[name] = value.strip()  # a variable may end in the end of a line
    return settings


def _header_of(settings: Mapping[str, str], prefix: str) -> str:
    for name, scheme in (("_authToken", "Bearer"), ("_auth", "Basic")):
        given = settings.get(f"{prefix}:{name}", "").strip()
        if given:
            remember([given, *(_password_in(given) if name == "_auth" else ())])
            if not is_value(given):
                raise _not_sent(prefix, name, "has characters beyond ASCII, or several lines")
            return f"{scheme} {given}"
    user, password = settings.get(f"{prefix}:username"), settings.get(f"{prefix}:_password")
    if not user or not password:
        return ""
    remember([password])
    try:
        decoded = base64.b64decode(password)
    except ValueError:
        raise _not_sent(prefix, "_password", "is not base64") from None
    plain = user.strip().encode("utf-8", "surrogateescape") + b":" + decoded
    encoded = base64.b64encode(plain).decode()
    remember([decoded.decode("utf-8", "surrogateescape"), encoded])
    return f"Basic {encoded}"


def _password_in(encoded: str) -> list[str]:
    try:
        decoded = base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except ValueError:
        return []
    return [part for part in decoded.partition(":")[2:] if part]


def _not_sent(prefix: str, name: str, why: str) -> FetchError:
    return FetchError(
        f"the setting {prefix}:{name} of npm cannot be sent: its value {why}",
        uri="npm:",
        hint="check it in .npmrc, and the variable that it takes its value from",
    )


def _ask_npm(context: FetchContext) -> str:
    context.check_cancelled()
    environment = {**context.environment, "NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1"}
    try:
        code, output, _ = context.run(
            ["npm", "config", "get", "registry"], env=environment, timeout=_SECONDS
        )
    except ScriptFailed:
        code, output = 1, b""
    registry = output.decode(errors="replace").strip()
    if code != 0 or not registry.startswith(("http://", "https://")):
        raise FetchError(
            "no registry for npm packages is configured, and npm cannot be run to ask it",
            uri="npm:",
            hint="set npm_config_registry to your registry, write registry=… into .npmrc, "
            "or install npm",
        )
    return registry
