"""Snapshots of the picture of a run, at the sizes that terminals have."""

import pytest

from envy import events
from envy.console.display import render
from envy.console.progress import DisplayState
from envy.console.styled import line_text, painted
from envy.console.text import cell_width
from envy.events import Stamped
from envy.phase import RecipePhase

MIB = 1 << 20
CLANG = 'envy.clang@r1{version="18.1.8"}'
CLANG_URL = "https://example.org/releases/clang-18.1.8-linux.tar.xz"
CMAKE_URL = "https://example.org/files/cmake-3.30.tar.gz"


def phase(recipe, step, key=None):
    return events.PhaseStart(recipe=recipe, key=key or recipe, phase=step)


def fetching(recipe, url, key=None):
    return events.LuaCtxFetchStart(recipe=recipe, key=key or recipe, url=url, destination="/d")


def received(recipe, url, mebibytes, total, key=None):
    count = int(mebibytes * MIB)
    return events.DownloadProgress(
        recipe=recipe, key=key or recipe, url=url, bytes=count, total=total * MIB
    )


def running(recipe, command):
    return events.LuaCtxRunStart(recipe=recipe, key=recipe, command=command, cwd="/d")


def busy():
    """Return the state of a sync in which everything happens at once."""
    done = [
        (1, events.RecipeComplete(recipe=name, key=name, outcome="installed", asset_path="/x"))
        for name in ("a.x@r1", "a.y@r1", "a.z@r1")
    ]
    clang = ("envy.clang@r1", CLANG_URL)
    compiled = "[3/9] cc -O2 -g -fPIC -Iinclude -o inflate.o inflate.c"
    happened = [
        (0, events.PackagesWanted(packages=20, missing=14)),
        *done,
        (2, phase("envy.clang@r1", RecipePhase.FETCH, CLANG)),
        (2, fetching(*clang, CLANG)),
        *((2 + t, received(*clang, 7.6 * t, 225, CLANG)) for t in range(1, 7)),
        (3, phase("envy.python@r1", RecipePhase.FETCH)),
        (3, fetching("envy.python@r1", "pypi:numpy")),
        (3, phase("acme.pack@r1", RecipePhase.STAGE)),
        (
            5,
            events.FilesProgress(
                recipe="acme.pack@r1",
                key="acme.pack@r1",
                action="unpacking",
                files=812,
                total=1204,
            ),
        ),
        (3, phase("local.zlib@r1", RecipePhase.BUILD)),
        (3, running("local.zlib@r1", "make -j4")),
        (
            8,
            events.OutputLine(
                recipe="local.zlib@r1", phase=RecipePhase.BUILD, stream="stdout", text_=compiled
            ),
        ),
        (3, phase("local.curl@r1", RecipePhase.BUILD)),
        (3, running("local.curl@r1", "ninja install")),
        (3, phase("envy.cmake@r1", RecipePhase.FETCH)),
        (3, fetching("envy.cmake@r1", CMAKE_URL)),
        (4, received("envy.cmake@r1", CMAKE_URL, 3, 50)),
    ]
    state = DisplayState()
    for seq, (ts, event) in enumerate(happened, 1):
        state.apply(Stamped(seq, float(ts), event))
    return state


FRAMES = {
    (80, 24): """\
3/14 · 5 waiting · 48.6 of 275 MiB · 9.1 MiB/s · ~0:25
  0:06 fetch ━━╌╌╌╌╌╌╌╌╌╌ 45.6 of 225 MiB        envy.clang@r1{version="18.1.8"}
  0:05 fetch waiting for an answer of the index  envy.python@r1
  0:05 stage ━━━━━━━━╌╌╌╌ 812 of 1,204 files     acme.pack@r1
  0:05 build [3/9] cc -O2 -g -fPIC -Iinclude…    local.zlib@r1
  0:05 build $ ninja install                     local.curl@r1
  0:05 fetch 3.0 of 50.0 MiB, no data for 4 s    envy.cmake@r1
""",
    (120, 40): """\
3/14 · 5 waiting · 48.6 of 275 MiB · 9.1 MiB/s · ~0:25
  0:06 fetch ━━╌╌╌╌╌╌╌╌╌╌ 45.6 of 225 MiB        envy.clang@r1{version="18.1.8"}  clang-18.1.8-linux.tar.xz
  0:05 fetch waiting for an answer of the index  envy.python@r1                   pypi:numpy
  0:05 stage ━━━━━━━━╌╌╌╌ 812 of 1,204 files     acme.pack@r1                     unpacking
  0:05 build                                     local.zlib@r1                    [3/9] cc -O2 -g -fPIC -Iinclude -o…
  0:05 build                                     local.curl@r1                    $ ninja install
  0:05 fetch 3.0 of 50.0 MiB, no data for 4 s    envy.cmake@r1                    cmake-3.30.tar.gz
""",  # noqa: E501
    (40, 24): """\
3/14 · 48.6 of 275 MiB · ~0:25
  0:06 45.6 of 225 MiB  envy.clang@r1
  0:05 waiting          envy.python@r1
  0:05 812 of 1,204     acme.pack@r1
  0:05 [3/9] cc -O2…    local.zlib@r1
  0:05 $ ninja install  local.curl@r1
  0:05 no data for 4 s  envy.cmake@r1
""",
    (80, 8): """\
3/14 · 5 waiting · 48.6 of 275 MiB · 9.1 MiB/s · ~0:25
  0:06 fetch ━━╌╌╌╌╌╌╌╌╌╌ 45.6 of 225 MiB        envy.clang@r1{version="18.1.8"}
  0:05 fetch waiting for an answer of the index  envy.python@r1
  0:05 stage ━━━━━━━━╌╌╌╌ 812 of 1,204 files     acme.pack@r1
  0:05 build [3/9] cc -O2 -g -fPIC -Iinclude…    local.zlib@r1
  … and 2 more: 1 build, 1 fetch
""",
}


@pytest.mark.parametrize("size", FRAMES)
def test_the_picture_at_a_size(size):
    """Numbers, names and reasons are whole at every size; only a script's output is shortened."""
    lines = [line_text(line) for line in render(busy(), 8.5, *size)]
    assert "".join(f"{line.rstrip()}\n" for line in lines) == FRAMES[size]
    assert max(map(cell_width, lines)) <= size[0]


def test_the_picture_a_little_later():
    """Without data the rate sinks, the estimate grows, and silence is told in seconds."""
    lines = [line_text(line).rstrip() for line in render(busy(), 15.0, 80, 24)]
    assert lines == [
        "3/14 · 5 waiting · 48.6 of 275 MiB · 1.5 MiB/s · ~2:30",
        '  0:13 fetch 45.6 of 225 MiB, no data for 7 s    envy.clang@r1{version="18.1.8"}',
        "  0:12 fetch waiting for an answer of the index  envy.python@r1",
        "  0:12 stage ━━━━━━━━╌╌╌╌ 812 of 1,204 files     acme.pack@r1",
        "  0:12 build [3/9] cc -O2 -g -fPIC -Iinclude…    local.zlib@r1",
        "  0:12 build no output for 12 s                  local.curl@r1",
        "  0:12 fetch 3.0 of 50.0 MiB, no data for 11 s   envy.cmake@r1",
    ]


def test_the_picture_in_colours():
    """Colours tell columns apart: time, phase, bar, name; they are absent where not wanted."""
    header, line, *_ = render(busy(), 8.5, 80, 24)
    assert painted(line, colours=True) == (
        "  \x1b[34m 0:06\x1b[0m\x1b[36m fetch\x1b[0m \x1b[32m━━\x1b[0m\x1b[2m╌╌╌╌╌╌╌╌╌╌ \x1b[0m"
        '\x1b[32m45.6 of 225 MiB\x1b[0m        \x1b[1menvy.clang@r1{version="18.1.8"}\x1b[0m'
    ).replace("  \x1b[34m ", " \x1b[34m ")
    assert "\x1b" not in painted(header, colours=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://files.example.org/x.tar", "waiting for files.example.org"),
        ("https://example.org/x", "waiting for an answer of example.org"),
        (f"https://{'x' * 60}.org/x", "waiting for an answer"),
        ("npm:left-pad", "waiting for an answer of the registry"),
        ("https://example.org/x.git", "cloning from example.org"),
        ("git@example.org:x", "cloning"),
        ("/srv/x.tar", "waiting for the file"),
    ],
)
def test_a_transfer_without_data_says_what_it_waits_for(url, reason):
    """A download that has received nothing names the server, registry or program it waits for."""
    state = DisplayState()
    for seq, event in enumerate([phase("a.b@r1", RecipePhase.FETCH), fetching("a.b@r1", url)], 1):
        state.apply(Stamped(seq, 0.0, event))
    assert f" fetch {reason} " in line_text(render(state, 1.0, 80, 24)[1])


def test_the_header_of_the_documentation():
    """Done, waiting, bytes, rate and the time left, in this order."""
    state = DisplayState()
    happened = [
        (0, events.PackagesWanted(packages=9, missing=9)),
        *(
            (0, events.RecipeComplete(recipe=n, key=n, outcome="installed", asset_path="/x"))
            for n in ("a.x@r1", "a.y@r1", "a.z@r1")
        ),
        (1, phase("a.b@r1", RecipePhase.FETCH)),
        (1, fetching("a.b@r1", CLANG_URL)),
        (4.8, received("a.b@r1", CLANG_URL, 45.5, 225)),
    ]
    for seq, (ts, event) in enumerate(happened, 1):
        state.apply(Stamped(seq, float(ts), event))
    header = line_text(render(state, 4.8, 80, 24)[0])
    assert header == "3/9 · 5 waiting · 45.5 of 225 MiB · 12 MiB/s · ~0:15"
