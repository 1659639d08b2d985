"""The pipe of tokens, with real FIFOs and real processes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from left_open import nothing_left_open

from envy.jobserver.makeflags import OuterJobserver
from envy.jobserver.tokens import join_pipe, make_pipe


@pytest.fixture
def pipe(tmp_path):
    made = make_pipe(tmp_path / "fifos", "one")
    yield made
    made.close()


def test_tokens_are_taken_and_put(pipe):
    """A token that is put can be taken once, and taking never blocks."""
    pipe.put(b"+x")
    assert pipe.count() == 2
    assert (pipe.take(), pipe.take(), pipe.take()) == (b"+", b"x", b"")
    assert pipe.count() == 0


def test_a_tool_that_changes_its_descriptor_changes_no_other(pipe):
    """A tool that makes its end non-blocking, as make 4.3 does, changes no other end."""
    one, other = pipe.open_for_tool(), pipe.open_for_tool()
    os.set_blocking(one[0], False)
    assert os.get_blocking(other[0])
    assert not os.get_blocking(pipe.reading)
    for descriptor in (*one, *other):
        os.close(descriptor)


def test_descriptors_for_tools_are_out_of_the_way_of_scripts(pipe):
    """Scripts of autoconf use 3 to 9, so that descriptors start at 100."""
    pair = pipe.open_for_tool()
    assert min(pair) >= 100
    assert not any(map(os.get_inheritable, pair))
    for descriptor in pair:
        os.close(descriptor)


def test_a_low_limit_of_open_files_is_not_an_error(tmp_path):
    """If no descriptor can be 100 or more, a lower one is used."""
    script = f"""
import os, resource
from pathlib import Path
from envy.jobserver.tokens import make_pipe
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
pipe = make_pipe(Path({str(tmp_path)!r}), "one")
print(max(pipe.open_for_tool()) < 64)
pipe.close()
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert said.stdout == b"True\n"


def test_a_closed_pipe_is_removed(tmp_path):
    """The FIFO has no name any more, and no descriptor is open."""
    with nothing_left_open():
        pipe = make_pipe(tmp_path, "one")
        pipe.close()
    assert list(tmp_path.iterdir()) == []


def test_fifos_of_dead_processes_are_removed(tmp_path):
    """A new FIFO removes that of a killed process, and keeps those in use."""
    living = make_pipe(tmp_path, "living")
    killed = f"""
import os, signal
from pathlib import Path
from envy.jobserver.tokens import make_pipe
make_pipe(Path({str(tmp_path)!r}), "dead")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead", "living"]
    make_pipe(tmp_path, "next").close()
    assert [path.name for path in tmp_path.iterdir()] == ["living"]
    living.close()


def test_a_recent_temporary_fifo_is_kept_and_an_old_one_removed(tmp_path):
    """A FIFO that is not open yet looks dead, so that it is removed after an hour only."""
    for name in ("young.new", "old.new"):
        os.mkfifo(tmp_path / name)
    os.utime(tmp_path / "old.new", (0, 0))
    make_pipe(tmp_path, "one").close()
    assert [path.name for path in tmp_path.iterdir()] == ["young.new"]


def test_many_pipes_can_be_created_at_once(tmp_path):
    """Twenty threads that create and close pipes never remove that of another."""
    trouble = []

    def work(number):
        try:
            for turn in range(20):
                pipe = make_pipe(tmp_path, f"{number}-{turn}")
                assert Path(pipe.fifo).is_fifo()
                pipe.close()
                assert not Path(pipe.fifo).exists()
        except BaseException as error:  # noqa: BLE001
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    """The error names the path, and nothing is left."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make_pipe(tmp_path / "file", "one")


# -- an outer jobserver ----------------------------------------------------------------------------

JOIN = """
import sys
from envy.jobserver.makeflags import OuterJobserver
from envy.jobserver.tokens import join_pipe
pipe = join_pipe(OuterJobserver(descriptors=(int(sys.argv[1]), int(sys.argv[2]))))
if pipe is None:
    print("none")
else:
    token = pipe.take()
    print(token, pipe.take())
    pipe.put(token)
    print(pipe.count(), len(set(pipe.open_for_tool())))
    pipe.close()
"""


def join(*pair, inherited=()):
    said = subprocess.run(
        [sys.executable, "-c", JOIN, *map(str, pair)],
        pass_fds=inherited,
        capture_output=True,
        check=True,
    )
    return said.stdout.decode()


@pytest.fixture
def outer():
    pair = os.pipe()
    os.write(pair[1], b"t")
    yield pair
    for descriptor in pair:
        os.close(descriptor)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_inherited_descriptors_are_joined(outer):
    """Tokens are taken and returned unchanged, and tools inherit the ends."""
    assert join(*outer, inherited=outer) == "b't' b''\n1 2\n"
    assert os.get_blocking(outer[0])


def test_closed_descriptors_are_not_joined(outer):
    """A make that does not know that envy takes part closes them, and still names them."""
    assert join(*outer) == "none\n"


def test_descriptors_of_other_files_are_not_joined(outer, tmp_path):
    """A file, or swapped ends of a pipe, is not a jobserver."""
    with (tmp_path / "file").open("w+") as file:
        number = file.fileno()
        assert join(number, number, inherited=(number,)) == "none\n"
    assert join(outer[1], outer[0], inherited=outer) == "none\n"


def test_descriptors_of_envy_itself_are_not_joined(outer):
    """A closed number may by now belong to a pipe of this process."""
    assert join_pipe(OuterJobserver(descriptors=outer)) is None


def test_a_fifo_is_joined_by_its_name(pipe):
    """Closing a joined FIFO does not remove it."""
    pipe.put(b"+")
    other = join_pipe(OuterJobserver(fifo=pipe.fifo))
    assert other.take() == b"+"
    other.close()
    assert Path(pipe.fifo).is_fifo()


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_path_that_is_not_a_fifo_is_not_joined(tmp_path, kind):
    """A missing FIFO is ignored, and a file of that name is not written to."""
    path = tmp_path / "it"
    if kind == "file":
        path.write_text("x")
    assert join_pipe(OuterJobserver(fifo=str(path))) is None
    assert not path.exists() or path.read_text() == "x"


def test_impossible_numbers_are_not_joined():
    """MAKEFLAGS may contain any text."""
    assert join_pipe(OuterJobserver(descriptors=(10**12, 10**12))) is None
