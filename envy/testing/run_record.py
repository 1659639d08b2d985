"""What a whole command did, by its words and its folder, to answer the same command at once.

Owns the file of a run and the decision whether it still holds. A run that did not pass has a file,
too, without an answer: it says what each package was built from when it last passed, which explains
later runs. Warm commands load this module, so it imports little.
"""

from __future__ import annotations

import os

from envy.answers.facts import engine_facts, host_facts
from envy.answers.lookup import installed, is_current
from envy.answers.read import answer_path, load_answer
from envy.content.file_digest import file_digest
from envy.declarations.manifest_search import global_manifest, nearest_manifest
from envy.testing.evidence import Fact, digest_of, recheck
from envy.testing.records import (
    RESULT_FORMAT,
    Damaged,
    read_sections,
    result_path,
    run_path,
    tree_path,
    write_sections,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_FORMAT = "1"
PLAIN = "plain"  # the text is what the command prints, apart from the time at its end
LINES = "lines"  # the events are printed as JSON, and nothing else
EVENTS = "events"  # the views have to be shown the events
NOTHING = "-"  # there is no answer
_FORMS = frozenset({PLAIN, LINES, EVENTS, NOTHING})
_SAYING_MORE = frozenset({"--explain", "--rerun"})  # the run is the same with them


class ToolchainSource:
    """What decides on the toolchain: a manifest ("" without one), and the package it has."""

    __slots__ = ("folder", "manifest", "meaning", "query", "root")

    def __init__(
        self, root: str, folder: str, manifest: str, query: str, meaning: str = ""
    ) -> None:
        self.root = root  # of the cache
        self.folder = folder  # the manifest is the nearest from here up; "" if it was named
        self.manifest = manifest
        self.query = query  # the package of the toolchain; "" if it comes from PATH
        self.meaning = meaning  # what the manifest resolved to


class RunRecord:
    """One file. `packages` are rows of a name and the key of its result, "" if none was kept."""

    __slots__ = ("facts", "form", "last", "packages", "project", "text", "trees", "units")

    def __init__(
        self,
        *,
        form: str,
        last: str,
        project: ToolchainSource,
        facts: str,
        trees: Mapping[str, str],
        packages: Sequence[tuple[str, str]],
        units: str,
        text: str,
    ) -> None:
        self.form = form
        self.last = last  # the record of what failed last, which a pass changes
        self.project = project
        self.facts = facts  # rows of `evidence`, as text
        self.trees = trees  # the digest of each whole folder
        self.packages = packages
        self.units = units  # for `explanations`
        self.text = text


def run_key(words: Sequence[str], folder: str, spelled: str) -> str:
    """Return the key of a command; `spelled` is the folder as PWD has it."""
    words = [word for word in words if word not in _SAYING_MORE]
    return digest_of(os.fsencode("\0".join([str(len(words)), *words, folder, spelled])))


def manifest_for(folder: str, environment: Mapping[str, str]) -> str:
    """Return the manifest that counts in a folder, the user's own included; "" without one."""
    found = nearest_manifest(folder)[0]
    if found:
        return found
    own = global_manifest(environment)
    return own if own and os.path.isfile(own) else ""


def project_state(project: ToolchainSource, environment: Mapping[str, str]) -> str:
    """Return what the project resolves to, as a digest; "" if only a full run can tell."""
    if project.folder and manifest_for(project.folder, environment) != project.manifest:
        return ""
    if not project.manifest:
        return "none"
    answer = load_answer(project.root, project.manifest, environment)
    if answer is None:
        return ""
    if project.query:
        queries = [project.query]
        found = installed(project.root, project.manifest, queries, environment, renews=True)
        if found is None:
            return ""
    elif not is_current(answer, project.manifest, environment):
        return ""
    texts = [file_digest(answer_path(project.root, project.manifest)) or ""]
    texts += [f"{path} {file_digest(path)}" for path in answer.dotenv]
    return digest_of(os.fsencode("\n".join(texts)))


def read_run(tests: str, key: str) -> RunRecord | None:
    """Return the file of a run; None if there is none of this version of envy.

    Raises:
        Damaged: it cannot be used.
    """
    path = run_path(tests, key)
    sections = read_sections(path, 5)
    if sections is None:
        return None
    head, facts, packages, units, text = sections
    try:
        _format, version, form, last, root, folder, manifest, query, state, *trees = head.split(
            "\n"
        )
        if _format != _FORMAT or version != _version():
            return None
        if form not in _FORMS or len(trees) % 2:
            raise ValueError(form)
        rows = [line.split("\t") for line in packages.split("\n")] if packages else []
        return RunRecord(
            form=form,
            last=last,
            project=ToolchainSource(root, folder, manifest, query, state),
            facts=facts,
            trees=dict(zip(trees[::2], trees[1::2], strict=True)),
            packages=[(name, result) for name, result in rows],
            units=units,
            text=text,
        )
    except ValueError as error:
        raise Damaged(f"{path} is damaged") from error


def write_run(tests: str, key: str, record: RunRecord) -> None:
    """Write the file of a run; one that cannot be stored is left out.

    Raises:
        OSError: it cannot be written.
    """
    project = record.project
    head = [_FORMAT, _version(), record.form, record.last, project.root, project.folder]
    head += [
        project.manifest,
        project.query,
        project.meaning,
        *(text for pair in record.trees.items() for text in pair),
    ]
    if any("\n" in text for text in head):
        return
    packages = "\n".join(f"{name}\t{result}" for name, result in record.packages)
    sections = ["\n".join(head), record.facts, packages, record.units, record.text]
    write_sections(run_path(tests, key), sections)


def why_not(
    tests: str, key: str, record: RunRecord, environment: Mapping[str, str], *, settled: int
) -> str:
    """Return why a run does not hold any more; "" if it does.

    Marks that were renewed are written back.

    Raises:
        Damaged: the record of a whole folder cannot be used.
    """
    if record.form == NOTHING:
        return "the last run has no answer"
    try:
        found, renewed = recheck(record.facts, environment, settled=settled)
        if found:
            return found[0]
        state = project_state(record.project, environment)
        if state != record.project.meaning or not state:
            return f"{record.project.manifest} resolves to something else"
        for top, digest in record.trees.items():
            why = why_tree_changed(tests, top, digest, environment, settled=settled)
            if why:
                return why
    except ValueError as error:
        raise Damaged(f"{run_path(tests, key)} is damaged") from error
    if renewed:
        record.facts = renewed
        _try_to_write(write_run, tests, key, record)
    return ""


def why_tree_changed(
    tests: str, top: str, digest: str, environment: Mapping[str, str], *, settled: int
) -> str:
    """Return why a whole folder is not what it was; "" if it is.

    Raises:
        Damaged: its record cannot be used; ValueError: its rows are damaged.
    """
    found = read_tree(tests, top)
    if found is None or found[0] != digest:
        return f"{top} changed"
    changed, renewed = recheck(found[1], environment, settled=settled)
    if not changed and renewed:
        _try_to_write(write_tree, tests, top, digest, renewed)
    return changed[0] if changed else ""


def _try_to_write(write: Callable[..., None], *arguments: object) -> None:
    try:  # contextlib is not loaded here
        write(*arguments)
    except OSError:
        return  # the next run compares the contents again


def read_tree(tests: str, top: str) -> tuple[str, str] | None:
    """Return the digest of a whole folder, and its rows as text; None if there is no record.

    Raises:
        Damaged: it cannot be used.
    """
    sections = read_sections(tree_path(tests, top), 3)
    if sections is None or sections[0] != f"{_FORMAT}\n{top}":
        return None
    return sections[1], sections[2]


def write_tree(tests: str, top: str, digest: str, rows: str) -> None:
    """Write the record of a whole folder.

    Raises:
        OSError: it cannot be written.
    """
    write_sections(tree_path(tests, top), [f"{_FORMAT}\n{top}", digest, rows])


def values_of(facts: Iterable[Fact]) -> str:
    """Return the digest of rows without their marks."""
    rows = [f"{fact.kind} {fact.value} {fact.subject}" for fact in facts]
    return digest_of(os.fsencode("\n".join(rows)))


def results_of(tests: str, record: RunRecord) -> list[str]:
    """Return the files of the results that a run consists of."""
    return [result_path(tests, key) for _name, key in record.packages if key]


def lines_of(tests: str, record: RunRecord, moment: str) -> str | None:
    """Return the events of a run as lines of JSON with this time; None if a result was removed.

    Raises:
        Damaged: a result cannot be used.
    """
    begin, end = f'{{"Time":"{moment}",', ',"Cached":true}\n'
    texts = []
    for path in results_of(tests, record):
        sections = read_sections(path, 3)
        if sections is None or sections[0] != RESULT_FORMAT:
            return None
        lines = sections[2]
        if not lines.startswith('{"Action":') or not lines.endswith("}"):
            raise Damaged(f"{path} is damaged")
        # No line has a newline or such a pair inside: JSON escapes it.
        texts += [begin, lines[1:-1].replace("}\n{", end + begin), end]
    return "".join(texts)


def _version() -> str:
    return digest_of("\n".join([*host_facts(), *engine_facts()]).encode())
