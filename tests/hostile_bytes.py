"""Bytes that no parser expects, drawn from a seed, and how to run a parser on many of them."""

import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from envy.errors import EnvyError, InternalError

MEMORY = 500 << 20
SECONDS = 10  # of processor time
HANGS = 300  # seconds after which a case counts as hanging, however busy the machine is

TOKENS = (
    *(
        b"\0",
        b"\xff\xfe",
        b"\r\n",
        b"\n",
        b"..",
        b"/",
        b"../",
        b"\\",
        b":",
        b"%2e%2e%2f",
        b"@",
        b"#",
    ),
    *(
        b"-1",
        b"0",
        b"999999999999999999999",
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"null",
        b"true",
        b"[]",
    ),
    *(
        b"{}",
        b'"',
        b"[",
        b"]" * 300,
        b"[" * 300,
        b"{",
        b"<",
        b">",
        b"<!--",
        b"&#x110000;",
        b"\\ud800",
    ),
    *(b"http://[", b"file:///etc/passwd", b"https://u:p@h:99999/", b"//", b"\xf0\x9f\x92\xa9"),
    *(b"py2.py3-none-any.whl", b" " * 4000, b"a" * 5000, b"\x80\x80\x80", b"PAX", b"sha256="),
)
TEXTS = (
    *("", "a", "..", "../x", "/etc/passwd", "x/y", "\0", "é", "\ud800", "\u202e", "a" * 300),
    *("tool-1.0-py3-none-any.whl", "tool-1.0.tar.gz", "1.0", "1.0.0", "sha512-AAAA", "sha1-é"),
    *(
        "http://[::1",
        "http://h:99999/",
        "https://h/x",
        "file:///x",
        "//h",
        "ext::sh",
        "#",
        "?",
        "%",
    ),
    *("0" * 64, "644", "file", "link", "dir", "local.gn@r0", "local.gn@r0/x", "9" * 5000),
)
NUMBERS = (0, 1, -1, 2**31, 2**63, 2**70, 0.5, 1e300, -0.0)


def mutated(chance, data):
    """Return data with a few changes: bits, ranges, tokens and repetitions."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 10))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 4, 100, 5000)))
        match chance.randrange(7):
            case 0:
                for position in range(at, min(end, at + 4)):
                    data[position] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = chance.choice(TOKENS)
            case 3:
                data[at:end] = chance.choice(TOKENS)
            case 4:
                data[at:at] = bytes(data[at:end]) * chance.choice((2, 50, 1000))
            case 5:
                data[at:end] = chance.randbytes(end - at)
            case 6:
                del data[at if chance.random() < 0.2 else len(data) :]
        del data[3_000_000:]
    return bytes(data)


def value(chance, keys, depth=0):
    """Return something that JSON can hold, whose objects have some of these keys."""
    kind = chance.randrange(7 if depth < 4 else 4)
    if kind < 2:
        return chance.choice(TEXTS)
    if kind == 2:
        return chance.choice(NUMBERS)
    if kind == 3:
        return chance.choice((None, True, False))
    if kind == 4:
        return [value(chance, keys, depth + 1) for _ in range(chance.choice((0, 1, 3, 6)))]
    chosen = chance.sample(keys, chance.randint(0, len(keys)))
    return {key: value(chance, keys, depth + 1) for key in chosen}


def changed(chance, row, keys):
    """Return a copy of a document in which some values are others."""
    if chance.random() < 0.15:
        return value(chance, keys)
    if isinstance(row, dict):
        return {key: changed(chance, inner, keys) for key, inner in row.items()}
    if isinstance(row, list):
        return [changed(chance, inner, keys) for inner in row] * chance.choice((1, 1, 1, 0, 3))
    return row


def document(chance, row):
    """Return bytes that are nearly the JSON of a document."""
    text = json.dumps(changed(chance, row, sorted(_keys_of(row)))).encode()
    return mutated(chance, text) if chance.random() < 0.3 else text


def _keys_of(row):
    inner = row.values() if isinstance(row, dict) else row if isinstance(row, list) else ()
    found = set(row) if isinstance(row, dict) else set()
    return found.union(*map(_keys_of, inner))


def problems_of(case, numbers):
    """Run `case` with each number in a child with little memory; return what went wrong, by number.

    An EnvyError is right. Any other exception, more than 500 MB, and more than 10 s are wrong.
    """
    problems, waiting = {}, list(numbers)
    while waiting:
        done, found, how = _run_in_child(case, waiting)
        problems |= found
        if done < len(waiting):
            problems[waiting[done]] = how
            done += 1
        waiting = waiting[done:]
    return problems


def _run_in_child(case, numbers):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as answer, tempfile.TemporaryDirectory() as folder:
                _limit_memory()
                for number in numbers:
                    signal.setitimer(signal.ITIMER_PROF, SECONDS)
                    signal.alarm(HANGS)
                    pickle.dump(_problem_of(case, number, Path(folder)), answer)
                    answer.flush()
                    signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
        finally:
            os._exit(0)
    os.close(writing)
    answers = []
    with os.fdopen(reading, "rb") as answer:
        while True:
            try:
                answers.append(pickle.load(answer))
            except (EOFError, pickle.UnpicklingError):
                break
    status = os.waitpid(child, 0)[1]
    how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "no answer"
    found = {number: text for number, text in zip(numbers, answers, strict=False) if text}
    return len(answers), found, how


def _problem_of(case, number, folder):
    try:
        case(number, folder)
    except InternalError as error:
        return str(error)
    except EnvyError as error:
        return "" if len(str(error)) < 200_000 else f"a text of {len(str(error))} characters"
    except BaseException:  # noqa: BLE001  each is a problem
        return traceback.format_exc(limit=-10)[-3000:]
    return ""


def _limit_memory():
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
