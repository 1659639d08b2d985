"""The marks that graphs are compared with.

Most are CPU seconds and MiB of the C++ engine with the same design, on an idle machine with two
cores and the cache in a memory file system. The others are promises of this engine.
"""

# (recipes, shape): CPU of a cold sync and of a warm one, peak memory; None: it does not finish.
KNOWN = {
    (100, "random"): (0.06, 0.03, 11),
    (1000, "random"): (1.2, 0.7, 84),
    (1000, "star"): (0.6, 0.3, 73),
    (1000, "layers"): (1.2, 0.7, 84),
    (1000, "chain"): (7.2, 5.0, 82),
    (2000, "chain"): (24, 23, 161),
    (5000, "random"): (10.6, 4.5, 410),
    (10000, "random"): (18, 12.5, 816),
}
COLD = {
    (1000, "random"): 1.5,
    (2000, "chain"): 2.4,
    (5000, "random"): 10.6,
    (10000, "random"): 18.0,
}
WARM = {1000: 0.25, 10000: 2.0}
MEMORY = {10000: 400.0}
ASSET_ABOVE_FLOOR = 0.09  # for up to 1,000 recipes; three times that for 10,000
CHAIN_GROWTH = 12.0  # the ratio of 10,000 recipes to 1,000
JOBS_GROWTH = 1.3  # the ratio of CPU with 16 jobs to CPU with one
# (files, bytes of each): the wall time of `envy hash` to that of b3sum.
HASH_TO_B3SUM = {(1000, 1_000_000): 1 / 0.8, (20_000, 3000): 1.5}
# Wall time to that of `curl | tar` and b3sum, start-up not counted.
ARRIVAL, ARRIVAL_OF_SMALL_FILES = 1.0, 1.1
DOWNLOAD_TO_CURL = 1 / 0.9  # wall time, start-up not counted
EXTRA_THREADS = 8  # beyond the slots
EXTRA_FILES = 1024  # the usual limit of a process


def asset_mark(count):
    """Return the CPU seconds allowed above a bare interpreter; None if nothing was promised."""
    if count <= 1000:
        return ASSET_ABOVE_FLOOR
    return 3 * ASSET_ABOVE_FLOOR if count == 10000 else None
