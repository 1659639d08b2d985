"""The text in which Go's runtime says why a process ends, without what is not the user's.

A dump of goroutines has those of the runtime and of the testing package, addresses, and registers.
With GOTRACEBACK in the environment, the user wants what that asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envy.testing.drivers.go_toolchain import GoToolchain

_BEGINS = (b"panic: ", b"fatal error: ", b"SIGQUIT: ", b"SIGSEGV: ", b"SIGABRT: ", b"runtime: ")
_GOROUTINE = re.compile(rb"goroutine \d+ ")
_DETAILS = re.compile(rb" (?:gp|mp|m|fp|sp|pc)=(?:0x[0-9a-f]+|nil|\d+)")
_REGISTER = re.compile(rb"(?:[a-z][a-z0-9]{1,5}) +0x[0-9a-f]+\n")
_FRAME = re.compile(rb"\t(.+?):\d+(?: |$)")
_MOST = 4 << 20


class HeldDump:
    """Holds what a process writes from the first line on that may begin its end."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0
        self._full = False

    def takes(self, data: bytes) -> bool:
        """Hold some output and return True, if a dump has begun, or begins with it."""
        if self._full or not (self._lines or data.startswith(_BEGINS)):
            return False
        self._lines.append(data)
        self._size += len(data)
        return True

    @property
    def is_full(self) -> bool:
        """Whether so much is held that it cannot be a dump."""
        return self._size > _MOST

    def release(self) -> list[bytes]:
        """Return what was held, and hold nothing."""
        held, self._lines, self._size = self._lines, [], 0
        return held

    def stop(self) -> None:
        """Hold nothing any more."""
        self._full = True


def folder_to_cut(toolchain: GoToolchain) -> str:
    """Return Go's folder; "" if the user has asked for all goroutines."""
    level = toolchain.environment.get("GOTRACEBACK", "single")
    return str(toolchain.root) if level in {"single", "1"} else ""


def cut_dump(text: Sequence[bytes], root: str) -> list[bytes]:
    """Return a dump without the goroutines that run only code below the Go folder `root`.

    All are kept if there is only one, or if none runs other code.
    """
    blocks = list(_blocks(b"".join(text).splitlines(keepends=True)))
    dumped = [block for block in blocks if _GOROUTINE.match(block[0])]
    wanted = [block for block in dumped if _is_users(block, root.encode())]
    if not wanted or len(dumped) < 2:
        return list(text)
    found: list[bytes] = []
    for block in blocks:
        if block in wanted or not _GOROUTINE.match(block[0]):
            found += [_DETAILS.sub(b"", line) for line in block if not _REGISTER.fullmatch(line)]
    while found and not found[-1].strip():
        found.pop()
    left_out = len(dumped) - len(wanted)
    if left_out:
        noun = "goroutine runs" if left_out == 1 else "goroutines run"
        note = f"envy: {left_out} {noun} only Go's own code; GOTRACEBACK=all shows everything\n"
        found += [b"\n", note.encode()]
    return found


def _blocks(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield paragraphs, each with the empty line that ends it."""
    block: list[bytes] = []
    for line in lines:
        block.append(line)
        if not line.strip():
            yield block
            block = []
    if block:
        yield block


def _is_users(block: Sequence[bytes], root: bytes) -> bool:
    """Return whether a goroutine runs code outside of Go, apart from the generated `main`."""
    frames = (match[1] for match in map(_FRAME.match, block) if match is not None)
    return any(not path.startswith((root + b"/", b"_testmain.go")) for path in frames)
