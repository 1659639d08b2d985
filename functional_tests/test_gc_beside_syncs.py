"""gc and syncs run in loops side by side: no sync fails, and no file in use is missing."""

import contextlib
import hashlib
import os
import re
import threading

from loopback.http_server import Reply

SYNCS = int(os.environ.get("ENVY_SOAK_CROWDS", "8"))
MONTHS_AGO = 1_000_000_000

BASE = """identity = "vendor.base@r1"
install = "mkdir part; for d in $(seq 30); do echo $d > part/$d; done"
"""
USER = """
dependencies = {{ {{ recipe = "vendor.base@r1", source = "{url}", sha256 = "{digest}" }} }}
install = function(ctx)
  ctx.run("for n in $(seq 20); do for d in $(seq 30); do cat " .. ctx.asset("base") ..
          "/part/$d >> all; done; done; echo {number} > number")
end
"""


def make_old(cache):
    """Make everything appear last used long ago, and by no project that still exists."""
    for path in cache.glob("projects/*/*.json"):
        path.unlink(missing_ok=True)
    everything = ("assets/*/*/envy-complete", "assets/*/*", "recipes/*/*", "resolved/*", "locks/*")
    for pattern in everything:
        for path in cache.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (MONTHS_AGO, MONTHS_AGO))


def test_gc_beside_syncs(project, http_server, record_property):
    """What a sync has found stays until the sync ends, however old it is."""
    http_server.routes["/base.lua"] = Reply(BASE.encode())
    digest = hashlib.sha256(BASE.encode()).hexdigest()
    project.packages("local.user@r1")
    done = threading.Event()
    removed, recipes, failed = [], [], []

    def collect():
        while not (done.is_set() or failed):
            make_old(project.cache)
            run = project.popen("cache", "gc", "--unused-for", "0m")
            out, err = run.communicate()
            if run.returncode:
                failed.append(err)
                return
            removed.append(int(re.search(rb"(\d+) (entry|entries)\b", out)[1]))
            recipes.append(len(re.findall(rb"removed .* recipe vendor\.base@r1", out)))

    collector = threading.Thread(target=collect)
    collector.start()
    url = f"{http_server.url}/base.lua"
    try:
        syncs = 0
        while syncs < SYNCS or not (sum(removed) or failed):
            syncs += 1
            project.recipe("local.user@r1", USER.format(number=syncs, url=url, digest=digest))
            project.envy("sync", trace=False)
    finally:
        done.set()
        collector.join()
    assert failed == []
    record_property(
        "shown",
        f"gc beside syncs: {syncs} syncs, {len(removed)} gcs, {sum(removed)} entries and "
        f"{sum(recipes)} recipes removed",
    )
