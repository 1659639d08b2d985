"""The output of a command that is captured, up to a limit."""

from envy.errors import ScriptFailed
from envy.limits import CAPTURED_OUTPUT


class Captured:
    """Collects the output of one command, by stream."""

    __slots__ = ("_chunks", "_command", "_left")

    def __init__(self, command: str) -> None:
        self._command = command
        self._chunks: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._left = CAPTURED_OUTPUT.value

    def add(self, stream: str, chunk: bytes) -> None:
        """Add a part of the output.

        Raises:
            ScriptFailed: the output is larger than the limit; the caller ends the command.
        """
        self._chunks[stream].append(chunk)
        self._left -= len(chunk)
        if self._left < 0:
            raise ScriptFailed(
                command=self._command,
                exit_code=1,
                reason=f"was ended, because it printed more than {CAPTURED_OUTPUT.shown}, the "
                f"limit {CAPTURED_OUTPUT.name}",
                hint=f"write large output to a file instead; {CAPTURED_OUTPUT.hint}",
            )

    def of(self, stream: str) -> bytes:
        """Return the whole output of a stream."""
        return b"".join(self._chunks[stream])
