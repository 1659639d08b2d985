"""The texts of the two files that `envy bootstrap` writes: the script envyw, and its hash list.

The head of the list says all that the script is made of, so that the two can be compared.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from envy.transport.hash_list import PinnedRelease

SCRIPT_NAME = "envyw"
LIST_NAME = "envyw.txt"
WHEELS_NAME = "envyw-wheels"
_TEMPLATE = Path(__file__).with_name("envyw.sh")
# The first lines of every script that envy wrote.
_SCRIPT_HEAD = "#!/bin/sh\n# Runs envy for this project."
_DIGITS = 12  # of the list's digest, in the name of the environment
_LIST_HEAD = """\
# What envyw installs: envy and all that it needs, for every platform.
# Written by `envy bootstrap` as a requirements file of pip. After a change, run that again.
#
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapperFacts:
    """What the script is made of, beside the digest of the list; the texts have no line ends.

    `pythons` are separated by spaces, newest first. `index` is the one that --index-url named, and
    `default_index` the one of pip where none is configured; "" if there is none.
    """

    version: str
    pythons: str
    pip_wheel: str
    pip_digest: str
    index: str = ""
    default_index: str = ""


def list_text(facts: WrapperFacts, releases: Sequence[PinnedRelease]) -> str:
    """Return the hash list: the facts as comments, then the requirements."""
    lines = [f"# {row.name}: {getattr(facts, row.name)}".rstrip() for row in fields(facts)]
    lines.append("")
    if facts.index:
        lines += [f"--index-url {facts.index}", ""]
    for release in releases:
        marker = f" ; {release.marker}" if release.marker else ""
        hashes = [f"    --hash={digest}" for digest in release.digests]
        lines.append(" \\\n".join([f"{release.name}=={release.version}{marker}", *hashes]))
    return _LIST_HEAD + "\n".join(lines) + "\n"


def facts_of(text: str) -> WrapperFacts | None:
    """Return the facts in the head of a list; None if it is no such list."""
    found: dict[str, str] = {}
    for line in text.removeprefix(_LIST_HEAD).splitlines():
        if not line.startswith("# "):
            break
        name, _, value = line.removeprefix("# ").partition(":")
        found[name] = value.strip()
    names = [row.name for row in fields(WrapperFacts)]
    if not text.startswith(_LIST_HEAD) or [*found] != names:
        return None
    return WrapperFacts(**found)


def script_text(facts: WrapperFacts, listed: str) -> str:
    """Return the script for a list."""
    digest = hashlib.sha256(listed.encode()).hexdigest()
    values = {row.name: getattr(facts, row.name) for row in fields(facts)}
    values |= {"list_digest": digest, "environment": f"{facts.version}-{digest[:_DIGITS]}"}
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", shlex.quote(value))
    return text


def is_script_of_envy(text: str) -> bool:
    """Return whether some envy wrote a script."""
    return text.startswith(_SCRIPT_HEAD)
