"""gc in a loop beside syncs in a loop: no sync fails, and no file is missing while it is used."""

import contextlib
import os
import re
import threading

SYNCS = int(os.environ.get("ENVY_SOAK_CROWDS", "8"))
MONTHS_AGO = 1_000_000_000

USER = """
dependencies = {{ {{ recipe = "local.base@r1", source = "local.base@r1.lua" }} }}
install = function(ctx)
  ctx.run("for n in $(seq 20); do for d in $(seq 30); do cat " .. ctx.asset("base") ..
          "/part/$d >> all; done; done; echo {number} > number")
end
"""


def make_old(cache):
    """Let everything seem to have been used long ago."""
    for pattern in ("projects/*/*.json", "assets/*/*/envy-complete", "assets/*/*"):
        for path in cache.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (MONTHS_AGO, MONTHS_AGO))


def test_gc_beside_syncs(project, record_property):
    """What a sync has found stays until it is done with it, however old it is."""
    project.recipe(
        "local.base@r1", 'install = "mkdir part; for d in $(seq 30); do echo $d > part/$d; done"'
    )
    project.packages("local.user@r1")
    done = threading.Event()
    removed = []

    def collect():
        while not done.is_set():
            make_old(project.cache)
            run = project.popen("cache", "gc", "--unused-for", "0m")
            out, err = run.communicate(timeout=60)
            assert run.returncode == 0, err
            removed.append(int(re.search(rb"(\d+) (entry|entries)\);", out)[1]))

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for number in range(SYNCS):
            project.recipe("local.user@r1", USER.format(number=number))
            project.envy("sync", trace=False)
    finally:
        done.set()
        collector.join()
    assert sum(removed) > 0
    record_property(
        "shown", f"gc beside syncs: {SYNCS} syncs, {len(removed)} gcs, {sum(removed)} removed"
    )
