"""The cost of native tests with `envy test`, on a generated suite, and of other ways to build it.

    python tests/benchmarks/bench_native.py [--folders N] [--folder DIR] [--json FILE]

The toolchain is envy.zig@r1, installed into a folder of this program, after zig has compiled what
it compiles once. The suite has 47 folders of 8 files of 10 tests and a library of 200 functions.
Marks limit wall time on a quiet machine; ratios are of processor time. The other ways are measured
on a sample of the files and scaled: an executable a file that compiles the library each time, the
same with the library's object reused, and the tests of all folders in one process, from shared
libraries of the same objects.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDERS, FILES, TESTS, FUNCTIONS = 47, 8, 10, 200
SAMPLE = 2  # folders whose files are built in the other ways
MARKS = {"scratch": 30.0, "one edit": 1.5, "unchanged": 0.3}  # seconds
RATIOS = {"library each time": 0.4, "library reused": 1.0}
BODY = """int p{d}_f{i}(int a, int b) {{
  int sum = {i};
  for (int k = 0; k < a; k++) {{ sum += helper(k) ^ b; if (sum > 1000) sum -= {i} + b; }}
  char buffer[32];
  memset(buffer, a, sizeof buffer);
  switch (b & 3) {{
    case 0: return sum;
    case 1: return sum + buffer[3];
    default: return sum - b;
  }}
}}
"""
HOST = r"""#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
  int failed = 0;
  for (int i = 1; i < argc; i++) {
    void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 2; }
    int (*run)(int, char **) = (int (*)(int, char **))dlsym(library, "main");
    char *words[] = {argv[i], "--run-all", 0};
    failed |= run(2, words);
  }
  return failed;
}
"""


def write_suite(root, folders):
    """Write the suite."""
    root.mkdir(parents=True)
    (root / "envy.lua").write_text('packages = { "envy.zig@r1" }\n')
    for d in range(folders):
        folder = root / f"p{d:02}"
        folder.mkdir()
        declared = "".join(f"int p{d}_f{i}(int a, int b);\n" for i in range(FUNCTIONS))
        (folder / "lib.h").write_text(f"#pragma once\n#include <stddef.h>\n{declared}")
        head = '#include <string.h>\n#include "lib.h"\nstatic int helper(int x) { return x * 3; }\n'
        body = "".join(BODY.format(d=d, i=i) for i in range(FUNCTIONS))
        (folder / "lib.c").write_text(head + body)
        for t in range(FILES):
            head = '#include <stdio.h>\n#include <stdlib.h>\n#include "lib.h"\n'
            head += "static int helper(int x) { return x + 1; }\n"
            body = "".join(
                f"int test_{t}_{i}(void) {{ int x = p{d}_f{t * TESTS + i}({i}, 4); "
                "return helper(x) == x + 1 ? 0 : 1; }\n"
                for i in range(TESTS)
            )
            (folder / f"t{t}_test.c").write_text(head + body)


class Bench:
    """The suite, its cache and the compiler."""

    def __init__(self, folder, folders):
        self.folder, self.folders = folder, folders
        self.suite = folder / "suite"
        write_suite(self.suite, folders)
        self.envy = Path(sys.executable).parent / "envy"
        self.environment = {**os.environ, "ENVY_CACHE_ROOT": str(folder / "cache"),
                            "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig")}  # fmt: skip
        self.environment.pop("ENVY_MANIFEST", None)

    def run(self, argv, cwd=None, **extra):
        """Run a program; return (wall, processor time, output)."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(argv, cwd=cwd or self.suite, env={**self.environment, **extra},
                              capture_output=True, text=True, check=False)  # fmt: skip
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return (
            wall,
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            done.stdout,
        )

    def test(self, *words):
        """Run `envy test`."""
        return self.run([self.envy, "test", *words])

    def warm_up(self):
        """Install zig and compile what it compiles once."""
        _, _, zig = self.run([self.envy, "asset", "zig"])
        self.zig = Path(zig.strip()) / "zig"
        small = self.folder / "small"
        small.mkdir()
        (small / "envy.lua").write_text('packages = { "envy.zig@r1" }\n')
        (small / "x_test.c").write_text("int test_a(void) { return 0; }\n")
        self.run([self.envy, "test", "--tui", "never"], cwd=small)

    def others(self):
        """Return the processor time of the other ways to build the suite, scaled to all of it."""
        target = ["-target", "x86_64-linux-gnu.2.31", "-fno-sanitize=undefined"]
        cc = [str(self.zig), "cc", *target, "-g"]
        out = self.folder / "others"
        out.mkdir()
        # zig keeps objects: with one cache, the second way would get those of the first.
        local, other = ({"ZIG_LOCAL_CACHE_DIR": str(out / name)} for name in ("zig", "zig-2"))
        (out / "main.c").write_text("int main(void) { return 0; }\n")
        self.run([*cc, str(out / "main.c"), "-o", str(out / "warm")], **local)
        whole = reused = 0.0
        for d in range(min(SAMPLE, self.folders)):
            folder = self.suite / f"p{d:02}"
            obj = out / f"lib{d}.o"
            reused += self.run([*cc, "-c", str(folder / "lib.c"), "-o", str(obj)], **local)[1]
            for t in range(FILES):
                test = out / f"{d}_{t}.c"  # with the `main` that such a file has
                calls = "".join(f"  failed |= test_{t}_{i}();\n" for i in range(TESTS))
                text = f'#include "{folder}/t{t}_test.c"\nint main(void) {{\n  int failed = 0;\n'
                test.write_text(f"{text}{calls}  return failed;\n}}\n")
                library = out / f"lib_{d}_{t}.c"
                library.write_text(f'#include "{folder}/lib.c"\nint copy_{d}_{t};\n')
                exe = str(out / f"{d}_{t}")
                whole += self.run([*cc, str(test), str(library), "-o", exe], **local)[1]
                reused += self.run([*cc, str(test), str(obj), "-o", exe + "r"], **other)[1]
        scale = self.folders / min(SAMPLE, self.folders)
        return {"library each time": whole * scale, "library reused": reused * scale}

    def runners(self):
        """Return the processor time of a process a folder, and of all folders in one process."""
        objects = sorted((self.folder / "cache").rglob("package.o"))[: self.folders]
        programs = [path.with_name("package.test") for path in objects]
        out = self.folder / "shared"
        out.mkdir()
        cc = [str(self.zig), "cc", "-target", "x86_64-linux-gnu.2.31"]
        libraries = []
        for number, path in enumerate(objects):
            libraries.append(str(out / f"{number}.so"))
            self.run([*cc, "-shared", str(path), "-o", libraries[-1], "-lm"])
        (out / "host.c").write_text(HOST)
        self.run([*cc, str(out / "host.c"), "-o", str(out / "host"), "-ldl"])
        each = sum(self.run([str(path), "--run-all"])[1] for path in programs)
        return {
            "a process a folder": each,
            "in process": self.run([str(out / "host"), *libraries])[1],
        }


def measure(bench):
    """Return all measurements: name to (wall, processor time)."""
    bench.warm_up()
    rows = {"scratch": bench.test()[:2], "unchanged": bench.test()[:2]}
    rows["unchanged, build only"] = bench.test("--build-only")[:2]
    for path in bench.suite.rglob("*.[ch]"):
        path.touch()
    rows["touched, build only"] = bench.test("--build-only")[:2]
    edited = bench.suite / "p00" / "t0_test.c"
    edited.write_text(edited.read_text().replace("x + 1;", "1 + x;"))
    rows["one edit"] = bench.test("p00")[:2]
    rows |= {name: (0.0, seconds) for name, seconds in bench.others().items()}
    rows |= {name: (0.0, seconds) for name, seconds in bench.runners().items()}
    return rows


def main():
    """Measure, print a table, and exit with 1 if a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=FOLDERS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-native-", dir=options.folder))
    try:
        rows = measure(Bench(folder, options.folders))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missed = []
    for name, (wall, used) in rows.items():
        mark = MARKS.get(name)
        print(
            f"{name:24} {wall:8.2f} s  {used:8.2f} s of processor"
            + (f"  mark {mark}" if mark else "")
        )
        if mark is not None and wall > mark:
            missed.append(name)
    for name, mark in RATIOS.items():
        ratio = rows["scratch"][1] / rows[name][1]
        print(f"scratch / {name}: {ratio:.2f}  mark {mark}")
        if ratio > mark:
            missed.append(name)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
