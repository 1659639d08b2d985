"""The marks that graphs are measured against.

CPU seconds and MiB of the C++ engine with the same design, on a quiet machine of two cores with its
cache on a memory file system; and what was promised beyond those.
"""

# (recipes, shape): CPU of a cold sync, of a warm one, largest memory; None: it does not finish.
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
ASSET_ABOVE_FLOOR = 0.09  # at any size up to 1,000; three times that at 10,000
CHAIN_GROWTH = 12.0  # of 10,000 to 1,000
JOBS_GROWTH = 1.3  # CPU with 16 jobs to that with one
EXTRA_THREADS = 8  # beyond the slots
EXTRA_FILES = 1024  # the limit of a normal machine


def asset_mark(count):
    """CPU seconds above a bare interpreter; None where nothing was promised."""
    if count <= 1000:
        return ASSET_ABOVE_FLOOR
    return 3 * ASSET_ABOVE_FLOOR if count == 10000 else None
