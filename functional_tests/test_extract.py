"""`envy extract`: archives that are unpacked by hand."""

import json
import os
import signal

import pytest
from archives import COMPRESSIONS, make_archive, make_tar
from project import tree
from test_json import SCHEMA, faults

FILES = {"tool-1/bin/tool*": "run", "tool-1/README": "read", "tool-1/link": "-> README"}


def test_archives_are_unpacked(project):
    """The number of files is printed; nothing that is there is overwritten unless asked."""
    for name in ("t.tar.zst", "t.zip"):
        project.write(name, make_archive(name, FILES))
    run = project.envy("extract", "t.tar.zst", trace=False)
    assert run.out == f"extracted 3 files to {project.root}\n"
    assert (project.root / "tool-1/bin/tool").read_text() == "run"
    assert os.access(project.root / "tool-1/bin/tool", os.X_OK)
    run = project.envy("extract", "t.zip", "to/there", "--strip", "1", trace=False)
    assert run.out == "extracted 3 files to to/there\n"
    assert tree(project.root / "to/there") == {
        "bin/tool": "run",
        "README": "read",
        "link": "-> README",
    }
    (project.root / "to/there/README").write_text("mine")
    before = tree(project.root / "to/there")
    run = project.envy("extract", "t.zip", "to/there", "--strip", "1", code=1, trace=False)
    assert "has files of the same names already: README, bin/tool, link" in run.err
    assert tree(project.root / "to/there") == before
    words = ("extract", "t.zip", "to/there", "--strip", "1", "--force", "--json")
    document = json.loads(project.envy(*words, trace=False).out)
    assert document == {"path": f"{project.root}/to/there", "files": 3}
    assert list(faults(document, SCHEMA["$defs"]["extract"])) == []
    assert (project.root / "to/there/README").read_text() == "read"
    project.write("one.txt.gz", COMPRESSIONS["gz"](b"one"))
    assert (
        project.envy("extract", "one.txt.gz", "to", trace=False).out == "extracted 1 file to to\n"
    )
    assert (project.root / "to/one.txt").read_text() == "one"


def test_archives_are_listed(project):
    """Names alone, or with everything that the archive says; nothing is unpacked."""
    project.write("t.tar", make_tar({**FILES, "a\nb": "", "/etc/x": ""}))
    run = project.envy("extract", "--list", "t.tar", trace=False)
    assert run.out.splitlines() == [
        "tool-1/bin/tool",
        "tool-1/README",
        "tool-1/link",
        "a\\nb",
        "/etc/x",
    ]
    run = project.envy("extract", "--list", "t.tar", "--strip", "1", "--json", trace=False)
    rows = json.loads(run.out)
    assert [row["name"] for row in rows] == ["bin/tool", "README", "link", "x"]
    assert rows[2]["target"] == "README"
    assert list(faults(rows, SCHEMA["$defs"]["extract_list"])) == []
    assert [path.name for path in project.root.iterdir()] == ["t.tar"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(project, number):
    """What was unpacked so far is removed."""
    files = {f"{index // 500}/{index}": "x" for index in range(6000)}
    project.write("t.tar", make_tar(files))
    process = project.popen("extract", "t.tar", "out")
    while not list(project.root.glob("out.*.new")) and process.poll() is None:
        pass
    process.send_signal(number)
    process.communicate(timeout=300)
    left = {path.name for path in project.root.iterdir()}
    if "out" in left:  # it was faster than the signal
        assert len([*project.root.glob("out/*/*")]) == len(files)
    assert left - {"out"} == {"t.tar"}


def test_mistakes_leave_nothing(project):
    """What is wrong is said, and no part of the archive stays."""
    project.write("out.tar", make_tar({"a": "x", "l": "-> ..", "l/x": "x"}))
    project.write("up.tar", make_tar({"a": "x", "../x": "x"}))
    project.write("cut.tar.gz", make_archive("cut.tar.gz", {"a": "123456789"})[:-9])
    project.write("text.zip", "text")
    project.write("one.gz", COMPRESSIONS["gz"](b"one"))
    project.write("deep.zip", make_archive("deep.zip", {"a": "x"}))
    os.mkfifo(project.root / "pipe")
    (project.root / "file").write_text("mine")
    before = sorted(project.root.iterdir())
    for words, code, message in (
        (("none.tar",), 1, "none.tar cannot be read: No such file"),
        (("pipe",), 1, "pipe is not a plain file"),
        ((".",), 1, ". is not a plain file"),
        (("out.tar",), 1, "leads outside"),
        (("up.tar", "new"), 1, 'contains ".."'),
        (("cut.tar.gz", "new"), 1, "cut.tar.gz is damaged"),
        (("text.zip", "new"), 1, "text.zip is not an archive that envy unpacks"),
        (("deep.zip", "new", "--strip", "3"), 1, "is left with strip = 3"),
        (("deep.zip", "file"), 1, "file exists already"),
        (("deep.zip", "file/x"), 1, "file is not a folder"),
        (("one.gz", "new", "--strip", "1"), 2, "single compressed file"),
        (("--list", "deep.zip", "new"), 2, "--list unpacks nothing"),
        (("--list", "text.zip"), 1, "is not an archive"),
    ):
        run = project.envy("extract", *words, code=code, trace=False)
        assert message in run.err, run.err
        assert "Traceback" not in run.err
        assert run.out == ""
        assert sorted(project.root.iterdir()) == before
    assert (project.root / "file").read_text() == "mine"
