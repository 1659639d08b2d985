"""Coverage as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from envy.content.plain_file import read_plain
from envy.limits import TEST_RESULT
from envy.testing.coverage.model import FileCoverage, share_of_files

_STYLE = """
body { font: 15px sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em;
  color: #222; background: #fff }
td { padding: .1em 1em .1em 0 } td.n { text-align: right }
pre { font: 13px/1.4 monospace; overflow-x: auto } pre span { display: block }
.y { background: #dff3df } .n0 { background: #fbdada } i { color: #888; font-style: normal }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 } .y { background: #143314 } .n0 { background: #4a1a1a } }
"""


def page_of(files: Mapping[str, FileCoverage], root: Path) -> str:
    """Return the page; sources are read below `root` unless their paths are absolute."""
    return "".join(_parts(files, root))


def _parts(files: Mapping[str, FileCoverage], root: Path) -> Iterator[str]:
    total = share_of_files(files.values())
    yield '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Coverage</title>'
    yield f"<style>{_STYLE}</style>\n<h1>Coverage: {total}</h1>\n<table>\n"
    for number, (path, file) in enumerate(files.items()):
        share = share_of_files([file])
        yield f'<tr><td><a href="#f{number}">{escape(path)}</a><td class="n">{share}'
        yield f'<td class="n">{share.covered} of {share.whole}\n'
    yield "</table>\n"
    for number, (path, file) in enumerate(files.items()):
        yield f'<h2 id="f{number}">{escape(path)}</h2>\n<pre>'
        yield from _source(root / path, file)
        yield "</pre>\n"


def _source(path: Path, file: FileCoverage) -> Iterator[str]:
    try:
        text = read_plain(str(path), TEST_RESULT).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        yield f"<i>cannot be read: {escape(str(error))}</i>"
        return
    counts = file.lines()
    for number, line in enumerate(text.split("\n"), 1):
        count = counts.get(number)
        kind = "" if count is None else ' class="y"' if count else ' class="n0"'
        shown = escape(line.expandtabs(4)) or " "
        title = "" if count is None else f' title="{count}"'
        yield f"<span{kind}{title}><i>{number:5} </i>{shown}</span>"
