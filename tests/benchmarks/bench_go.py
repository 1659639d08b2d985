"""The cost of `envy test` compared with `go test`, on thirty packages of the standard library.

    python tests/benchmarks/bench_go.py [--rounds N] [--quick] [--json FILE] [--folder DIR]

The toolchain is envy.go@r1, installed into a folder of this program. Each round measures in turn:
cold, `go test -json` and `envy test --json` with nothing built; warm, each of the runs below and
its counterpart; unchanged, what both remember; touched, the same after `touch` of every file of a
toolchain that is not envy's. A ratio is envy's time divided by go's time in the same round. The
median of the rounds is compared with its mark. The marks limit wall time; on a busy machine, use
the ratios of processor time instead."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import Meter

PACKAGES = [
    *("bufio", "bytes", "container/heap", "container/list", "container/ring", "encoding/base64"),
    *("encoding/csv", "encoding/hex", "encoding/json", "errors", "fmt", "html", "path"),
    *("path/filepath", "sort", "strconv", "strings", "text/tabwriter", "text/template"),
    "unicode/utf8",
    *("encoding/base32", "encoding/binary", "hash/crc32", "hash/fnv", "maps", "math/bits"),
    *("math/cmplx", "regexp/syntax", "slices", "text/scanner"),
]
COLD_MARK = 1.35
WARM_MARK = 0.8
UNCHANGED_MARK = 0.3
TOUCHED_MARK = 1.5
SETTLED = 2.1  # seconds after which a file may be remembered
# By name: the arguments for envy, the arguments for go.
WARM = {
    "warm, one at a time": (["--rerun", "--jobs", "1"], ["-count=1", "-p=1"]),
    "warm, two at a time": (["--rerun", "--jobs", "2"], ["-count=1", "-p=2"]),
}


class Bench:
    """A project with its own Go, and the commands that are run in it."""

    def __init__(self, folder):
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "envy.lua").write_text('packages = { "envy.go@r1" }\n')
        (self.project / "go.mod").write_text("module example.com/bench\n\ngo 1.21\n")
        self.envy = Path(sys.executable).parent / "envy"
        self.environment = {
            **os.environ,
            "ENVY_CACHE_ROOT": str(folder / "cache"),
            "GOCACHE": str(folder / "gocache"),
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }
        for name in ("GOFLAGS", "GOWORK", "GOROOT", "ENVY_MANIFEST"):
            self.environment.pop(name, None)
        self.go = ""

    def install(self):
        """Install Go; return the reason if that fails, or ""."""
        run = subprocess.run(
            [self.envy, "asset", "go"],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.go = f"{run.stdout.strip()}/bin/go"
        return run.stderr.strip() if run.returncode else ""

    def run_go(self, *words):
        """Run `go test -json` for the packages."""
        return self._run([self.go, "test", "-json", *words, *PACKAGES])

    def run_envy(self, *words):
        """Run `envy test --json` for the packages."""
        return self._run([self.envy, "test", "--json", *words, *PACKAGES])

    def own_toolchain(self):
        """Use a copy of the toolchain, as if the user had installed it."""
        copied = shutil.copytree(Path(self.go).parents[1], self.folder / "go", symlinks=True)
        subprocess.run(["chmod", "-R", "u+w", copied], check=True)
        (self.project / "envy.lua").unlink()
        self.go = f"{copied}/bin/go"
        self.environment["PATH"] = f"{copied}/bin:{self.environment['PATH']}"
        self.run_go(), self.run_envy()
        self.touch()

    def touch(self):
        """Touch every file of the toolchain and of the project, and wait until that is long ago."""
        for path in (*(self.folder / "go").rglob("*"), *self.project.rglob("*")):
            path.touch()
        time.sleep(SETTLED)

    def forget(self):
        """Remove everything that either command has built."""
        shutil.rmtree(self.environment["GOCACHE"], ignore_errors=True)
        self._run([self.envy, "test", "--clean-cache"])

    def _run(self, argv):
        with Meter(self.project, self.environment) as meter:
            return meter.once(argv)


def measure(bench, rounds, *, cold):
    """Return, by (name, mark), a pair for each round: envy's figures and go's figures."""
    pairs = {}
    for number in range(rounds):
        order = (bench.run_go, bench.run_envy)
        if cold:
            figures = {}
            for run in order if number % 2 else reversed(order):
                bench.forget()
                figures[run] = run()
            pairs.setdefault(("cold", COLD_MARK), []).append(
                (figures[bench.run_envy], figures[bench.run_go])
            )
        elif not number:
            bench.run_envy()
        if not number:
            bench.run_go()
            bench.run_envy()
        for name, (envy_words, go_words) in WARM.items():
            theirs = bench.run_go(*go_words)
            ours = bench.run_envy(*envy_words)
            pairs.setdefault((name, WARM_MARK), []).append((ours, theirs))
        both = (bench.run_envy(), bench.run_go())
        pairs.setdefault(("unchanged", UNCHANGED_MARK), []).append(both)
    bench.own_toolchain()
    for _ in range(rounds):
        bench.run_go(), bench.run_envy()
        bench.touch()
        both = (bench.run_envy(), bench.run_go())
        pairs.setdefault(("touched", TOUCHED_MARK), []).append(both)
    return pairs


def row_of(name, mark, pairs):
    """Return the medians and ratios of one comparison."""
    return {
        "name": name,
        "mark": mark,
        "wall_ratio": statistics.median(ours.wall / theirs.wall for ours, theirs in pairs),
        "cpu_ratio": statistics.median(ours.cpu / theirs.cpu for ours, theirs in pairs),
        "envy": {
            "wall": statistics.median(ours.wall for ours, _ in pairs),
            "cpu": statistics.median(ours.cpu for ours, _ in pairs),
        },
        "go": {
            "wall": statistics.median(theirs.wall for _, theirs in pairs),
            "cpu": statistics.median(theirs.cpu for _, theirs in pairs),
        },
        "wall_ratios": [round(ours.wall / theirs.wall, 3) for ours, theirs in pairs],
    }


def print_table(rows):
    """Print a line for each comparison."""
    print(f"{'':22}{'envy wall':>10}{'go wall':>9}{'ratio':>7}{'mark':>6}"
          f"{'envy cpu':>10}{'go cpu':>8}{'ratio':>7}")  # fmt: skip
    for row in rows:
        ours, theirs = row["envy"], row["go"]
        print(
            f"{row['name']:22}{ours['wall']:9.2f}s{theirs['wall']:8.2f}s{row['wall_ratio']:7.2f}"
            f"{row['mark']:6.2f}{ours['cpu']:9.2f}s{theirs['cpu']:7.2f}s{row['cpu_ratio']:7.2f}"
            f"  {'' if row['wall_ratio'] <= row['mark'] else 'over the mark'}".rstrip()
        )


def main():
    """Measure and print; the exit code says whether a mark is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured (3)")
    parser.add_argument("--quick", action="store_true", help="warm runs only")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--folder", type=Path, help="where everything is made and built")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="envy-bench-go-", dir=given.folder) as folder:
        bench = Bench(Path(folder))
        why = bench.install()
        if why:
            print(f"SKIPPED bench_go: envy.go@r1 cannot be installed here\n{why}")
            return 0
        found = measure(bench, given.rounds, cold=not given.quick)
    rows = [row_of(name, mark, pairs) for (name, mark), pairs in found.items()]
    print_table(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row["wall_ratio"] > row["mark"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
