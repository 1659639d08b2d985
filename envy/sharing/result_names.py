"""The results of tests on other machines, as data: names, offers, and what is to be stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ResultName:
    """Which result: a key, and the toolchain as text for people."""

    key: str
    toolchain: str = ""


@dataclass(frozen=True, slots=True)
class OfferedResult:
    """A result that the server says it has; `evidence` was read, and the events were not."""

    evidence: bytes
    events: Any  # a digest


@dataclass(slots=True)
class Offers:
    """What the server has for one key, and why nothing more."""

    found: list[OfferedResult] = field(default_factory=list)
    missed: str = ""


@dataclass(frozen=True, slots=True)
class ResultToStore:
    """A result of this machine."""

    name: ResultName
    evidence: bytes
    events: bytes
