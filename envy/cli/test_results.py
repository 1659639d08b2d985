"""Remembered runs of `envy test`: answering the same command again, recording and explaining it."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from envy.cli.test_setup import RunContext, plain_view
from envy.console.text import Streams, safe_lines, write_line
from envy.testing.basis import Basis, BuildUnit, Collector
from envy.testing.consulted import Unkept
from envy.testing.drivers.projects.inputs import Snapshot
from envy.testing.events import StreamEvent
from envy.testing.evidence import VARIABLE, Fact, digest_of, encode_facts, observe, recheck
from envy.testing.explanations import changed_files, decode_units, encode_units, reason_of
from envy.testing.kinds import events_without_tests
from envy.testing.package import Driver, PackageRun, PackageVerdict, TestPackage
from envy.testing.records import Damaged, mark_used, result_path, run_path
from envy.testing.replay import replay, runs_of
from envy.testing.result_cache import ResultCache, read_result
from envy.testing.results import Recorder
from envy.testing.run_record import (
    EVENTS,
    LINES,
    NOTHING,
    PLAIN,
    RunRecord,
    ToolchainSource,
    project_state,
    read_run,
    read_tree,
    run_key,
    values_of,
    why_not,
    write_run,
    write_tree,
)
from envy.testing.session_result import SessionResult, View
from envy.testing.views.plain import PlainView


class RememberedRun:
    """The record of one command line in one folder: the former one, and the one to come."""

    def __init__(self, context: RunContext, results: ResultCache, words: Sequence[str]) -> None:
        self._context = context
        self._results = results
        environment = context.settings.environment
        self._environment = environment
        self._key = run_key(words, os.getcwd(), environment.get("PWD", ""))  # noqa: PTH109
        self._before: RunRecord | None = None
        self._basis = Basis(unkept="no package was found")
        self._source = ToolchainSource("", "", "", "")
        self._text = _answer_text(context)
        self._renewal: threading.Thread | None = None
        try:
            self._before = read_run(results.root, self._key)
        except Damaged as error:
            results.report(str(error))

    # -- the former run --------------------------------------------------------------------------

    def answer(self, views: Sequence[View]) -> SessionResult | None:
        """Show the former run again if all that it rests on is unchanged."""
        started = time.monotonic()
        events = self.unchanged_events()
        if events is None or self._before is None:
            return None
        if self._context.options.explain:
            for name, _key in self._before.packages:
                self._say([f"{name}: cached, nothing changed"])
        return replay(events, views, started=started)

    def unchanged_events(self) -> list[StreamEvent] | None:
        """Return the events of the former run if all that it rests on is unchanged."""
        before, root = self._before, self._results.root
        if before is None or not self._results.reads or before.form == NOTHING:
            return None
        settled = self._results.settled
        try:
            if why_not(root, self._key, before, self._environment, settled=settled):
                return None
            events = list(self._events_of(before.packages))
        except Damaged as error:
            self._results.report(str(error))
            return None
        except FileNotFoundError:
            return None  # gc removed a result
        mark_used(run_path(root, self._key), time.time())
        return events

    def _events_of(self, packages: Sequence[tuple[str, str]]) -> Iterator[StreamEvent]:
        """Yield the events of packages and their results.

        Raises:
            Damaged: a result cannot be used; FileNotFoundError: it was removed.
        """
        now = time.time()
        for _name, key in packages:
            path = result_path(self._results.root, key)
            kept = read_result(path)
            if kept is None:
                raise FileNotFoundError(path)
            mark_used(path, now)
            yield from kept.replayed()

    @property
    def views(self) -> list[View]:
        """The views that this run has to be shown to, so that it can be answered."""
        return [self._text] if self._text is not None else []

    # -- this run --------------------------------------------------------------------------------

    def note_source(self, source: ToolchainSource) -> None:
        """Note what decides on the toolchain, as soon as that is found."""
        source.meaning = project_state(source, self._environment)
        self._source = source
        if self._before is not None and self._before.trees and self._results.writes:
            # Files of a toolchain that were touched are read while Go looks for packages.
            tops = list(self._before.trees)
            self._renewal = threading.Thread(target=self._renew_trees, args=(tops,), daemon=True)
            self._renewal.start()

    def _renew_trees(self, tops: Sequence[str]) -> None:
        """Renew the marks of whole folders whose content is what it was."""
        for top in tops:
            try:
                known = read_tree(self._results.root, top)
                if known is None:
                    continue
                since = self._results.since
                changed, renewed = recheck(known[1], self._environment, settled=since)
                if renewed and not changed:
                    write_tree(self._results.root, top, known[0], renewed)
            except (Damaged, OSError, ValueError):
                continue  # found again, and reported, at the end of the run

    def observe(
        self,
        driver: Driver,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        search: Snapshot,
    ) -> None:
        """Observe what the run rests on, before anything is built; `search` found its projects."""
        since = self._results.since
        basis = driver.basis(packages, patterns, self._environment, since=since)
        try:
            facts = [*basis.facts, *search.confirmed(since)]
            self._basis = dataclasses.replace(basis, facts=facts)
        except Unkept as error:
            self._basis = Basis(unkept=str(error))

    def finish(self, result: SessionResult, driver: Driver) -> None:
        """Explain the run if that was asked for, and record it."""
        units = driver.units(result.packages)
        roots = {run.package.name: driver.unit_of(run.package) for run in result.runs}
        explains = self._context.options.explain
        if explains:
            self._explain(result.runs, units, roots)
            left_out = result.recorder.left_out
            self._say([f"{name}: {left_out[name]}" for name in result.left_out])
        if not self._results.writes or result.cancelled or result.built_only:
            return
        facts: list[Fact] = []
        trees: dict[str, str] = {}
        why = self._why_unanswered(result)
        if not why:
            try:
                others = self._facts_of_others(result, driver)
                own = (fact for run in result.runs for fact in run.facts)
                facts = self._facts([*own, *others])
                self._keep_empty(result.runs)
                trees = {top: self._tree(top) for top in self._basis.trees}
            except Unkept as error:
                why = str(error)
        if why and explains:
            self._say([f"the whole run cannot be answered at once: {why}"])
        text = "" if why or self._text is None else self._text.finished(result.notes)
        record = RunRecord(
            form=NOTHING if why else self._form(),
            last=str(self._context.last_run.path),
            project=self._source,
            facts="" if why else encode_facts(facts),
            trees=trees,
            packages=self._packages(result),
            units=encode_units(units),
            text=text,
        )
        try:
            write_run(self._results.root, self._key, record)
        except OSError as error:
            self._results.report(f"cannot write {error.filename}: {error.strerror}")

    def _packages(self, result: SessionResult) -> list[tuple[str, str]]:
        """Return the packages with the keys of their results; what was left out keeps its own."""
        earlier = dict(self._before.packages) if self._before else {}
        kept = [(name, earlier[name]) for name in result.left_out if name in earlier]
        return [*((run.package.name, _kept_key(run)) for run in result.runs), *kept]

    def _form(self) -> str:
        options = self._context.options
        if options.json == "-" and not options.junit:
            return LINES
        if self._text is None:
            return EVENTS
        return PLAIN

    def _keep_empty(self, runs: Sequence[PackageRun]) -> None:
        """Keep the events of packages without tests, which are part of the answer."""
        for run in runs:
            if run.verdict is PackageVerdict.NO_TESTS:
                name = run.package.name
                run.result_key = digest_of(f"no tests\0{name}".encode())
                self._results.keep(run.result_key, [], events_without_tests(name))

    def _explain(
        self,
        runs: Sequence[PackageRun],
        units: Mapping[str, BuildUnit],
        roots: Mapping[str, str],
    ) -> None:
        before = self._before
        earlier = dict(before.packages) if before else {}
        old_units = decode_units(before.units) if before else {}
        reads = self._results.reads
        for run in runs:
            name = run.package.name
            changed = changed_files(old_units, units, roots[name])
            self._say([f"{name}: {reason_of(run, reads=reads, earlier=earlier, changed=changed)}"])

    def _why_unanswered(self, result: SessionResult) -> str:
        """Return why the run cannot be answered without running anything; "" if it can."""
        options = self._context.options
        reasons = (
            (options.failed, "--failed depends on the last run"),
            (options.changed, "--changed depends on git"),
            (options.coverage, "coverage is measured"),
        )
        for is_given, why in reasons:
            if is_given:
                return why
        if result.stopped or result.exit_code:
            return "not all tests passed"
        for run in result.runs:
            done = (run.kept_result is not None or run.result_key) and not run.unkept
            if run.verdict is not PackageVerdict.NO_TESTS and not done:
                return f"{run.package.name}: {run.unkept or 'its result is not kept'}"
        source = self._source
        if not source.meaning or source.meaning != project_state(source, self._environment):
            return "what the manifest resolves to is not known"
        return self._basis.unkept or self._basis.confirm(self._environment)

    def _facts_of_others(self, result: SessionResult, driver: Driver) -> list[Fact]:
        """Return what packages rest on of which nothing is selected: a change may select some.

        Raises:
            Unkept: that is not known of one.
        """
        names = {run.package.name for run in result.runs}
        others = [package for package in result.packages if package.name not in names]
        found: list[Fact] = []
        for package in others:
            if package.driver != "go":  # the basis of the run has the sources of all
                run = PackageRun(package=package)
                driver.build_key(run)
                found += driver.consulted(run, since=self._results.since)
        return found

    def _facts(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return the rows of the run, with those of its packages, each once."""
        found = {(fact.kind, fact.subject): fact for fact in self._basis.facts}
        for fact in facts:
            key = (fact.kind, fact.subject)
            if key in found:
                continue
            # Tests have the toolchain's variables; the next command starts from envy's.
            is_variable = fact.kind == VARIABLE
            found[key] = observe(*key, self._environment, since=0) if is_variable else fact
        # What is compared without reading a file comes first: most changes are found there.
        return sorted(found.values(), key=lambda fact: bool(fact.mark))

    def _tree(self, top: str) -> str:
        if self._renewal is not None:
            self._renewal.join()
        try:
            known = read_tree(self._results.root, top)
            since = self._results.since
            if known is not None:
                changed, renewed = recheck(known[1], self._environment, settled=since)
                if renewed and not changed:
                    write_tree(self._results.root, top, known[0], renewed)
                if not changed:
                    return known[0]
        except OSError:
            return known[0] if known else ""
        except (Damaged, ValueError) as error:
            self._results.report(str(error))
        rows = Collector(self._environment, self._results.since)
        rows.add_whole(top)
        for name in sorted(os.listdir(top)):  # noqa: PTH208
            path = f"{top}/{name}"
            if os.path.islink(path) and os.path.isdir(path):  # noqa: PTH112, PTH114
                rows.add_whole(path)
        digest = values_of(rows.facts)
        try:
            write_tree(self._results.root, top, digest, encode_facts(rows.facts))
        except OSError as error:
            self._results.report(f"cannot write {error.filename}: {error.strerror}")
        return digest

    def _say(self, lines: Sequence[str]) -> None:
        stream = sys.stderr if self._context.options.json == "-" else sys.stdout
        for line in lines:
            for safe in safe_lines(line):
                write_line(stream, safe)


def _kept_key(run: PackageRun) -> str:
    """Return the key of a package's result; "" if it has none."""
    passed = {PackageVerdict.PASSED, PackageVerdict.NO_TESTS}
    is_kept = run.verdict in passed and not run.unkept
    return run.result_key if is_kept else ""


class AnswerText:
    """Writes what the plain view will print when the run is answered."""

    def __init__(self, view: PlainView, stream: io.StringIO) -> None:
        self._view = view
        self._stream = stream
        self._recorder = Recorder()

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Ignore phases: an answered run has none."""

    def on_event(self, event: StreamEvent) -> None:
        """Write the lines of an event, as those of a remembered result."""
        if not event.cached:
            event = dataclasses.replace(event, cached=True)
        self._recorder.on_event(event)
        self._view.on_event(event)

    def on_end(self, result: SessionResult) -> None:
        """Ignore the result: that of the answer follows from the events."""

    def finished(self, notes: Sequence[str]) -> str:
        """Return the text apart from the time at its end; `notes` are about the options."""
        result = SessionResult(recorder=self._recorder, runs=runs_of(self._recorder))
        result.notes += notes
        self._view.on_end(result)
        before, blank, _time = self._stream.getvalue().rpartition(" ")
        return before + blank


def _answer_text(context: RunContext) -> AnswerText | None:
    """Return what writes the text of an answer; None if the views will need the events."""
    options = context.options
    if options.json or options.junit or options.profile:
        return None
    stream = io.StringIO()
    streams = Streams(output=stream, errors=io.StringIO())
    return AnswerText(plain_view(context.settings, options, streams), stream)
