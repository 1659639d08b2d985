"""The options in MAKEFLAGS that name a jobserver. Pure text.

A jobserver is named in two forms: `--jobserver-auth=R,W` names two inherited descriptors, and
`--jobserver-auth=fifo:PATH` a FIFO that any tool can open. No form suits all tools: GNU make before
4.4 stops at the second ("internal error"), ninja ignores the first, and all read the last option.
So the FIFO is named by the full option, and the descriptors, after it, by abbreviated options. Only
make understands those, since it reads MAKEFLAGS like its command line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# For make 4.2 and later, and for make until 4.1, such as that of macOS.
_CUT_SHORT = ("--jobserver-aut", "--jobserver-fd")
_AUTH = "--jobserver-auth="
_DESCRIPTORS = r"(\d+),(\d+)"
# Words in MAKEFLAGS end at spaces, and make expands `$` and unescapes `\` in them.
_PLAIN = r"[A-Za-z0-9_./+@%:=,~-]+"
_ABOUT_JOBS = r"-j\d*|--jobs(=\d*)?|--jobserver-.*"


@dataclass(frozen=True, slots=True)
class OuterJobserver:
    """An outer jobserver: its FIFO, or the descriptors of its pipe."""

    fifo: str = ""
    descriptors: tuple[int, int] | None = None


def jobserver_in(makeflags: str) -> OuterJobserver | None:
    """Return the jobserver that MAKEFLAGS names, or None."""
    named = None
    for word in _options(makeflags):
        if word.startswith(_AUTH):
            value = word.removeprefix(_AUTH)
            pair = re.fullmatch(_DESCRIPTORS, value)
            if value.startswith("fifo:"):
                named = OuterJobserver(fifo=value.removeprefix("fifo:"))
            elif pair is not None:
                named = OuterJobserver(descriptors=(int(pair[1]), int(pair[2])))
    return named


def without_jobserver(makeflags: str) -> str:
    """Return the flags without the jobserver and -j; unchanged if they name no jobserver."""
    if not any(word.startswith("--jobserver-") for word in _options(makeflags)):
        return makeflags
    variables = makeflags.split()[len(list(_options(makeflags))) :]
    kept = [word for word in _options(makeflags) if not re.fullmatch(_ABOUT_JOBS, word)]
    return " ".join([*kept, *variables])


def naming_jobserver(fifo: str, descriptors: tuple[int, int]) -> str:
    """Return MAKEFLAGS for a tool that inherits the descriptors; `fifo` may be ""."""
    pair = "{},{}".format(*descriptors)
    # Without a number: make until 4.1 ignores a jobserver that comes with `-jN`.
    words = ["-j"]
    if fifo and re.fullmatch(_PLAIN, fifo):
        words.append(f"{_AUTH}fifo:{fifo}")
        words += [f"{word}={pair}" for word in _CUT_SHORT]
    else:
        words += [f"{_AUTH}{pair}", f"{_CUT_SHORT[1]}={pair}"]
    return " ".join(words)


def _options(makeflags: str) -> Iterator[str]:
    """Yield the words before `--`; after it come variables, with any text."""
    for word in makeflags.split():
        if word == "--":
            return
        yield word
