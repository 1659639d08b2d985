"""What machines share of results: keys and evidence without paths, and hostile results refused."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from envy import masking
from envy.events import EventBus
from envy.sharing.result_names import OfferedResult, Offers
from envy.testing.consulted import MOST
from envy.testing.events import StreamEvent, as_json
from envy.testing.evidence import FILE, LISTING, NAMES, STATUS, VARIABLE, observe
from envy.testing.package import PackageRun, TestPackage
from envy.testing.result_cache import ResultCache
from envy.testing.shared.evidence import decode_rows, differing, encode_rows, local_facts, rows_of
from envy.testing.shared.places import NamedPlaces, Unshared, places_of
from envy.testing.shared.results import SharedResults


def machine(folder, *, time):
    """Return the places of a machine, whose project has a file."""
    project = folder / "home/user/project"
    (project / "data").mkdir(parents=True)
    (project / ".git").mkdir()
    path = project / "data/in.txt"
    path.write_text("in")
    path.chmod(0o600 + (time & 0o77))
    os.utime(path, (time, time))
    (folder / "cache").mkdir()
    return places_of(str(project / "data"), str(folder / "cache"), {"HOME": str(folder / "home")})


@pytest.fixture
def two(tmp_path):
    return [machine(tmp_path / "a", time=1000), machine(tmp_path / "longer", time=2044)]


def facts(places, *subjects, environment=()):
    return [observe(kind, subject, dict(environment), since=1 << 62) for kind, subject in subjects]


def test_texts_are_the_same_everywhere(two):
    """Paths become names, the innermost folder first, and only where a whole path ends."""
    texts = []
    for places in two:
        project, home = places.folders["<project>"], places.folders["<home>"]
        texts.append(
            places.text(f"-I{project}/x:{home}/y {project}2 {project}") + places.named(home)
        )
        assert places.path("<project>/data/in.txt") == f"{project}/data/in.txt"
        assert (
            places.key({"project": project}).digest == two[0].key({"project": "<project>"}).digest
        )
    assert texts[0] == "-I<project>/x:<home>/y <home>/user/project2 <project><home>" == texts[1]
    assert NamedPlaces({"<project>": "/"}).text("/usr/bin") == "/usr/bin"


def test_without_a_server_no_grpc_is_loaded():
    """`envy test` loads nothing of gRPC before it needs a server."""
    code = (
        "import sys, envy.cli.test, envy.cli.test_run, envy.cli.test_caches\n"
        "print([name for name in sys.modules if name.startswith(('grpc', 'google', 'buildgrid'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    "path", ["<project>/../x", "<project>//x", "<other>/x", "x", "<project>/a\0", "/usr/../etc"]
)
def test_paths_that_lead_elsewhere(two, path):
    """A path of another machine stays in its folder."""
    with pytest.raises(ValueError, match=r"is not a path|is in no known folder"):
        two[0].path(path)


def test_evidence_holds_on_another_machine(two):
    """Times and permissions that differ by umask do not count; contents and names do."""
    first, second = two
    data = f"{first.folders['<project>']}/data"
    rows = rows_of(
        facts(
            first,
            (FILE, f"{data}/in.txt"),
            (STATUS, f"{data}/in.txt"),
            (STATUS, data),
            (LISTING, data),
            (FILE, "/no/such/file"),
            (FILE, "/tmp/Test123456/001/x"),
            (VARIABLE, "UNSET"),
        ),
        first,
        {},
    )
    assert len(rows) == 6
    assert "/tmp" not in encode_rows(rows)
    rows = decode_rows(encode_rows(rows), second)
    assert differing(rows, second, {}) == []
    assert differing(rows, second, {"UNSET": ""}) == ["variable UNSET is set here"]
    path = Path(second.path("<project>/data/in.txt"))
    path.write_text("IN")
    assert differing(rows, second, {}) == ["data/in.txt differs"]
    path.unlink()
    assert differing(rows, second, {})[0] == "data/in.txt is missing here"


def test_what_is_missing_near_the_project(two):
    """What is missing above counts in every folder above; beside the project, it stays here."""
    first, second = two
    home, project = first.folders["<home>"], first.folders["<project>"]
    outer = str(Path(home).parent)
    for path in (f"{outer}/b/x", f"{outer}/b/c/x"):
        with pytest.raises(Unshared, match=f"looked for {path}, which is beside the project"):
            rows_of(facts(first, (FILE, path)), first, {})
    missing = [f"{home}/.config/x", f"{project}/x", "/no/x", f"{home}/user/c.toml",
               f"{home}/c.toml", f"{outer}/c.toml"]  # fmt: skip
    rows = rows_of(facts(first, *((FILE, path) for path in missing)), first, {})
    subjects = ["<home>/.config/x", "<project>/x", "/no/x", "<above>/c.toml", "<home>/c.toml"]
    assert [row[2] for row in rows] == subjects
    assert outer not in encode_rows(rows)
    rows = decode_rows(encode_rows(rows), second)
    assert differing(rows, second, {}) == []
    kept = {fact.subject for fact in local_facts(rows, second, {}, since=1 << 62)}
    above = Path(second.folders["<project>"]).parents
    assert {str(folder / "c.toml") for folder in above} <= kept
    for path in (above[0] / "c.toml", above[2] / "c.toml"):
        path.write_text("")
        assert differing(rows, second, {}) == ["<above>/c.toml is there"]
        path.unlink()
    there = Path(second.path("<home>/.config/x"))
    there.parent.mkdir()
    there.write_text("")
    assert differing(rows, second, {}) == ["<home>/.config/x is there"]


def test_what_means_something_here_only(two, tmp_path):
    """Variables that are set, and files outside of the project, are named in the reason."""
    places = two[0]
    outside = tmp_path / "secret"
    outside.write_text("x")
    cases = {
        "read the variable FLAVOUR": ((VARIABLE, "FLAVOUR"), {"FLAVOUR": "sweet"}),
        f"rests on {outside}, which is not in the project": ((FILE, str(outside)), {}),
        "which variables are set": ((NAMES, "GO"), {}),
    }
    for reason, (subject, environment) in cases.items():
        with pytest.raises(Unshared, match=reason):
            rows_of(facts(places, subject, environment=environment), places, environment)


@pytest.mark.parametrize(
    "text",
    ["file\tx", "fact\tx\ty", "variable\t1234\tHOME", "file\t12-\t/root/.ssh/id", "names\tx\tGO",
     "file\t12-\t<home>/x", "file\t12-\t<above>/x", "file\t-\t<above>/../x",
     "file\t-\t<project>/../../x", "\n" * MOST],
)  # fmt: skip
def test_hostile_evidence(two, text):
    """Evidence that is damaged, asks about this machine, or has no end is refused."""
    with pytest.raises(ValueError, match=r"."):
        decode_rows(text, two[0])


class OneShelf:
    """A server that has one result, whatever is asked for."""

    shown, writes = "grpc://here", True

    def __init__(self, evidence, events):
        self.evidence, self.events = evidence, events
        self.stored = []

    def find(self, names, check):
        self.asked = [name.key for name in names]
        digest = SimpleNamespace(hash="x")
        return {name.key: Offers([OfferedResult(self.evidence(name.key), digest)])
                for name in names}  # fmt: skip

    def read(self, digests, check):
        return {"x": self.events}

    def store(self, results, check):
        self.stored += results
        return {one.name.key: 1 for one in results}


class Driver:
    environment = {}  # noqa: RUF012

    def __init__(self, places):
        self.places = places

    def shared_key(self, run, places):
        return self.places.key({"package": run.package.name})


def event(action, **fields):
    return StreamEvent(action=action, package="p", **fields)


PASS = [event("start"), event("run", test="T"), event("output", test="T", output="x\n"),
        event("pass", test="T", elapsed=0.1), event("pass", elapsed=0.2)]  # fmt: skip


def lines(events):
    return "\n".join(map(as_json, events)).encode()


def right(key):
    return f"envy-test 1\n{key}\np\n".encode()


def found(shelf, places, tmp_path):
    """Ask for the result of the package p; return its run."""
    results = ResultCache(str(tmp_path / "results"), settle=0, warn=print)
    shared = SharedResults(lambda: shelf, places, EventBus())
    package = TestPackage(name="p", directory=tmp_path, driver="d", tests=("T",))
    run = PackageRun(package=package)
    shared.find([run], Driver(places), results, lambda: None)
    return run, shared


def test_a_result_is_taken_and_given(two, tmp_path):
    """A complete pass is shown as remote, and kept; what passes here is stored without paths."""
    run, shared = found(OneShelf(right, lines(PASS)), two[0], tmp_path)
    assert all(one.cached and one.remote for one in run.kept_result.replayed())
    assert [one.output for one in run.kept_result.events if one.output] == ["x\n"]
    again, _ = found(OneShelf(right, b"damaged"), two[0], tmp_path)  # it is not asked for any more
    assert again.kept_result.origin == ""
    shelf = OneShelf(lambda _key: b"", b"")
    run, shared = found(shelf, two[1], tmp_path / "other")
    assert run.kept_result is None
    project = two[1].folders["<project>"]
    said = event("output", test="T", output=f"in {project}/x\n")
    shared.note(run, [said, *PASS], {}, lambda: None)
    for mark in two[1].folders:
        shared.note(run, [event("output", output=f"a {mark}"), *PASS], {}, lambda: None)
        assert run.unshared == f"its output has the text {mark} itself"
    shared.flush(lambda: None)
    [stored] = shelf.stored
    assert project.encode() not in stored.events
    assert stored.evidence == right(shelf.asked[0])


@pytest.fixture
def secret():
    """A value that envy knows as a secret."""
    masking.remember(["hunter2secret"])
    yield "hunter2secret"
    masking.forget_all()


def test_names_are_not_given_away(two, tmp_path, secret):
    """Names of tests and files with a secret, or a path of this machine, keep a result here."""
    shelf = OneShelf(lambda _key: b"", b"")
    run, shared = found(shelf, two[1], tmp_path)
    project = two[1].folders["<project>"]
    cases = {
        "the name of a test has a secret": event("run", test=f"T/{secret}"),
        "the name of a test has a path of this machine": event("run", test=f"T/{project}/x"),
        "its output has a secret": event("output", test="T", output=secret),
    }
    for reason, bad in cases.items():
        shared.note(run, [bad, *PASS], {}, lambda: None)
        assert run.unshared == reason
    run.unshared = ""
    shared.note(run, [event("run", test="T", key=f"in {project}"), *PASS], {}, lambda: None)
    assert "path of this machine" in run.unshared
    rows = facts(two[1], (FILE, f"{project}/{secret}"))
    with pytest.raises(Unshared, match="the name of a file has a secret"):
        rows_of(rows, two[1], {})
    shared.flush(lambda: None)
    assert shelf.stored == []
    root = NamedPlaces({"<home>": "/root"})
    assert root.are_in("T//root/x")
    assert not root.are_in("TestUser/root")


@pytest.mark.parametrize(
    ("evidence", "events", "reason"),
    [
        (lambda _: b"", lines(PASS), "another format"),
        (lambda _: b"\xff", lines(PASS), "cannot be used"),
        (lambda _: right("0" * 64), lines(PASS), "that of another key"),
        (lambda key: right(key) + b"file\t1\t/etc/shadow", lines(PASS), "rests on /etc/shadow"),
        (right, b"", "cannot be used"),
        (right, b"[" * 100_000, "cannot be used"),
        (right, lines(PASS[:-1]), "not that of passed tests"),
        (right, lines([*PASS[:-1], event("fail")]), "not that of passed tests"),
        (right, lines([event("fail"), *PASS]), "not that of passed tests"),
        (right, lines([event("pass", test="T", attempt=2), *PASS]), "not that of passed tests"),
        (right, lines([StreamEvent(action="run", package="q"), *PASS]), "something else"),
        (right, lines([event("build-fail"), *PASS]), "something else"),
        (right, lines(PASS).replace(b"0.2", b"1e999"), "cannot be used"),
        (right, "it is gone", "it is gone"),
    ],
)
def test_hostile_results(two, tmp_path, evidence, events, reason):
    """What is not a complete pass of this package under this key is a miss."""
    run, _ = found(OneShelf(evidence, events), two[0], tmp_path)
    assert run.kept_result is None
    assert reason in run.not_taken
