"""What pip calls envy, and the extras that add libraries which only some users need.

The index has another package named `envy`, so the distribution has a name of its own; the Python
package and the command are `envy`.
"""

from envy.errors import UsageError

DISTRIBUTION = "envy-tool"


def install_command(extra: str = "") -> str:
    """Return the pip command that installs envy, with one of its extras if one is named."""
    return f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"


def wheel_command() -> str:
    """Return the pip command that makes a wheel of envy from its source."""
    return "pip wheel --no-deps CHECKOUT"


def missing_extra(what: str, library: str, extra: str) -> UsageError:
    """Return the error that `what` needs a library which only this extra installs."""
    return UsageError(f"{what} needs {library}", hint=install_command(extra))
