"""The report of a benchmark: rows of figures, marks, and a comparison with an earlier report."""

from dataclasses import dataclass, field

HEAD = (
    f"{'':48} {'cpu s':>7} {'wall s':>7} {'MiB':>5} {'switches':>8} {'files':>5} {'thr.':>4}  "
    "ratio of CPU to its floor"
)


@dataclass
class Report:
    """Rows and marks, in order of measurement; each is printed at once."""

    before: dict = field(default_factory=dict)  # rows of an earlier report, by case
    rows: list = field(default_factory=list)
    marks: list = field(default_factory=list)

    def part(self, title):
        """Begin a new part of the table."""
        print(f"\n{title}\n{HEAD}", flush=True)

    def floor(self, case, figures):
        """Add the row that other rows are compared with."""
        return self.row(case, figures)

    def row(self, case, figures, floor=None, *, against="", known=None):
        """Add a row, with its ratio to a floor; `known` is (CPU, MiB) of the C++ engine."""
        row = {"case": case, **figures.as_json()}
        if floor is not None:
            row |= {
                "ratio": figures.cpu / max(floor.cpu, 1e-4),
                "wall_ratio": figures.wall / max(floor.wall, 1e-4),
                "against": against,
            }
        if known is not None:
            row |= {"known_cpu": known[0], "known_rss": known[1]}
        self.rows.append(row)
        print(_line(row, self.before.get(case)), flush=True)
        return figures

    def mark(self, case, value, limit, unit=""):
        """Add a figure that must not exceed `limit`."""
        mark = {"case": case, "value": value, "limit": limit, "unit": unit, "met": value <= limit}
        self.marks.append(mark)

    def print_marks(self):
        """Print all marks, and how many are missed."""
        if not self.marks:
            return
        print(f"\n{'marks':66} {'measured':>10} {'at most':>10}")
        for mark in self.marks:
            verdict = "met" if mark["met"] else "MISSED"
            values = f"{mark['value']:10.3f} {mark['limit']:10.3f} {mark['unit']:8}"
            print(f"{mark['case']:66} {values} {verdict}")
        missed = sum(1 for mark in self.marks if not mark["met"])
        print(f"{len(self.marks)} marks, {missed} missed")


def _line(row, old):
    memory = f"{row['rss']:.0f}" if "rss" in row else ""
    counts = (row.get(name, "") for name in ("switches", "files", "threads"))
    cells = f"{row['case']:48} {row['cpu']:7.3f} {row['wall']:7.3f} {memory:>5}"
    cells += " {:>8} {:>5} {:>4}".format(*counts)
    if "ratio" in row:
        cells += f"  {row['ratio']:.2f} of {row['against']}"
    if "known_cpu" in row:
        verdict = "met" if row["cpu"] <= row["known_cpu"] else "above"
        cells += f"; C++ {row['known_cpu']:g} s"
        if row["known_rss"]:
            verdict += ", met" if row["rss"] <= row["known_rss"] else ", above"
            cells += f" {row['known_rss']:g} MiB"
        cells += f" ({verdict})"
    if old:
        changes = (
            f"{name} {row[name] / old[name]:.2f}"
            for name in ("cpu", "wall", "rss")
            if old.get(name)
        )
        cells += f"  [{', '.join(changes)} of before]"
    return cells
