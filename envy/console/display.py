"""How a run in progress looks: lines of styled text, a pure function of state, size and time.

The first line counts: `3/8 · 5 waiting · 45.5 of 225 MiB · 12 MiB/s · ~0:14` are packages that are
done and that this run works on, packages that wait for others or for a slot, downloads, their rate,
and the time that they still take; without downloads, the last is the time that has passed. Each
further line is a package at work. Numbers stand before labels, so that a narrow terminal shows
them, and what does not fit is left out in whole columns and words before anything is cut.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envy.console.progress import Activity, DisplayState, Transfer
from envy.console.styled import Line, StyledText, clip_line, joined
from envy.console.text import (
    cell_width,
    clip_words,
    format_clock,
    format_part,
    format_size,
    pad,
    safe_line,
)
from envy.phase import RecipePhase

# A phase that ends sooner than this would only flicker.
SHOWN_AFTER_SECONDS = 0.2
# A download without news for this long is reported, and a script without output.
STALLED_SECONDS = 3.0
SILENT_SECONDS = 10.0
_BARS = (12, 6)  # cells of a bar, the wider one first
_LEAST_DETAIL = 16  # cells; a shorter rest of a line stays empty
_LONGEST_REASON = 36
_DOT = StyledText(" · ", "faint")
_INDEXES = {"pypi:": "index", "npm:": "registry"}
_PHASE_WORDS = {RecipePhase.RECIPE_FETCH: "recipe"}


def render(state: DisplayState, now: float, width: int, height: int = 24) -> list[Line]:
    """Return the picture: the line of counts, and at most half a terminal of packages at work."""
    shown = [
        activity
        for activity in state.activities.values()
        if now - activity.started >= SHOWN_AFTER_SECONDS
    ]
    rows = max(1, min(height - 4, height // 2))
    lines = [_header(state, now, width), *_activity_lines(shown[:rows], now, width)]
    if len(shown) > rows:
        lines.append(_rest_line(shown[rows:]))
    return [clip_line(line, width) for line in lines]


# -- the line of counts --------------------------------------------------------------------------


def _header(state: DisplayState, now: float, width: int) -> Line:
    """Return the counts; of those that do not fit, the least important are left out."""
    received, expected, is_fetching = state.downloads()
    rate = state.rate(now) if is_fetching else 0.0
    parts = list(_package_counts(state))
    if received and (is_fetching or not state.done):
        size = format_part(received, expected) if expected else format_size(received)
        parts.append((1, StyledText(size, "bar")))
    if rate:
        parts.append((3, StyledText(f"{format_size(rate, short=True)}/s")))
    left = (expected - received) / rate if rate and expected else 0.0
    if left:
        parts.append((2, StyledText(f"~{format_clock(left + 0.5)}", "time")))
    else:
        elapsed = now - (now if state.started is None else state.started)
        parts.append((2, StyledText(format_clock(elapsed), "time")))
    for rank in (4, 3, 2, 1):
        line = joined([part for _, part in parts], _DOT)
        if sum(cell_width(span.text) for span in line) <= width:
            break
        parts = [(its, part) for its, part in parts if its < rank]
    return joined([part for _, part in parts], _DOT)


def _package_counts(state: DisplayState) -> Iterator[tuple[int, StyledText]]:
    """Yield the counts of packages, each with its rank: the higher, the sooner it is left out."""
    installing = [a for a in state.activities.values() if a.phase > RecipePhase.RECIPE_FETCH]
    ended = state.done + state.failed + state.aborted
    if state.wanted:
        # A package can turn out to need work only when its turn has come.
        total = max(state.wanted, ended + len(installing))
        yield 0, StyledText(f"{state.done}/{total}", "name")
        if waiting := total - ended - len(installing):
            yield 4, StyledText(f"{waiting} waiting")
    else:
        yield 0, StyledText("reading recipes", "name")
    if state.failed:
        yield 0, StyledText(f"{state.failed} failed", "failure")
    if state.aborted:
        yield 2, StyledText(f"{state.aborted} not built", "warning")


# -- packages at work ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the line of one package can show."""

    clock: str
    phase: str
    name: str
    identity: str
    news: "_News"


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """What a package is doing: the bar, numbers or a reason beside it, and a detail."""

    fraction: float | None = None  # of the bar; None without one
    amount: str = ""  # bytes, files, or what it waits for
    brief: str = ""  # the same for a narrow terminal
    style: str = "bar"  # of the amount
    detail: str = ""


def _row(activity: Activity, now: float) -> _Row:
    return _Row(
        clock=format_clock(now - activity.started),
        phase=_PHASE_WORDS.get(activity.phase, activity.phase.label),
        name=safe_line(activity.key),
        identity=safe_line(activity.recipe),
        news=_news(activity, now),
    )


def _activity_lines(activities: Sequence[Activity], now: float, width: int) -> list[Line]:
    """Return the lines, in the richest layout in which every name fits."""
    rows = [_row(activity, now) for activity in activities]
    names = [row.name for row in rows]
    identities = [row.identity for row in rows]
    short = identities if len(set(identities)) == len(set(names)) else names
    layouts = [
        _Layout(rows, names, bar=_BARS[0], detail=_LEAST_DETAIL),
        _Layout(rows, short, bar=_BARS[0], detail=_LEAST_DETAIL),
        _Layout(rows, names, bar=_BARS[0]),
        _Layout(rows, short, bar=_BARS[0]),
        _Layout(rows, short, bar=_BARS[1]),
        _Layout(rows, short, bar=0),
        _Layout(rows, short, bar=0, brief=True),
        _Layout(rows, short, bar=0, brief=True, phases=False),
        _Layout(rows, short, bar=0, brief=True, phases=False, clocks=False),
    ]
    layout = next((layout for layout in layouts if layout.cells <= width), layouts[-1])
    return [layout.line(index, width) for index in range(len(rows))]


class _Layout:
    """Columns of the lines: time, phase, bar and amount, name; what is left shows the detail.

    `cells` is what the columns need, with at least `detail` cells for the detail.
    """

    def __init__(
        self,
        rows: Sequence[_Row],
        names: Sequence[str],
        *,
        bar: int,
        brief: bool = False,
        phases: bool = True,
        clocks: bool = True,
        detail: int = 0,
    ) -> None:
        self._rows = rows
        self._names = names
        self._bar = bar
        self._amounts = [row.news.brief if brief else row.news.amount for row in rows]
        self._clock = max((len(row.clock) for row in rows), default=0) if clocks else 0
        self._phase = max((len(row.phase) for row in rows), default=0) if phases else 0
        self._name = max(map(cell_width, names), default=0)
        self._amount = max(map(self._amount_cells, range(len(rows))), default=0)
        columns = (self._clock, self._phase, self._amount, self._name)
        self._fixed = 1 + sum(cells + 1 for cells in columns if cells) + bool(self._amount)
        self.cells = self._fixed + (detail + 2 if detail else 0)

    def _amount_cells(self, index: int) -> int:
        has_bar = self._bar and self._rows[index].news.fraction is not None
        return (self._bar + 1 if has_bar else 0) + cell_width(self._amounts[index])

    def line(self, index: int, width: int) -> Line:
        """Return one line; only its detail is ever cut, unless no layout fits."""
        row = self._rows[index]
        left = width - self._fixed - 2
        detail = row.news.detail if left >= _LEAST_DETAIL else ""
        spans = [StyledText(" ")]
        if self._clock:
            spans.append(StyledText(f" {row.clock:>{self._clock}}", "time"))
        if self._phase:
            spans.append(StyledText(f" {row.phase:<{self._phase}}", "phase"))
        if self._amount:
            spans += [StyledText(" "), *self._measure(index, is_free=not detail), StyledText(" ")]
        name = self._names[index]
        spans.append(StyledText(" "))
        spans.append(StyledText(pad(name, self._name) if detail else name, "name"))
        if detail:
            spans.append(StyledText("  " + clip_words(detail, left), "faint"))
        return tuple(spans)

    def _measure(self, index: int, *, is_free: bool) -> Line:
        """Return the bar and the amount; if there are none, a column that `is_free` is used."""
        news, amount = self._rows[index].news, self._amounts[index]
        if not amount:
            shown = clip_words(news.detail, self._amount) if is_free else ""
            return (StyledText(pad(shown, self._amount), "faint"),)
        spans = []
        if news.fraction is not None and self._bar:
            full = min(self._bar, int(self._bar * news.fraction))
            spans.append(StyledText("━" * full, "bar"))
            spans.append(StyledText("╌" * (self._bar - full) + " ", "faint"))
        spans.append(StyledText(amount, news.style))
        return (*spans, StyledText(" " * (self._amount - self._amount_cells(index))))


def _rest_line(rest: Sequence[Activity]) -> Line:
    phases = Counter(_PHASE_WORDS.get(one.phase, one.phase.label) for one in rest)
    counts = ", ".join(f"{count} {phase}" for phase, count in phases.items())
    return (StyledText(f"  … and {len(rest)} more: {counts}", "faint"),)


# -- what a package is doing ---------------------------------------------------------------------


def _news(activity: Activity, now: float) -> _News:
    under_way = activity.under_way
    if under_way or (activity.transfers and not (activity.runs or activity.detail)):
        return _transfer_news(list(activity.transfers.values()), under_way, now)
    detail = safe_line(activity.detail)
    if activity.files:
        done, total = activity.files.done, activity.files.total
        return _News(
            fraction=done / total if total else None,
            amount=f"{done:,} of {total:,} files" if total else f"{done:,} files",
            brief=f"{done:,} of {total:,}" if total else f"{done:,} files",
            detail=activity.files.action,
        )
    silent = now - activity.changed
    if activity.runs and silent >= SILENT_SECONDS:
        amount = f"no output for {_spoken(silent)}"
        return _News(amount=amount, brief=amount, style="warning", detail=detail)
    return _News(detail=detail)


def _transfer_news(
    transfers: Sequence[Transfer], under_way: Sequence[Transfer], now: float
) -> _News:
    done = sum(transfer.bytes for transfer in transfers)
    totals = [transfer.total for transfer in transfers]
    total = sum(totals) if all(totals) else 0
    latest = (under_way or transfers)[-1]
    label = safe_line(latest.url).rstrip("/").rpartition("/")[2]
    if len(under_way) > 1:
        label += f" and {len(under_way) - 1} more"
    quiet = now - max(transfer.changed for transfer in transfers)
    if not done and not total:
        reason = _awaited(latest.url)
        return _News(amount=reason, brief=reason.partition(" ")[0], style="faint", detail=label)
    amount = format_part(done, total) if total else format_size(done)
    if under_way and quiet >= STALLED_SECONDS:
        # This matters more than the bar, which does not move.
        stalled = f"no data for {_spoken(quiet)}"
        return _News(amount=f"{amount}, {stalled}", brief=stalled, style="warning", detail=label)
    fraction = min(1.0, done / total) if total else None
    return _News(fraction=fraction, amount=amount, brief=amount, detail=label)


def _awaited(url: str) -> str:
    """Return what a transfer without any data waits for, in few enough cells for a column."""
    for scheme, kind in _INDEXES.items():
        if url.startswith(scheme):
            return f"waiting for an answer of the {kind}"
    host = safe_line(url).partition("://")[2].partition("/")[0].rpartition("@")[2]
    if url.endswith(".git") or url.startswith(("git", "ssh:")):
        return f"cloning from {host}" if 0 < len(host) <= _LONGEST_REASON - 13 else "cloning"
    if not host:
        return "waiting for the file"
    for words in (f"waiting for an answer of {host}", f"waiting for {host}"):
        if cell_width(words) <= _LONGEST_REASON:
            return words
    return "waiting for an answer"


def _spoken(seconds: float) -> str:
    return f"{int(seconds)} s" if seconds < 100 else format_clock(seconds)
