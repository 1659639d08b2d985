"""The graph as an SVG picture, drawn without Graphviz and with the reader's own fonts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from envy.explain.formats import critical_total, status
from envy.explain.layout import Item, lay_out
from envy.explain.view import EdgeView, GraphView, PackageView, State

_LETTER = 7.3  # width of a letter in a box, generously, because the font is the reader's
_SMALL_LETTER = 5.6
_WIDEST = 46  # letters; the tooltip has the full text
_BOX_HEIGHT = 44.0
_PORT = 13.0  # between two arrows into the same box, so that their labels do not overlap
_MOST_LABELS = 12  # on arrows into the same box; more would be illegible
_GAP = 18.0
_BEND = 40.0  # half the width over which an edge changes its height
_MARGIN = 24.0
_LEGEND = 74.0

_STYLE = """
    text { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12px; fill: #1b1b1b }
    .small { font-size: 9.5px; fill: #555 }
    .box { stroke: #555; stroke-width: 1; rx: 6 }
    .root { stroke-width: 2.4 }
    .cached { fill: #d9ead3; stroke: #38761d } .missing { fill: #ffffff }
    .user_managed { fill: #cfe2f3; stroke: #0b5394; rx: 0 }
    .held { fill: #fff2cc; stroke: #bf9000; stroke-dasharray: 4 3 }
    .excluded { fill: #eeeeee; stroke-dasharray: 4 3 } .failed { fill: #f4cccc; stroke: #990000 }
    .edge { fill: none; stroke: #555; stroke-width: 1.3 }
    .weak { stroke-dasharray: 6 4 } .required { stroke-width: 2.6 }
    .shell { stroke-dasharray: 1.5 3.5 } .source { stroke: #8e44ad; stroke-dasharray: none }
"""
_CRITICAL_STYLE = "  .critical { stroke: #c00000; stroke-width: 3.2 }\n"


def as_svg(graph: GraphView) -> str:
    """Return the picture as SVG text; the same graph gives the same bytes."""
    return _Drawing(graph).text()


@dataclass(frozen=True, slots=True)
class _Box:
    """The position of a package: its left edge, the height of its centre, and its size."""

    x: float
    y: float
    width: float
    height: float


class _Drawing:
    def __init__(self, graph: GraphView) -> None:
        self._graph = graph
        incoming: dict[str, list[tuple[PackageView, EdgeView]]] = {
            key: [] for key in graph.packages
        }
        for package, edge in graph.edges():
            incoming[edge.target].append((package, edge))
        heights = {
            key: max(_BOX_HEIGHT, _PORT * (min(len(rows), _MOST_LABELS) + 1))
            for key, rows in incoming.items()
        }
        targets = {
            key: tuple(dict.fromkeys(edge.target for edge in package.edges))
            for key, package in graph.packages.items()
        }
        self._incoming_counts = {key: len(rows) for key, rows in incoming.items()}
        self._column_sides: dict[Item, tuple[float, float]] = {}  # left and right edge of a column
        self._layout = lay_out(targets, heights=heights, gap=_GAP)
        self._boxes = self._place(heights, incoming)
        self._ports_in = self._ports(incoming)

    def text(self) -> str:
        boxes = self._boxes.values()
        width = max((box.x + box.width for box in boxes), default=0) + _MARGIN
        height = max((box.y + box.height / 2 for box in boxes), default=0) + _MARGIN
        width = max(width, 640.0)
        title = f"Dependencies of {self._graph.manifest} on {self._graph.platform}"
        lines = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
                f'height="{height + _LEGEND:.0f}" viewBox="0 0 {width:.0f} {height + _LEGEND:.0f}" '
                'role="img">'
            ),
            f"  <title>{escape(title)}</title>",
            f"  <style>{_STYLE}{_CRITICAL_STYLE if self._graph.critical else ''}  </style>",
            (
                '  <defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
                'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
                '<path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>'
            ),
            '  <rect width="100%" height="100%" fill="#fbfbfb"/>',
        ]
        for package, edge in self._graph.edges():
            lines += self._edge(package, edge)
        for package in self._graph.packages.values():
            lines += self._package(package)
        lines += _legend(height, self._graph)
        return "\n".join([*lines, "</svg>"]) + "\n"

    def _place(
        self,
        heights: Mapping[str, float],
        incoming: Mapping[str, Sequence[tuple[PackageView, EdgeView]]],
    ) -> dict[str, _Box]:
        """Turn columns into positions; a column has room for its widest box and its labels."""
        layout = self._layout
        shift = _MARGIN - min(
            (
                layout.centres[item] - (0 if item[1] else heights[item[0]] / 2)
                for column in layout.columns
                for item in column
            ),
            default=0.0,
        )
        boxes: dict[str, _Box] = {}
        x = _MARGIN
        for column in layout.columns:
            keys = [item[0] for item in column if not item[1]]
            labels = [
                len(edge.label)
                for key in keys
                for _, edge in incoming[key]
                if len(incoming[key]) <= _MOST_LABELS
            ]
            if labels:
                x += 2 * _BEND + 20 + min(max(labels), _WIDEST) * _SMALL_LETTER
            width = max(_width(self._graph, self._graph.packages[key]) for key in keys)
            for item in column:
                self._column_sides[item] = (x, x + width)
                if not item[1]:
                    y = layout.centres[item] + shift
                    boxes[item[0]] = _Box(x, y, width, heights[item[0]])
                else:
                    layout.centres[item] += shift
            x += width + (0 if labels else 40)
        return boxes

    def _ports(
        self, incoming: Mapping[str, Sequence[tuple[PackageView, EdgeView]]]
    ) -> dict[tuple[str, EdgeView], float]:
        """Return the heights at which arrows enter boxes, in the order of where they come from."""
        ports: dict[tuple[str, EdgeView], float] = {}
        for key, rows in incoming.items():
            box = self._boxes[key]
            ordered = sorted(rows, key=lambda row: (self._comes_from(*row), row[0].key))
            step = min(_PORT, (box.height - 8) / max(len(rows), 1))
            top = box.y - step * (len(rows) - 1) / 2
            for position, (package, edge) in enumerate(ordered):
                ports[package.key, edge] = top + step * position
        return ports

    def _comes_from(self, package: PackageView, edge: EdgeView) -> float:
        route = self._layout.waypoints[package.key, edge.target]
        return self._layout.centres[route[-1]] if route else self._boxes[package.key].y

    def _edge(self, package: PackageView, edge: EdgeView) -> list[str]:
        start, end = self._boxes[package.key], self._boxes[edge.target]
        x, y = start.x + start.width, start.y
        steps = [f"M{x:.1f} {y:.1f}"]
        for item in self._layout.waypoints[package.key, edge.target]:
            left, right = self._column_sides[item]
            centre = self._layout.centres[item]
            steps += [_curve(x, y, left, centre), f"L{right:.1f} {centre:.1f}"]
            x, y = right, centre
        port = self._ports_in[package.key, edge]
        steps.append(_curve(x, y, end.x, port))
        kind = "source" if edge.of_source else edge.kind
        if self._graph.is_critical(package, edge):
            kind += " critical"
        words = f"{package.key} → {edge.target}: {edge.label} ({edge.origin})"
        lines = [
            (
                f'  <path class="edge {kind}" marker-end="url(#tip)" d="{" ".join(steps)}">'
                f"<title>{escape(words)}</title></path>"
            )
        ]
        if self._incoming_counts[edge.target] <= _MOST_LABELS:
            lines.append(
                f'  <text class="small" x="{end.x - 11:.1f}" y="{port - 3:.1f}" '
                f'text-anchor="end">{escape(_cut(edge.label))}</text>'
            )
        return lines

    def _package(self, package: PackageView) -> list[str]:
        box, graph = self._boxes[package.key], self._graph
        classes = f"box {package.state.name.lower()}"
        if package.key in graph.roots:
            classes += " root"
        if graph.is_critical(package):
            classes += " critical"
        tooltip = "\n".join(filter(None, [package.key, status(graph, package), package.reason]))
        top, left = box.y - box.height / 2, box.x + 10
        size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
        name, below = escape(_cut(package.key)), escape(_cut(status(graph, package)))
        return [
            f"  <g id={quoteattr(package.key)}><title>{escape(tooltip)}</title>",
            f'    <rect class="{classes}" x="{box.x:.1f}" y="{top:.1f}" {size}/>',
            f'    <text x="{left:.1f}" y="{box.y - 3:.1f}">{name}</text>',
            f'    <text class="small" x="{left:.1f}" y="{box.y + 13:.1f}">{below}</text>',
            "  </g>",
        ]


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = min((to_x - x) / 2, _BEND)
    middle, end = x + bend, x + 2 * bend
    curve = f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {end:.1f} {to_y:.1f}"
    return f"{curve} L{to_x:.1f} {to_y:.1f}"


def _legend(y: float, graph: GraphView) -> list[str]:
    """Return the legend of boxes and lines."""
    lines = []
    x = _MARGIN
    for state in State:
        lines += [
            (
                f'  <rect class="box {state.name.lower()}" x="{x:.1f}" y="{y + 8:.1f}" width="16" '
                'height="12"/>'
            ),
            f'  <text class="small" x="{x + 22:.1f}" y="{y + 18:.1f}">{state.value}</text>',
        ]
        x += 34 + len(state.value) * _SMALL_LETTER
    x = _MARGIN
    for kind in ("strong", "weak", "required", "source", "shell"):
        lines += [
            f'  <path class="edge {kind}" d="M{x:.1f} {y + 36:.1f} h34"/>',
            f'  <text class="small" x="{x + 40:.1f}" y="{y + 39:.1f}">{kind}</text>',
        ]
        x += 56 + len(kind) * _SMALL_LETTER
    text = "an arrow points from a package to what it needs; a thick frame marks a root"
    if graph.critical:
        text += f"; red is the {critical_total(graph.critical)}"
    return [*lines, f'  <text class="small" x="{_MARGIN}" y="{y + 58:.1f}">{text}</text>']


def _width(graph: GraphView, package: PackageView) -> float:
    letters = len(_cut(package.key)) * _LETTER
    return max(letters, len(_cut(status(graph, package))) * _SMALL_LETTER, 90.0) + 20


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
