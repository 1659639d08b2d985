"""`envy hash`: digests of files, and comparing them with a list."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest
from test_json import SCHEMA, faults


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_digests_are_printed_and_compared(project):
    """What is printed is what --check takes; what differs, lacks or is malformed is said."""
    for name in ("a", "dir/b\nc", "dir/d"):
        project.write(name, name)
    (project.root / "dir/link").symlink_to("d")
    os.mkfifo(project.root / "dir/pipe")
    run = project.envy("hash", "a", "dir", trace=False)
    escaped = sha256("dir/b\nc")
    assert run.out == f"{sha256('a')}  a\n\\{escaped}  dir/b\\nc\n{sha256('dir/d')}  dir/d\n"
    assert "note: dir/link is left out" in run.err
    assert "note: dir/pipe is left out" in run.err
    sums = project.write("SUMS", run.out)
    assert project.envy("hash", "--check", "SUMS", trace=False).out == (
        "a: OK\ndir/b\\nc: OK\ndir/d: OK\n"
    )
    project.write("a", "other")
    (project.root / "dir/d").unlink()
    sums.write_text(f"{run.out}\nnothing\n{'0' * 64}  dir\n{'0' * 64}  dir/pipe\n")
    run = project.envy("hash", "--check", "SUMS", code=1, trace=False)
    assert run.out.splitlines() == [
        "a: FAILED",
        "dir/b\\nc: OK",
        "dir/d: FAILED to read (No such file or directory)",
        "dir: FAILED to read (Is a directory)",
        "dir/pipe: FAILED to read (is not a plain file; - reads standard input)",
    ]
    assert run.err.splitlines() == [
        "warning: SUMS: 1 line improperly formatted: 5",
        "warning: 3 listed files could not be read",
        "warning: 1 computed digest did NOT match",
    ]
    found = json.loads(project.envy("hash", "--check", "SUMS", "--json", code=1, trace=False).out)
    assert [row["state"] for row in found["files"]] == ["failed", "ok", *["unreadable"] * 3]
    assert found["malformed_lines"] == [5]
    assert list(faults(found, SCHEMA["$defs"]["hash_check"])) == []


def test_standard_input_and_mistakes(project):
    """- is standard input; a file that cannot be read does not stop the others."""
    project.write("a", "a")
    process = project.popen("hash", "-", "a", stdin=subprocess.PIPE)
    out, _ = process.communicate(b"text")
    assert out.decode() == f"{sha256('text')}  -\n{sha256('a')}  a\n"
    process = project.popen("hash", "--check", "-", stdin=subprocess.PIPE)
    out, _ = process.communicate(f"{sha256('a')}  a\n".encode())
    assert (process.returncode, out) == (0, b"a: OK\n")
    run = project.envy("hash", "none", "a", "/dev/null", code=1, trace=False)
    assert run.out == f"{sha256('a')}  a\n"
    assert "error: none: No such file or directory\n" in run.err
    assert "error: /dev/null: is not a plain file; - reads standard input\n" in run.err
    run = project.envy("hash", "a", "--algorithm", "blake3", "--json", trace=False)
    assert json.loads(run.out)["algorithm"] == "blake3"
    assert list(faults(json.loads(run.out), SCHEMA["$defs"]["hash"])) == []
    for words, code, message in (
        ((), 2, "no file is given"),
        (("--check", "a", "a"), 2, "--check takes its files from the list"),
        (("--algorithm", "crc"), 2, "'crc' is not one of"),
        (("--check", "a"), 1, "a has no line of a checksum file"),
        (("--check", "none"), 1, "none cannot be read: No such file"),
        (("--check", "/dev/zero"), 1, "/dev/zero is a device"),
    ):
        run = project.envy("hash", *words, code=code, trace=False)
        assert message in run.err
        assert run.out == ""


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_coreutils_agree(project):
    """Each checks what the other prints, whatever the bytes of a name."""
    names = [b"\xff\xfe", b"a\\b", b"\x1b[31m", b"a b", b"c\rd"]
    for name in names:
        (project.root / os.fsdecode(name)).write_bytes(name)
    arguments = [os.fsdecode(name) for name in names]
    mine = subprocess.run(
        ["sha256sum", "--", *arguments], cwd=project.root, capture_output=True, check=True
    ).stdout
    process = project.popen("hash", "--", *arguments)
    assert process.communicate()[0] == mine
    (project.root / "SUMS").write_bytes(mine)
    run = project.envy("hash", "--check", "SUMS", trace=False)
    assert run.out.count(": OK\n") == len(names)
