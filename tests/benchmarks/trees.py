"""Trees of files to pack, fetch and hash."""

import random

_MOST_NOISE = 64 << 20


def write_tree(top, *, files, size, seed=1):
    """Write `files` files of about `size` bytes, a hundred per folder; half the content is text."""
    rng = random.Random(seed)
    words = [rng.randbytes(6).hex().encode() + b"\n" for _ in range(1000)]
    for number in range(files):
        folder = top / f"{number // 100:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        # More at once does not fit into an integer; a large file repeats its noise.
        noise = rng.randbytes(min(size // 2, _MOST_NOISE))
        noise *= max(1, size // 2 // max(1, len(noise)))
        text = b"".join(rng.choices(words, k=max(1, size // 26)))
        path = folder / f"{number:05d}"
        path.write_bytes(noise + text)
        path.chmod(0o755 if number % 10 == 0 else 0o644)
    return top
