"""The order of versions, and constraints on them such as `>=1.4,<2`.

Pure. The order is meant for the versions of any software: it refuses none, and agrees with PEP 440
and with Semantic Versioning about the versions that both know.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from envy.errors import DeclarationError

_OPERATORS = ("==", "!=", ">=", "<=", "~=", ">", "<")
_CLAUSE = re.compile(r"(==|!=|>=|<=|~=|>|<)\s*([0-9A-Za-z][0-9A-Za-z._+-]*?)(\.\*)?")
_RUNS = re.compile(r"[0-9]+|[A-Za-z]+")
# Stages before a release; the spellings of one stage are equal.
_STAGES = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "c": 3, "pre": 3, "rc": 3}
# Ranks of the runs of a version: 1.0rc1 < 1.0 < 1.0w < 1.0.1.
_STAGE, _END, _WORD, _NUMBER = range(4)

Order = tuple[tuple[int | str, ...], ...]
_COMPARISONS: Mapping[str, Callable[[Order, Order], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def order_of(version: str) -> Order:
    """Return a value that sorts as the version does.

    A leading v is dropped. Runs of digits are compared as numbers, runs of letters as text, and
    other characters only separate. A version sorts above its stages (a, b, c, alpha, beta, rc, pre,
    dev) and below itself with more numbers or other letters. 1.0 and 1.0.0 are equal.
    """
    return (*_runs_of(version), (_END,))


def _runs_of(version: str) -> list[tuple[int | str, ...]]:
    runs: list[tuple[int | str, ...]] = []
    for run in _RUNS.findall(re.sub(r"^[vV](?=[0-9])", "", version)):
        if run[0].isdigit():
            digits = run.lstrip("0")
            runs.append((_NUMBER, len(digits), digits))  # as a number, without a limit of digits
            continue
        _drop_zeros(runs)
        stage = _STAGES.get(run.lower())
        runs.append((_WORD, run) if stage is None else (_STAGE, stage))
    _drop_zeros(runs)
    return runs


def _drop_zeros(runs: list[tuple[int | str, ...]]) -> None:
    while runs and runs[-1] == (_NUMBER, 0, ""):
        runs.pop()


def _release_of(version: str) -> Order:
    """Return the numbers and words of a version before its first stage."""
    runs = _runs_of(version)
    stages = [place for place, run in enumerate(runs) if run[0] == _STAGE]
    release = runs[: stages[0]] if stages else runs
    _drop_zeros(release)
    return tuple(release)


def is_prerelease(version: str) -> bool:
    """Return whether a version is a stage before a release, such as 1.0rc1."""
    return any(run[0] == _STAGE for run in _runs_of(version))


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a constraint, such as `>=1.4`; a prefix stands for all that begin so."""

    comparison: str
    version: str
    is_prefix: bool = False


def is_constraint(text: str) -> bool:
    """Return whether a text begins as a constraint does."""
    return text.lstrip().startswith(_OPERATORS)


def parse_constraint(text: str) -> tuple[Clause, ...]:
    """Return the clauses of a constraint, all of which must hold.

    `~=1.4.2` means `>=1.4.2` and `==1.4.*`, as in PEP 440.

    Raises:
        DeclarationError: the text is not a constraint.
    """
    clauses = []
    for part in text.split(","):
        found = _CLAUSE.fullmatch(part.strip())
        if found is None:
            raise DeclarationError(
                f"the constraint {text!r} is invalid at {part.strip()!r}",
                hint='write comparisons with versions, such as ">=1.4,<2", "~=1.4" or "==1.4.*"',
            )
        comparison, version, prefix = found.groups()
        if prefix and comparison not in {"==", "!="}:
            raise DeclarationError(
                f"the constraint {text!r} compares {comparison} with a prefix",
                hint="`.*` follows == and != only",
            )
        if comparison == "~=":
            clauses += _compatible(text, version)
        else:
            clauses.append(Clause(comparison, version, bool(prefix)))
    return tuple(clauses)


def _compatible(text: str, version: str) -> list[Clause]:
    numbers = re.match(r"[vV]?([0-9]+(?:\.[0-9]+)+)", version)
    if numbers is None:
        raise DeclarationError(
            f"the constraint {text!r} needs a version of two numbers or more after ~=",
            hint="`~=1.4` takes 1.4 and what follows it before 2",
        )
    return [Clause(">=", version), Clause("==", numbers[1].rpartition(".")[0], is_prefix=True)]


def satisfies(version: str, clauses: Sequence[Clause]) -> bool:
    """Return whether a version satisfies all clauses.

    A version before a release satisfies none unless a clause names one of the same release.
    """
    if is_prerelease(version):
        release = _release_of(version)
        named = (clause.version for clause in clauses if is_prerelease(clause.version))
        if all(_release_of(name) != release for name in named):
            return False
    return all(_holds(clause, version) for clause in clauses)


def _holds(clause: Clause, version: str) -> bool:
    if not clause.is_prefix:
        return _COMPARISONS[clause.comparison](order_of(version), order_of(clause.version))
    numbers = _leading_numbers(clause.version)
    own = _leading_numbers(version)
    own += [""] * (len(numbers) - len(own))  # 1 begins like 1.0
    return (own[: len(numbers)] == numbers) == (clause.comparison == "==")


def _leading_numbers(version: str) -> list[str]:
    leading = re.match(r"[vV]?([0-9]+(?:\.[0-9]+)*)", version)
    return [number.lstrip("0") for number in leading[1].split(".")] if leading else [version]


def newest(versions: Iterable[str]) -> list[str]:
    """Return the newest of some versions; several if they are equal in order, sorted."""
    ordered = sorted(versions, key=lambda version: (order_of(version), version))
    return [one for one in ordered if order_of(one) == order_of(ordered[-1])]


def nearest_versions(wanted: str, versions: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the versions that are next to a version in order, newest first.

    Those that share more of its beginning are nearer.
    """
    runs = _runs_of(wanted)

    def distance(version: str) -> tuple[int, int]:
        own = _runs_of(version)
        shared = next(
            (at for at, (one, other) in enumerate(zip(own, runs, strict=False)) if one != other),
            min(len(own), len(runs)),
        )
        return -shared, abs(places[version] - place)

    everything = sorted({*versions, wanted}, key=lambda version: (order_of(version), version))
    places = {version: at for at, version in enumerate(everything)}
    place = places[wanted]
    near = sorted((one for one in everything if one != wanted), key=distance)[:count]
    return sorted(near, key=order_of, reverse=True)
