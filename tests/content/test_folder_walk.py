"""What is taken of a folder: patterns that leave out, links that lead elsewhere, limits."""

import os
import random
import shutil
import socket
import stat

import pytest

from envy.answers.facts import tree_digest
from envy.cache.trees import digest_tree
from envy.content import file_operations
from envy.content.folder_walk import FolderRules, NotTaken, covering, rules_of, walk


@pytest.fixture
def top(tmp_path):
    folder = tmp_path / "top"
    folder.mkdir()
    return folder


def grow(folder, *names):
    """Create files, with their name as their content, and the folders that they are in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def taken(folder, rules="", **details):
    """Return what is taken: links with their target, folders with a slash at the end."""
    return sorted(
        f"{relative} → {link}" if link else relative + "/" * stat.S_ISDIR(status.st_mode)
        for relative, _path, status, link in walk(str(folder), rules, **details)
    )


def refusal(folder, rules="", **details):
    with pytest.raises(NotTaken) as caught:
        taken(folder, rules, **details)
    return caught.value


NAMES = ("a", "b.o", ".hidden", ".cache/x.o", "build/x.o", "src/a", "src/b.o", "src/build/y", "[z]")


@pytest.mark.parametrize(
    "pattern",
    [
        *("a", "*", "**", "**/*", "*.o", "**/*.o", "build", "**/build", "src/**", "src/*", ".*"),
        *(".cache/*", "**/.cache/*.o", "[ab]*", "[[]z[]]", "none", "src/b.?", "**/src/**/y"),
    ],
)
def test_exclude_has_the_patterns_of_glob(top, pattern):
    """A path is left out if `glob` finds it, or a folder that it is in."""
    grow(top, *NAMES)
    found = {name.rstrip("/") for name in file_operations.glob(top, pattern)} - {""}
    expected = [
        name
        for name in taken(top)
        if not any(name.startswith(f"{each}/") or name.rstrip("/") == each for each in found)
    ]
    assert taken(top, rules_of(exclude=[pattern])) == expected


@pytest.mark.parametrize("where", ["", "inner/"])
@pytest.mark.parametrize("name", [".git", ".hg", ".jj", ".svn"])
def test_version_control_can_be_left_out(top, name, where):
    """Its folders are left out at any depth; files such as .gitignore and `x.git` are not."""
    grow(top, f"{where}{name}/objects", f"{where}.gitignore", f"{where}bare.git/HEAD", f"{where}a")
    left = taken(top, rules_of(history=False))
    assert [each for each in taken(top) if each not in left] == [
        f"{where}{name}/",
        f"{where}{name}/objects",
    ]


def test_a_git_file_is_version_control(top):
    """Worktrees and submodules have a file of that name."""
    grow(top, "module/.git", "module/a")
    assert taken(top, rules_of(history=False)) == ["module/", "module/a"]


@pytest.mark.parametrize("to", ["a", "inner/b", "inner/../a", "inner", ".", "nowhere", "self"])
def test_a_link_that_stays_is_a_link(top, to):
    """Links to files and folders inside, to nowhere and to themselves are taken as they are."""
    grow(top, "a", "inner/b")
    (top / "self").symlink_to(to)
    for rules in ("", rules_of(follow=True)):
        assert f"self → {to}" in taken(top, rules)


@pytest.mark.parametrize(
    "to", ["../beside", "TOP/a", "/etc/hostname", "inner/../../beside", "via/x"]
)
def test_a_link_that_leads_outside_is_refused(top, to):
    """So is an absolute link, which leads to this machine's folder from every copy."""
    grow(top.parent, "beside/x")
    grow(top, "a", "inner/b")
    (top / "link").symlink_to(to.replace("TOP", str(top)))
    if to == "via/x":
        (top / "via").symlink_to("../beside")
    error = refusal(top)
    assert "leads outside" in error.why
    assert 'exclude = { "link" }' in error.hint
    assert "follow = true" in error.hint


def test_through_outside_and_back_is_outside(top):
    """A link that leaves the folder by name and comes back would break in a copy."""
    grow(top, "a")
    (top / "link").symlink_to(f"../{top.name}/a")
    assert "leads outside" in refusal(top).why


def test_a_link_to_what_is_left_out(top):
    """It would lead nowhere in a copy: refused, or followed."""
    grow(top, ".git/HEAD", "build/x")
    (top / "link").symlink_to(".git/HEAD")
    rules = rules_of(history=False)
    assert "leads to what is left out" in refusal(top, rules).why
    assert "vcs = true" in refusal(top, rules).hint
    assert taken(top, rules_of(history=False, follow=True)) == ["build/", "build/x", "link"]
    assert taken(top, rules_of(history=False, exclude=["link"])) == ["build/", "build/x"]
    (top / "link").unlink()
    (top / "link").symlink_to("build")
    assert "vcs" not in refusal(top, rules_of(exclude=["build"])).hint


def test_followed_links_are_what_they_lead_to(top):
    """Files, folders, and links in these folders that lead on; inner links of them stay links."""
    grow(top.parent, "sdk/bin/cc", "sdk/include/a.h", "fonts/f")
    (top.parent / "sdk/lib").symlink_to("bin")
    (top.parent / "sdk/fonts").symlink_to("../fonts")
    (top / "sdk").symlink_to("../sdk")
    (top / "f").symlink_to(top.parent / "fonts/f")
    rules = rules_of(follow=True)
    expected = ["f", "sdk/", "sdk/bin/", "sdk/bin/cc", "sdk/fonts/", "sdk/fonts/f"]
    expected += ["sdk/include/", "sdk/include/a.h", "sdk/lib → bin"]
    assert taken(top, rules) == expected
    without = rules_of(follow=True, exclude=["sdk/include", "sdk/fonts/*"])
    assert "sdk/include/" not in taken(top, without)
    assert taken(top, without, start="sdk/fonts") == []
    assert taken(top, rules, start="sdk/fonts") == ["sdk/fonts/f"]


def test_followed_content_is_in_the_digest(top):
    """A change behind a link changes the digest, in a warm command as well."""
    grow(top.parent, "sdk/cc")
    (top / "sdk").symlink_to("../sdk")
    rules = rules_of(follow=True)
    before = digest_tree(top, rules)
    assert tree_digest(str(top), rules) == before
    (top.parent / "sdk/cc").write_text("changed")
    assert digest_tree(top, rules) != before
    assert tree_digest(str(top), rules) == digest_tree(top, rules)
    (top / "sdk").unlink()
    shutil.move(top.parent / "sdk", top)
    assert tree_digest(str(top), rules) == digest_tree(top, rules) == digest_tree(top)


@pytest.mark.parametrize("to", ["..", "../..", "/", ".", "TOP", "inner", "../twin"])
def test_followed_cycles_end(top, to):
    """A link to a folder that it is in, at once or by two links, is an error that names it."""
    grow(top, "inner/b")
    link = top / "inner/link" if to in {"..", "."} else top / "link"
    (top.parent / "twin").mkdir()
    (top.parent / "twin/back").symlink_to(top)
    if to in {"..", ".", "inner"}:
        link.symlink_to(to)
        assert taken(top, rules_of(follow=True))  # inside: it stays a link
        link.unlink()
        to = {"..": "TOP", ".": "TOP/inner", "inner": "TOP"}[to]
    link.symlink_to(to.replace("TOP", str(top)))
    error = refusal(top, rules_of(follow=True))
    assert "without end" in error.why
    assert "exclude" in error.hint


def test_followed_links_lead_to_a_limited_number_of_files(top):
    """Folders that link to the next one twice would double at each step."""
    for number in range(20):
        folder = top.parent / f"d{number}"
        folder.mkdir()
        for name in ("x", "y"):
            (folder / name).symlink_to(f"../d{number + 1}")
    (top.parent / "d20").mkdir()
    (top / "link").symlink_to("../d0")
    error = refusal(top, rules_of(follow=True), most=1000)
    assert "more than 1000 files and folders" in error.why
    assert 'exclude = { "link" }' in error.hint
    assert "ENVY_LIMITS=followed-files=400000" in error.hint
    grow(top, *(f"own/{number}" for number in range(20)))
    assert len(taken(top, rules_of(follow=True, exclude=["link"]), most=10)) == 21  # all its own


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "followed pipe"])
def test_what_is_no_file_is_named(top, kind, monkeypatch):
    """Pipes, sockets and devices are refused, without being opened, unless they are left out."""
    monkeypatch.chdir(top)  # the address of a socket is short
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("x")
    elif kind == "device":
        (top / "x").symlink_to("/dev/zero")
    else:
        os.mkfifo(top.parent / "x" if "followed" in kind else top / "x")
        if "followed" in kind:
            (top / "x").symlink_to("../x")
    follow = kind in {"device", "followed pipe"}
    error = refusal(top, rules_of(follow=follow))
    assert "neither a file, a directory nor a link" in error.why
    assert 'exclude = { "x" }' in error.hint
    assert taken(top, rules_of(follow=follow, exclude=["x"])) == []
    assert tree_digest(str(top), rules_of(follow=True)) == ""


def test_a_followed_link_to_nowhere(top):
    """It cannot be taken as content, and says why."""
    (top / "x").symlink_to("../nowhere")
    assert "cannot be followed: No such file" in refusal(top, rules_of(follow=True)).why


@pytest.mark.parametrize("seed", range(30))
def test_both_digests_agree(tmp_path, seed):
    """A warm command computes the same digest of what is taken as a full run, or none for none."""
    rng = random.Random(seed)
    folders = [tmp_path / "top", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    for _ in range(25):
        path = rng.choice(folders) / rng.choice(["a", "b", ".git", ".h", "c.o"])
        if os.path.lexists(path):
            continue
        match rng.randrange(3):
            case 0:
                path.write_bytes(rng.randbytes(10))
            case 1:
                path.mkdir()
                folders.append(path)
            case _:
                path.symlink_to(rng.choice(["a", "../b", "../other", ".git", "../top/a", "."]))
    exclude = rng.sample(["**/*.o", "a", "*/b", "**/.h"], rng.randrange(3))
    rules = rules_of(exclude=exclude, follow=rng.random() < 0.7, history=rng.random() < 0.5)
    try:
        expected = digest_tree(tmp_path / "top", rules)
    except NotTaken:
        expected = ""
    if rules:
        assert tree_digest(str(tmp_path / "top"), rules) == expected


def test_the_nearest_folder_covers_a_path():
    """What one folder leaves out, another may take."""
    folders = {"/r/v": rules_of(exclude=["build", "x/y"]), "/r/v/build/keep": "", "/r/f": ""}
    assert covering(folders, "/r/v") == ("/r/v", folders["/r/v"])
    assert covering(folders, "/r/v/a/b") == ("/r/v", folders["/r/v"])
    assert covering(folders, "/r/v/build/x") is None
    assert covering(folders, "/r/v/x/y/z") is None
    assert covering(folders, "/r/v/build/keep/x") == ("/r/v/build/keep", "")
    assert covering(folders, "/r/f") == ("/r/f", "")
    assert covering(folders, "/r/other") is None


def test_rules_as_text():
    """No rules are an empty text; equal patterns have equal text."""
    assert rules_of() == ""
    assert rules_of(exclude=["./a//b/"]) == rules_of(exclude=["a/b"])
    assert FolderRules(rules_of(follow=True)).follow
    assert not FolderRules(rules_of(history=False)).follow
