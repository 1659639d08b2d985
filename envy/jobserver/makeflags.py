"""What MAKEFLAGS says of a jobserver: pure text.

A jobserver is named in two ways. `--jobserver-auth=R,W` means two descriptors that were inherited;
`--jobserver-auth=fifo:PATH` a FIFO that whoever wants to opens. No tool knows both as one: GNU make
before 4.4 ends at the second ("internal error"), ninja ignores the first, and all look at the last.
So the FIFO is named by the full word, and the descriptors, after it, by words that are cut short:
only make, which reads MAKEFLAGS as it reads its options, takes those for what they mean.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Of make 4.2 and later, and of make until 4.1, such as that of macOS.
_CUT_SHORT = ("--jobserver-aut", "--jobserver-fd")
_AUTH = "--jobserver-auth="
_DESCRIPTORS = r"(\d+),(\d+)"
# Words of MAKEFLAGS end at spaces, and make expands `$` and unescapes `\` in them.
_SPEAKABLE = r"[A-Za-z0-9_./+@%:=,~-]+"
_ABOUT_JOBS = r"-j\d*|--jobs(=\d*)?|--jobserver-.*"


@dataclass(frozen=True, slots=True)
class Named:
    """A jobserver that somebody else runs: its FIFO, or the descriptors of its pipe."""

    fifo: str = ""
    descriptors: tuple[int, int] | None = None


def jobserver_in(makeflags: str) -> Named | None:
    """The jobserver that MAKEFLAGS names, if it does."""
    named = None
    for word in _options(makeflags):
        if word.startswith(_AUTH):
            value = word.removeprefix(_AUTH)
            pair = re.fullmatch(_DESCRIPTORS, value)
            if value.startswith("fifo:"):
                named = Named(fifo=value.removeprefix("fifo:"))
            elif pair is not None:
                named = Named(descriptors=(int(pair[1]), int(pair[2])))
    return named


def without_jobserver(makeflags: str) -> str:
    """The same flags for those who may not take part; unchanged if they name no jobserver."""
    if not any(word.startswith("--jobserver-") for word in _options(makeflags)):
        return makeflags
    variables = makeflags.split()[len(list(_options(makeflags))) :]
    kept = [word for word in _options(makeflags) if not re.fullmatch(_ABOUT_JOBS, word)]
    return " ".join([*kept, *variables])


def naming_jobserver(fifo: str, descriptors: tuple[int, int]) -> str:
    """MAKEFLAGS for a tool that has inherited the descriptors; `fifo` may be empty."""
    pair = "{},{}".format(*descriptors)
    # Without a number: make until 4.1 takes `-jN` beside a jobserver for an order to do without it.
    words = ["-j"]
    if fifo and re.fullmatch(_SPEAKABLE, fifo):
        words.append(f"{_AUTH}fifo:{fifo}")
        words += [f"{word}={pair}" for word in _CUT_SHORT]
    else:
        words += [f"{_AUTH}{pair}", f"{_CUT_SHORT[1]}={pair}"]
    return " ".join(words)


def _options(makeflags: str) -> Iterator[str]:
    """The words before `--`; behind it are variables, which may look like anything."""
    for word in makeflags.split():
        if word == "--":
            return
        yield word
