"""Trees of files to pack, fetch and hash."""

import random


def write_tree(top, *, files, size, seed=1):
    """Write `files` files of about `size` bytes, a hundred per folder; half the content is text."""
    rng = random.Random(seed)
    words = [rng.randbytes(6).hex().encode() + b"\n" for _ in range(1000)]
    for number in range(files):
        folder = top / f"{number // 100:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        noise = rng.randbytes(size // 2)
        text = b"".join(rng.choices(words, k=max(1, size // 26)))
        path = folder / f"{number:05d}"
        path.write_bytes(noise + text)
        path.chmod(0o755 if number % 10 == 0 else 0o644)
    return top
