"""A folder served over HTTP by `file_server`, in a process of its own."""

import contextlib
import subprocess
import sys
from pathlib import Path


@contextlib.contextmanager
def served(folder):
    """Serve a folder; yield its address."""
    serving = [sys.executable, Path(__file__).with_name("file_server.py"), folder]
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()
