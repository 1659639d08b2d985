"""Tells `envy test` what pytest does: a plugin that runs in the project's Python, 3.8 or later.

Events are lines of JSON on the descriptor in ENVY_TEST_EVENTS. envy copies this module to a folder
of its own, which is on PYTHONPATH only until pytest has loaded it.
"""

import json
import os
import sys

import pytest

_LARGEST_TEXT = 1 << 20


class Events:
    """Writes events; without the variable, in a worker of xdist, to nowhere."""

    def __init__(self):
        given = os.environ.pop("ENVY_TEST_EVENTS", "")
        descriptor, _, self._nonce = given.partition(":")
        self.descriptor = int(descriptor) if descriptor.isdigit() else -1
        self._pid = os.getpid()
        if self.descriptor >= 0:
            os.set_inheritable(self.descriptor, False)

    def tell(self, event, **fields):
        """Write one event; a child that a test has forked writes none."""
        if self.descriptor < 0 or os.getpid() != self._pid:
            return
        fields["event"] = event
        fields["nonce"] = self._nonce
        # What a test has written there by itself is a line of its own, and no event.
        data = ("\n" + json.dumps(fields) + "\n").encode("ascii")
        while data:
            try:
                data = data[os.write(self.descriptor, data) :]
            except OSError:
                # A test has closed the descriptor: it and what follows it is not known.
                self.descriptor = -1
                return


def _leave_path():
    """Remove the folder of this module from PYTHONPATH, so that children do not have it."""
    own = os.path.dirname(os.path.abspath(__file__))
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    left = [entry for entry in entries if entry != own]
    if left and left != [""]:
        os.environ["PYTHONPATH"] = os.pathsep.join(left)
    else:
        os.environ.pop("PYTHONPATH", None)


_events = Events()
_leave_path()
_selected_in = os.environ.get("ENVY_TEST_SELECTION", "")  # workers of xdist read it, too
_states = {}


def pytest_configure(config):
    """Tell how pytest is set up."""
    root = getattr(config, "rootpath", None) or config.rootdir
    ini = getattr(config, "inipath", None) or getattr(config, "inifile", None)
    _events.tell(
        "config",
        root=str(root),
        ini=str(ini or ""),
        capture=str(config.getoption("capture", "fd")),
        version=sys.version.split()[0],
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Keep the tests that envy has selected."""
    if not _selected_in:
        return
    with open(_selected_in, encoding="utf-8") as file:
        wanted = set(json.load(file))
    kept = [item for item in items if item.nodeid in wanted]
    dropped = [item for item in items if item.nodeid not in wanted]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_collection_finish(session):
    """Tell the tests, in the order in which they will run."""
    if _events.descriptor >= 0 and session.config.getoption("collectonly", False):
        for item in session.items:
            _events.tell("item", id=item.nodeid)
        _events.tell("places", **_places())


def _places():
    """Return where this Python and what it has imported lie."""
    own = os.path.dirname(os.path.abspath(__file__))
    modules, folders = [], []
    for module in list(sys.modules.values()):
        try:
            known = vars(module)  # a lazy module may raise for what it does not have
            file, parts = known.get("__file__"), list(known.get("__path__") or ())
        except Exception:
            continue
        if isinstance(file, str):
            modules.append(os.path.abspath(file))
        else:  # a namespace package
            folders += [os.path.abspath(part) for part in parts if isinstance(part, str)]
    path = [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]
    return {
        "executable": sys.executable or "",
        "prefix": sys.prefix,
        "base": sys.base_prefix,
        "path": [entry for entry in path if entry != own],
        "modules": [
            file for file in modules if os.path.dirname(file) != own and not _is_installed(file)
        ],
        "namespaces": [folder for folder in folders if not _is_installed(folder + os.sep)],
    }


def _is_installed(path):
    """Return whether a path is of the standard library, or of a distribution."""
    parts = path.split(os.sep)
    libraries = (os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_prefix, "lib64"))
    return (
        "site-packages" in parts
        or "dist-packages" in parts
        or any(path.startswith(os.path.join(one, "python")) for one in libraries)
    )


def pytest_collectreport(report):
    """Tell what could not be collected, and which files are skipped as a whole."""
    if report.failed:
        _events.tell("collect-error", id=report.nodeid, text=_text_of(report))
    elif report.skipped:
        _events.tell("collect-skip", id=report.nodeid, text=_reason_of(report))


def pytest_runtest_logstart(nodeid, location):
    """Tell that a test starts."""
    _states[nodeid] = ["pass", 0.0, ""]
    _events.tell("start", id=nodeid)


def pytest_runtest_logreport(report):
    """Take one of the three parts of a test, or a subtest."""
    state = _states.setdefault(report.nodeid, ["pass", 0.0, ""])
    if hasattr(report, "context") and hasattr(report, "sub_test_description"):
        _tell_subtest(report, state)
        return
    state[1] += getattr(report, "duration", 0.0)
    if report.outcome == "rerun":
        state[0], state[2] = "pass", ""
        _events.tell("output", id=report.nodeid, text=_text_of(report) + "\nrun again\n")
        return
    xfail = getattr(report, "wasxfail", None)
    text = ""
    if report.failed:
        state[0] = "fail"
        state[2] = "" if report.when == "call" else "%s failed" % report.when
        text = _text_of(report)
    elif report.skipped and state[0] == "pass":
        state[0] = "skip"
        text = "expected to fail: %s" % xfail if xfail is not None else _reason_of(report)
    elif xfail is not None and report.when == "call":
        text = "passed, although it was expected to fail: %s" % xfail
    if report.when == "teardown" and state[0] != "fail":
        text = "\n".join([text, _sections_of(report)]).strip("\n")
    if text:
        _events.tell("output", id=report.nodeid, text=text[:_LARGEST_TEXT] + "\n")
    if report.when not in ("setup", "call", "teardown"):  # a worker of xdist has crashed
        state[2] = "crashed"
        pytest_runtest_logfinish(report.nodeid, None)


def pytest_runtest_logfinish(nodeid, location):
    """Tell the end of a test."""
    outcome, seconds, reason = _states.pop(nodeid, ["fail", 0.0, "no result"])
    _events.tell("end", id=nodeid, outcome=outcome, seconds=seconds, reason=reason)


def _tell_subtest(report, state):
    outcome = "fail" if report.failed else "skip" if report.skipped else "pass"
    text = _text_of(report) if report.failed else _reason_of(report) if report.skipped else ""
    # A test with a failed subtest has failed, although pytest itself counts it as passed.
    if report.failed:
        state[0] = "fail"
    _events.tell(
        "subtest",
        id=report.nodeid,
        name=report.sub_test_description(),
        outcome=outcome,
        seconds=getattr(report, "duration", 0.0),
        text=text[:_LARGEST_TEXT],
    )


def pytest_sessionfinish(session, exitstatus):
    """Tell that pytest has come to its end."""
    _events.tell("done", status=int(exitstatus))


def pytest_internalerror(excrepr):
    """Tell an error of pytest or of a plugin."""
    _events.tell("internal-error", text=str(excrepr)[:_LARGEST_TEXT])


def _text_of(report):
    """Return the traceback of a report and what was captured."""
    try:
        text = report.longreprtext
    except Exception:
        text = str(getattr(report, "longrepr", ""))
    return "\n".join([text, _sections_of(report)]).strip("\n")


def _sections_of(report):
    """Return what was captured while a test ran."""
    text = ""
    for title, content in getattr(report, "sections", ()):
        if content:
            text += "%s\n%s\n" % ((" %s " % title).center(60, "-"), content.rstrip("\n"))
    return text


def _reason_of(report):
    """Return why a test was skipped."""
    found = getattr(report, "longrepr", "")
    if isinstance(found, tuple) and len(found) == 3:
        return "%s:%s: %s" % (found[0], found[1], str(found[2]).replace("Skipped: ", "", 1))
    return str(found)
