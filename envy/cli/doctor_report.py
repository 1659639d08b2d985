"""What `envy doctor` found: values in sections, and what is wrong with a remedy for each."""

from __future__ import annotations

from dataclasses import dataclass, field

from envy.errors import EnvyError

BROKEN, DOUBTFUL = "error", "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedValue:
    """A value, and where it comes from: an option, a variable, a file, `default`, or ""."""

    section: str
    name: str
    value: str
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong: `level` is BROKEN or DOUBTFUL."""

    section: str
    level: str
    problem: str
    remedy: str


@dataclass(slots=True)
class Report:
    """The values and findings so far; each part of the inspection adds to the section it names."""

    section: str = ""
    values: list[ReportedValue] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether something does not work."""
        return any(finding.level == BROKEN for finding in self.findings)

    def add(self, name: str, value: object, origin: str = "") -> None:
        """Add a value to the current section."""
        self.values.append(
            ReportedValue(section=self.section, name=name, value=str(value), origin=origin)
        )

    def broken(self, problem: str, remedy: str) -> None:
        """Add something that does not work."""
        self._found(BROKEN, problem, remedy)

    def doubtful(self, problem: str, remedy: str) -> None:
        """Add something that may be in the way."""
        self._found(DOUBTFUL, problem, remedy)

    def failed(self, error: EnvyError, *, remedy: str = "") -> None:
        """Add an error, with its own hint as the remedy."""
        self.broken(error.message, error.hint or remedy)

    def _found(self, level: str, problem: str, remedy: str) -> None:
        self.findings.append(
            Finding(section=self.section, level=level, problem=problem, remedy=remedy)
        )
