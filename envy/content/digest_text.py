"""The form of a digest as text: only what has it may become the name of a file.

Imports nothing, because warm commands load it.
"""

# Hexadecimal digits, by algorithm; registries list others than recipes declare.
_DIGITS = {
    "sha256": 64, "blake3": 64, "sha512": 128, "sha384": 96, "blake2b": 128, "sha1": 40, "md5": 32,
}  # fmt: skip
_HEXADECIMAL = frozenset("0123456789abcdef")


def is_digest(algorithm: str, text: str) -> bool:
    """Return whether a text is a digest of an algorithm, in lower case."""
    return len(text) == _DIGITS.get(algorithm) and set(text) <= _HEXADECIMAL
