"""Compiled Python modules, as far as they depend on their source."""

_SIZE = slice(12, 16)
_WORD = 4
_BY_TIME = bytes(_WORD)  # flags: the time and the size of the source are compared


def source_of_module(path: str) -> str:
    """Return the path of the source of a compiled module, `__pycache__/<name>.<tag>.pyc`."""
    folder, _, name = path.rpartition("/")
    return f"{folder.rpartition('__pycache__')[0]}{name.partition('.')[0]}.py"


def with_size_of_source(data: bytes, before: int, after: int) -> bytes:
    """Return a compiled module that knows the new size of its source, if it knew the old one."""
    old, new = ((size & 0xFFFFFFFF).to_bytes(_WORD, "little") for size in (before, after))
    if data[_WORD : 2 * _WORD] != _BY_TIME or data[_SIZE] != old or before == 0:
        return data
    return data[: _SIZE.start] + new + data[_SIZE.stop :]
