"""The pieces of envy's work that are measured alone, as a program: work.py WHAT ARGUMENTS…"""

import functools
import shutil
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def extract(archive, dest):
    """Extract with envy."""
    from envy.content.archive import extract as unpack

    Path(dest).mkdir()
    unpack(Path(archive), Path(dest))


def publish_archive(archive, root):
    """Unpack an archive or a wheel into an entry of a new cache, and publish it."""
    from envy.cache.fingerprint import search_roots
    from envy.cache.layout import CacheLayout
    from envy.cache.write import begin_attempt, publish
    from envy.content.archive import extract_below
    from envy.content.below_root import open_below
    from envy.content.extraction import judge_links
    from envy.content.written_digests import WrittenDigests
    from envy.transport.wheel import lay_out_wheel_below

    key = "0123456789abcdef" + "0" * 48
    entry = CacheLayout(Path(root)).entry("local.big@r1", "linux-x86_64", key)
    attempt = begin_attempt(entry, key)
    written = WrittenDigests(search_roots(entry.root, ()))
    with open_below(entry.asset_dir) as below:
        below.digests = written
        below.is_final = True
        unpack = lay_out_wheel_below if archive.endswith(".whl") else extract_below
        unpack(Path(archive), below, ())
        judge_links(below)
    publish(attempt, "{}", written=written)


def fetch_and_publish(source, root):
    """Fetch an archive, unpack it into an entry of a new cache, and publish it."""
    fetch(f"{root}-fetched", source)
    name = source.rpartition("/")[2]
    publish_archive(f"{root}-fetched/0/{name}", root)
    shutil.rmtree(f"{root}-fetched")


def extract_by_library(archive, dest):
    """Extract with Python's library and its safe filter; before 3.14 it does not support zstd."""
    if archive.endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            file.extractall(dest)
    else:
        with tarfile.open(archive) as file:
            file.extractall(dest, filter="data")


def fetch(into, *sources):
    """Fetch with envy, one after the other."""
    sys.path.insert(0, str(TESTS))
    from loopback.programs import Recorder

    from envy.declarations.sources import SourceItem
    from envy.transport import fetch_source

    context = Recorder().context()
    for number, source in enumerate(sources):
        item = SourceItem(source=source, base_dir=Path("/"), ref="main" if ".git" in source else "")
        fetch_source(item, Path(into) / str(number), context)


def fetch_together(into, *sources):
    """Fetch with envy, eight at a time."""
    sys.path.insert(0, str(TESTS))
    from loopback.programs import Recorder

    from envy.declarations.sources import SourceItem
    from envy.transport import fetch_all

    items = [SourceItem(source=source, base_dir=Path("/")) for source in sources]
    fetch_all(items, Path(into), Recorder().context(), parallel=8)


def fetch_by_urllib3(into, *sources):
    """Fetch with urllib3, eight at a time, and do only what must be: hash, write and rename."""
    import hashlib
    import os
    from concurrent.futures import ThreadPoolExecutor

    import urllib3

    pools = urllib3.PoolManager(maxsize=64)
    Path(into).mkdir()

    def fetch(source):
        path, digest = f"{into}/{source.rpartition('/')[2]}", hashlib.sha256()
        answer = pools.request("GET", source, preload_content=False, decode_content=False)
        with open(f"{path}.new", "wb") as file:  # noqa: PTH123 - as little as possible
            while data := answer.read1(1 << 19, decode_content=False):
                digest.update(data)
                file.write(data)
        os.replace(f"{path}.new", path)  # noqa: PTH105

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fetch, sources))


def fetch_by_sockets(into, *sources, hashed=True):
    """Do the least that fetching can be in Python: send, receive, hash, write and rename.

    Eight threads have a connection each, and believe whatever the server says.
    """
    import hashlib
    import os
    import socket
    import threading

    Path(into).mkdir()
    pending = list(reversed(sources))

    def work():
        connection, buffer = None, bytearray(1 << 19)
        view = memoryview(buffer)
        while pending:
            try:
                source = pending.pop()
            except IndexError:
                return
            host, _, name = source.removeprefix("http://").partition("/")
            if connection is None:
                address, _, port = host.partition(":")
                connection = socket.create_connection((address, int(port)))
            connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            count = connection.recv_into(buffer)
            begin = buffer.index(b"\r\n\r\n") + 4
            at = buffer.index(b"Content-Length: ") + 16
            left = int(buffer[at : buffer.index(b"\r", at)]) - (count - begin)
            digest, path = hashlib.sha256(), f"{into}/{name.rpartition('/')[2]}"
            file = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            while True:
                if hashed:
                    digest.update(view[begin:count])
                os.write(file, view[begin:count])
                if not left:
                    break
                begin, count = 0, connection.recv_into(buffer)
                left -= count
            os.close(file)
            os.replace(f"{path}.new", path)  # noqa: PTH105

    threads = [threading.Thread(target=work) for _ in range(min(8, len(sources)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fetch_by_library(into, *sources):
    """Fetch with Python's library."""
    Path(into).mkdir()
    for number, source in enumerate(sources):
        with urllib.request.urlopen(source) as answer, (Path(into) / str(number)).open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)


def digest(top):
    """Compute the BLAKE3 digest of a tree, as for the inputs of a recipe."""
    from envy.cache.trees import digest_tree

    digest_tree(top)


def digest_by_library(top):
    """Compute BLAKE3 of each file, and nothing else."""
    from blake3 import blake3

    for path in sorted(Path(top).rglob("*")):
        if path.is_file():
            hasher = blake3()
            with path.open("rb", buffering=0) as file:
                while chunk := file.read(1 << 20):
                    hasher.update(chunk)


WORK = {
    "extract": extract,
    "publish-archive": publish_archive,
    "fetch-and-publish": fetch_and_publish,
    "extract-by-library": extract_by_library,
    "fetch": fetch,
    "fetch-together": fetch_together,
    "fetch-by-library": fetch_by_library,
    "fetch-by-sockets": fetch_by_sockets,
    "fetch-by-sockets-unhashed": functools.partial(fetch_by_sockets, hashed=False),
    "fetch-by-urllib3": fetch_by_urllib3,
    "digest": digest,
    "digest-by-library": digest_by_library,
}

if __name__ == "__main__":
    WORK[sys.argv[1]](*sys.argv[2:])
