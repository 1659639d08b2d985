"""A profile as lines of text. Pure: prints nothing."""

from collections.abc import Iterator

from envy.console.profile import Profile, Step
from envy.console.spans import GATE, LOCK, QUEUE
from envy.console.text import format_seconds, pad, safe_line

_MOST_STEPS = 20
_WAITS = {
    QUEUE: "for a slot",
    GATE: "for dependencies",
    LOCK: "for locks of other processes",
}
_OPTIONS = {"work": "--jobs", "transfer": "--fetch-jobs"}


def profile_lines(profile: Profile) -> list[str]:
    """Return the lines: phases, waits, critical path, slots and the lower bound."""
    took = format_seconds(profile.wall)
    if not profile.phases:
        return [f"profile: no phase of any package ran, in {took}"]
    return [
        f"profile: {took}",
        *_phases(profile),
        *_waits(profile),
        *_path(profile),
        *_slots(profile),
        *_bound(profile),
    ]


def _phases(profile: Profile) -> Iterator[str]:
    yield f"  {'phase':14} {'packages':>8} {'time':>8} {'of wall':>8}        longest"
    for phase, one in profile.phases.items():
        longest = safe_line(f"{_exact(one.longest)} {one.longest_key}")
        yield (
            f"  {phase.label:14} {one.count:8d} {_exact(one.seconds):>8} {_exact(one.wall):>8} "
            f"{_percent(one.wall, profile.wall)}  {longest}"
        )
    share = _percent(profile.idle, profile.wall)
    yield f"  {'no phase':14} {'':8} {'':8} {_exact(profile.idle):>8} {share}"


def _waits(profile: Profile) -> Iterator[str]:
    parts = [
        f"{_exact(profile.waits[kind])} {what}"
        for kind, what in _WAITS.items()
        if profile.waits.get(kind, 0.0) >= 0.0005
    ]
    if parts:
        yield f"  waited, all packages together: {', '.join(parts)}"


def _path(profile: Profile) -> Iterator[str]:
    count = len(profile.path)
    packages = "1 package" if count == 1 else f"{count} packages"
    yield f"critical path: {_exact(profile.critical)} through {packages}"
    shown = sorted(
        sorted(range(count), key=lambda number: -profile.path[number].seconds)[:_MOST_STEPS]
    )
    before = 0
    for number in [*shown, count]:
        if number > before:
            left_out = sum(step.seconds for step in profile.path[before:number])
            yield f"  … {number - before} more, {_exact(left_out)}"
        if number < count:
            yield _step(profile.path[number])
        before = number + 1


def _step(step: Step) -> str:
    # Phases that take no time are left out, unless the package has no others.
    told = [row for row in step.phases if row[1] >= 0.0005] or step.phases
    phases = ", ".join(f"{phase.label} {_exact(seconds)}" for phase, seconds in told)
    return f"  {pad(_exact(step.seconds), 8)} {safe_line(step.key)}: {phases}"


def _slots(profile: Profile) -> Iterator[str]:
    parts = []
    for pool, count in profile.slots.items():
        busy = _percent(profile.busy.get(pool, 0.0), count * profile.wall).strip()
        parts.append(f"{count} {pool} ({_OPTIONS[pool]}) {busy} busy")
    yield f"slots: {', '.join(parts)}"


def _bound(profile: Profile) -> Iterator[str]:
    terms = [f"critical path {_exact(profile.critical)}"]
    for pool, count in profile.slots.items():
        busy = profile.busy.get(pool, 0.0)
        terms.append(f"{pool} {_exact(busy)} / {count} = {_exact(busy / count)}")
    bound = profile.bound
    ratio = f"{profile.wall / bound:.2f} times that" if bound > 0 else "more"
    yield f"lower bound: {_exact(bound)}, the largest of {', '.join(terms)}; this run took {ratio}"


def _exact(seconds: float) -> str:
    """Format seconds, to the millisecond below ten seconds."""
    return f"{seconds:.3f}s" if seconds < 10 else format_seconds(seconds)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:3.0f}%" if whole > 0 else "  0%"
