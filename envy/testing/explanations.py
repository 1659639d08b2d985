"""Why a package ran, or was not run: what changed since its tests last passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envy.testing.basis import BuildUnit
from envy.testing.package import PackageRun, PackageVerdict

_BETWEEN = "\x1f"  # names may have spaces
_MOST = 3  # files named for a package


def encode_units(units: Mapping[str, BuildUnit]) -> str:
    """Return units as text; names that would break a line are left out."""
    lines = []
    for name, unit in units.items():
        lines.append(f"unit\t{name}\t{_BETWEEN.join(unit.uses)}")
        lines += [f"file\t{digest}\t{path}" for path, digest in unit.files.items()]
    return "\n".join(line for line in lines if line.count("\t") == 2 and "\n" not in line)


def decode_units(text: str) -> dict[str, BuildUnit]:
    """Return the units in a text, as far as it is not damaged."""
    units: dict[str, BuildUnit] = {}
    files: dict[str, str] = {}
    for line in text.split("\n") if text else ():
        kind, _, rest = line.partition("\t")
        one, _, other = rest.partition("\t")
        if kind == "unit":
            files = {}
            units[one] = BuildUnit(uses=tuple(filter(None, other.split(_BETWEEN))), files=files)
        else:
            files[other] = one
    return units


def changed_files(
    before: Mapping[str, BuildUnit], now: Mapping[str, BuildUnit], root: str
) -> list[str]:
    """Return what differs in the files that a unit is built from, as words for a user."""
    old, new = _files_of(before, root), _files_of(now, root)
    return [
        *(f"{path} changed" for path in new if path in old and old[path] != new[path]),
        *(f"{path} is new" for path in new if path not in old),
        *(f"{path} was removed" for path in old if path not in new),
    ]


def _files_of(units: Mapping[str, BuildUnit], root: str) -> dict[str, str]:
    found: dict[str, str] = {}
    stack, seen = [root], {root}
    while stack:
        unit = units.get(stack.pop())
        if unit is None:
            continue
        found.update(unit.files)
        new = [name for name in unit.uses if name not in seen]
        seen.update(new)
        stack += new
    return found


def reason_of(
    run: PackageRun, *, reads: bool, earlier: Mapping[str, str], changed: Sequence[str]
) -> str:
    """Return why the result of a package was shown again, or why its tests ran.

    `earlier` has the result that each package had after an earlier run of the same command, and
    `changed` what differs since in the files that it is built from.
    """
    if run.kept_result is not None:
        since = f" since it passed; selected, because {run.cause}" if run.cause else ""
        origin = run.kept_result.origin
        return f"cached, taken from {origin}" if origin else f"cached, nothing changed{since}"
    if run.verdict is PackageVerdict.NO_TESTS:
        return "no tests"
    if run.verdict in {PackageVerdict.NOT_RUN, PackageVerdict.BUILD_FAILED}:
        return str(run.verdict.value)
    why = _why_run(run, reads=reads, earlier=earlier, changed=changed)
    ran = " ".join(["ran", run.ran_on]) if run.ran_on.startswith("on ") else run.ran_on or "ran"
    ran += f", because {why}" if why else ""
    ran += f"; selected, because {run.cause}" if run.cause else ""
    ran += f"; {run.not_taken}" if run.not_taken else ""
    if run.unkept and run.unkept != why:
        ran += f"; not kept: {run.unkept}"
    if run.unshared and run.unshared not in run.not_taken:
        ran += f"; not shared: {run.unshared}"
    return ran


def _why_run(
    run: PackageRun, *, reads: bool, earlier: Mapping[str, str], changed: Sequence[str]
) -> str:
    key = earlier.get(run.package.name)
    if not run.result_key:
        why = run.unkept
    elif not reads:
        why = "results are not read"
    elif run.miss:
        why = run.miss
    elif key is None:
        why = "this command has no earlier result of it"
    elif key == run.result_key:
        why = "its last result was removed"
    elif changed:
        why = shortened_list(changed)
    elif not key:
        why = "its last result was not kept"
    else:
        why = "the toolchain, its settings or a module changed"
    return why


def shortened_list(texts: Sequence[str]) -> str:
    """Return the first texts of a list, and the number of the others."""
    more = len(texts) - _MOST
    rest = [f"{more} more"] if more > 0 else []
    return ", ".join([*texts[:_MOST], *rest])
