"""What programs are told when envy works offline: variables that the usual tools understand.

None of them makes a tool take something else than it would take otherwise: each fails where it
would have requested something. (PIP_NO_INDEX, say, also hides an index on this machine.)
"""

from collections.abc import Mapping

_VARIABLES = {
    "ENVY_OFFLINE": "1",
    "CARGO_NET_OFFLINE": "true",
    "GOPROXY": "off",
    "UV_OFFLINE": "1",
    "npm_config_offline": "true",
}


def offline_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to an environment; a Go proxy that is a folder stays."""
    keeps_proxy = environment.get("GOPROXY", "").startswith("file:")
    return {
        name: value for name, value in _VARIABLES.items() if name != "GOPROXY" or not keeps_proxy
    }
