"""Every parser of bytes that others wrote ends with a result or an error, in bounds.

80 cases for each here; ENVY_SOAK_PARSERS says how many, ENVY_SOAK_SEED from which seed on.
"""

import bz2
import contextlib
import functools
import gzip
import io
import json
import lzma
import os
import random
import re
import socket
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from exported_members import exported_members
from hostile_bytes import TEXTS, document, mutated, problems_of
from loopback.programs import Recorder

from envy.answers.evidence import Evidence
from envy.answers.read import answer_path, load_answer
from envy.answers.stored_evidence import decode_evidence, encode_evidence, still_holds
from envy.answers.write import basis_of
from envy.cache.durations import Durations
from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import changes, format_key_record, parse_key_record
from envy.cache.export_file import write_export_file
from envy.cache.export_import import import_export_file
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.lease import leased_names
from envy.cache.lock import FileLock
from envy.cache.names import FINGERPRINT, INGREDIENTS, MARKER
from envy.cache.read import lookup
from envy.cache.relocate import relocate
from envy.cache.usage import UseSet, read_uses, record_use
from envy.cache.verify import parse_fingerprint, verify
from envy.cache.write import begin_attempt, publish
from envy.content.archive import decompress_file, extract, is_archive
from envy.content.json_text import parse_json
from envy.declarations.sources import SourceItem
from envy.errors import EnvyError, FetchError
from envy.host.platform import Platform
from envy.testing.results import LastRun
from envy.transport import fetch_source
from envy.transport.addresses import check_named, joined, redacted, with_credentials_of
from envy.transport.aws_settings import aws_access
from envy.transport.git_submodules import check_address
from envy.transport.index_page import parse_html_page, parse_json_page
from envy.transport.npm_configuration import parse_npmrc
from envy.transport.npm_shrinkwrap import is_for, pinned_packages
from envy.transport.npm_tarball import integrity_of
from envy.transport.oci_token import registry_authorization
from envy.transport.pip_configuration import parse_pip_settings
from envy.transport.wheel import lay_out_wheel
from envy.transport.wheel_choice import WheelRequest, choose_sdist, choose_wheel, versions_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CASES = int(os.environ.get("ENVY_SOAK_PARSERS", "80"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "0"))
BASE = "https://index.example/simple/tool/"
GN = Ingredients(identity="local.gn@r0")
KEY = entry_key(GN)


def run(case):
    """Run a case with every seed of this run."""
    problems = problems_of(case, range(SEED, SEED + CASES))
    assert not problems, f"{len(problems)} seeds, the first {min(problems)}:\n" + next(
        iter(problems.values())
    )


# --- registries -------------------------------------------------------------------------------

HTML = b"""<!DOCTYPE html><html><head><base href="../files/"></head><body>
<a href="tool-1.0-py3-none-any.whl#sha256=abcd" data-yanked="why">x</a><!-- no -->
<a href='https://h/x/tool-1.0.tar.gz'>tool</a><script>no</script></body></html>"""
ROW = {
    "filename": "tool-1.0-py3-none-any.whl",
    "url": "../../files/tool-1.0-py3-none-any.whl",
    "hashes": {"sha256": "0" * 64, "md5": "x"},
    "yanked": False,
}
PAGE = {"meta": {"api-version": "1.0"}, "name": "tool", "files": [ROW, ROW | {"yanked": "why"}]}
DIST = {"tarball": "https://h/tool/-/tool-1.0.0.tgz", "integrity": "sha512-AAAA", "shasum": "00"}
NPM = {"name": "tool", "versions": {"1.0.0": {"dist": DIST, "deprecated": "why"}, "2.0.0": {}}}


def chosen(files):
    """What a fetch does with the files of a page."""
    from packaging.version import Version

    request = WheelRequest(name="tool", version=Version("1.0"))
    for choose in (choose_wheel, choose_sdist):
        file = choose(request, files)
        if file is not None:
            check_named(file.url, by=file.page, is_pinned=bool(file.digest))
    versions_of("tool", files)
    for file in files:
        with_credentials_of("https://u:p@index.example/", file.url)


def test_pages_of_a_package_index():
    """Pages in JSON and in HTML, and the files that they name."""

    def case(seed, _folder):
        chance = random.Random(seed)
        if seed % 2:
            chosen(parse_json_page(document(chance, PAGE), BASE))
        else:
            chosen(parse_html_page(mutated(chance, HTML), BASE))

    run(case)


def test_addresses():
    """Addresses that a page, a redirect or a repository names."""

    def case(seed, _folder):
        chance = random.Random(seed)
        start = chance.choice(("https://u:p@h:80/x?a=b#c", "git@h:x/y.git", "../x", "ext::sh -c x"))
        text = mutated(chance, start.encode()).decode("utf-8", "surrogateescape")
        for address in (text, chance.choice(TEXTS) + text, chance.choice(TEXTS)):
            redacted(address)
            joined(BASE, address)
            for check in (check_named, check_address):
                try:
                    check(address, by=BASE)
                except FetchError as error:
                    str(error)

    run(case)


def test_configuration_of_pip_and_npm():
    """What pip and npm print and read."""
    pip = b"global.index-url='https://u:p@h/simple'\nglobal.cert='/x'\nenv_var:\n"
    npm = b"registry=https://h/\n@scope:registry=https://h/\n//h/:_authToken=${TOKEN}\n"

    def case(seed, _folder):
        chance = random.Random(seed)
        parse_pip_settings(mutated(chance, pip).decode("utf-8", "replace"))
        parse_npmrc(mutated(chance, npm).decode("utf-8", "replace"), {"TOKEN": "x"})

    run(case)


PINNED = {"version": "npm:x@1.0.0", "integrity": "sha512-AAAA", "os": ["!x"], "bin": {"x": "y"}}
PINNED_IN = {"node_modules/@s/x": PINNED, "node_modules/x/node_modules/y": PINNED | {"dev": True}}
NESTED = {"dependencies": {"x": PINNED | {"dependencies": {"y": PINNED}}}}


def test_pins_of_a_release():
    """What a release of npm says that it needs, in both forms."""
    platform = Platform(os="linux", arch="x86_64", libc="gnu")

    def case(seed, _folder):
        chance = random.Random(seed)
        text = document(chance, NESTED if seed % 2 else {"packages": PINNED_IN})
        try:
            found = parse_json(text)
        except ValueError:
            return
        for package in pinned_packages(found, uri="npm:x@1.0.0"):
            assert ".." not in package.path.split("/")
            is_for(package, platform)
            integrity_of({"integrity": package.integrity}, "p", by="x")

    run(case)


def test_credentials_for_stores(tmp_path):
    """The files of the AWS tools and of Docker, and what a registry answers."""
    files = {
        "AWS_CONFIG_FILE": b"[default]\nregion = x\n[profile a]\nrole_arn=y\ns3 =\n  a = b\n",
        "AWS_SHARED_CREDENTIALS_FILE": b"[default]\naws_access_key_id=A\naws_secret_access_key=B\n",
        "REGISTRY_AUTH_FILE": b'{"auths": {"h:5000": {"auth": "bWU6cHc="}, "x": {}}}',
    }
    item = SourceItem(source="s3://bucket/key", base_dir=tmp_path)

    def case(seed, folder):
        chance = random.Random(seed)
        environment = {name: str(folder / name) for name in files}
        for name, content in files.items():
            (folder / name).write_bytes(mutated(chance, content))
        context = Recorder().context(environment)
        with contextlib.suppress(EnvyError):
            aws_access(item, context)
        for challenge in ('Bearer realm="https://h/",scope=x', "Basic"):
            text = mutated(chance, challenge.encode()).decode("latin-1")
            offline = replace(context, offline=True)
            with contextlib.suppress(EnvyError):
                registry_authorization(text, "https://h:5000/v2/a", "oci:x", offline)

    run(case)


# --- HTTP -------------------------------------------------------------------------------------

BODY = b"content of the file\n" * 20
HEADERS = (
    *("Content-Length: 400", "Content-Type: application/json", 'ETag: "x"', 'ETag: W/"x"'),
    *("Content-Range: bytes 0-399/400", "Content-Range: bytes 9999999999999999999999-/*"),
    *("Accept-Ranges: bytes", "Location: /next", "Location: file:///etc/passwd", "Location: //["),
    *("Location: http://127.0.0.1:99999/", "Retry-After: 0", "Retry-After: " + "9" * 6000),
    *("Retry-After: Fri, 31 Dec 99999 23:59:59 GMT", "Content-Encoding: gzip", "Set-Cookie: a=b"),
    *("Content-Encoding: zstd, gzip", "Content-Encoding: deflate", "Content-Length: -5"),
    *("Transfer-Encoding: chunked", "Content-Length: 99999999999999999999", "Connection: close"),
    *("X-Long: " + "a" * 70_000, ": none", "Last-Modified: \xff", "no colon"),
)
STATUSES = (200, 200, 200, 206, 301, 302, 304, 307, 401, 404, 416, 429, 503, 99, 1000, 204)


def answer(chance, body):
    """Bytes that a server may send: a response, or nearly one."""
    lines = [f"HTTP/1.{chance.choice('01')} {chance.choice(STATUSES)} {chance.choice(TEXTS[:3])}"]
    lines += chance.sample(HEADERS, chance.randint(0, 5))
    if chance.random() < 0.5:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    if "Transfer-Encoding: chunked" in lines and chance.random() < 0.7:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    whole = head + body
    return mutated(chance, whole) if chance.random() < 0.5 else whole


class HostileServer:
    """Answers each connection with a few bytes, drawn from the seed in the path, and closes it."""

    def __init__(self, answers_of):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answers_of = answers_of
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        count = 0
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            count += 1
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                seed = re.match(rb"GET /(\d+)/", connection.recv(65536))
                answers = self._answers_of(int(seed[1]) if seed else 0)
                connection.sendall(answers[count % len(answers)])
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@functools.lru_cache(maxsize=2)
def answers_of(seed):
    chance = random.Random(seed)
    documents = [document(chance, PAGE), document(chance, NPM), mutated(chance, HTML)]
    bodies = [BODY, gzip.compress(BODY), *documents, gzip.compress(documents[1])]
    return [answer(chance, chance.choice(bodies)) for _ in range(4)]


def test_answers_of_a_web_server():
    """Status lines, headers, redirects and bodies, for files and for both kinds of registry."""
    server = HostileServer(answers_of)

    def case(seed, folder):
        url = f"{server.url}/{seed}"
        sources = (f"{url}/file.tar.gz", "pypi:tool==1.0", "npm:tool@1.0.0")
        item = SourceItem(source=sources[seed % 3], base_dir=folder)
        registries = {"PIP_INDEX_URL": f"{url}/simple", "npm_config_registry": f"{url}/"}
        fetch_source(item, folder / "into", Recorder().context(registries, retries=1))

    try:
        run(case)
    finally:
        server.close()


# --- archives ---------------------------------------------------------------------------------


def tar_of_everything():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, to in (
            *(("d", tarfile.DIRTYPE, ""), ("d/file", tarfile.REGTYPE, "")),
            *(("link", tarfile.SYMTYPE, "d"), ("hard", tarfile.LNKTYPE, "d/file")),
            *(("d/" + "é" * 150, tarfile.REGTYPE, ""), ("link/x", tarfile.REGTYPE, "")),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            info.size = 700 if kind == tarfile.REGTYPE else 0
            info.pax_headers = {"comment": "x"} if name == "d/file" else {}
            tar.addfile(info, io.BytesIO(b"a" * 700))
    return stream.getvalue()


def zip_of_everything(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, mode in (("d/", 0o40755), ("d/f", 0o100644), ("l", 0o120777), ("é", 0)):
            info = zipfile.ZipInfo(name)
            info.external_attr, info.create_system = mode << 16, 3
            info.compress_type = method
            made.writestr(info, b"d" if name == "l" else b"a" * 700)
        made.writestr("tool-1.0.data/scripts/tool", "#!python\n")
    return stream.getvalue()


def archives():
    tar = tar_of_everything()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    yield from ((tar, raw) for raw in (bytes, gzip.compress, bz2.compress))
    yield from ((tar, raw) for raw in (lzma.compress, zstd.compress))
    yield from ((zip_of_everything(method), bytes) for method in methods)


def test_archives():
    """Archives of every format, damaged before or after they were compressed."""
    made = list(archives())

    def case(seed, folder):
        chance = random.Random(seed)
        content, compress = made[seed % len(made)]
        data = mutated(chance, compress(content))
        if chance.random() < 0.6:
            data = compress(mutated(chance, content))
        path = folder / f"archive{seed}.bin"
        path.write_bytes(data)
        is_archive(path)
        use = chance.choice((extract, extract, lay_out_wheel, decompress_file))
        use(path, folder / f"out{seed}")

    run(case)


# --- the cache --------------------------------------------------------------------------------


@pytest.fixture
def layout(tmp_path):
    """A cache with one entry, and with one of each file that envy keeps there."""
    made = CacheLayout(tmp_path / "cache")
    entry = entry_in(made)
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "bin").mkdir()
    (entry.asset_dir / "bin/gn").write_text(f"exec {entry.asset_dir}/bin/gn\n")
    (entry.asset_dir / "link").symlink_to("bin/gn")
    notes = {"key": "local.gn@r0", "relocate": ["bin/*"], "recipe": "a\nb\n", "dependencies": {}}
    publish(attempt, format_key_record(as_json(GN), notes))
    record_use(made, UseSet(manifest="/p/envy.lua", whole=True, entries={entry.name: "build"}))
    return made


def entry_in(layout) -> EntryPaths:
    return layout.entry("local.gn@r0", "linux-x86_64", KEY)


def changed_text(chance, text):
    """Return lines of JSON in which something differs."""
    if chance.random() < 0.3:
        return mutated(chance, text)
    if text.startswith(b"{\n"):
        return document(chance, json.loads(text))
    lines = text.split(b"\n")
    at = chance.randrange(len(lines))
    lines[at] = document(chance, json.loads(lines[at] or b"{}"))
    return b"\n".join(lines)


def test_files_of_an_entry(layout):
    """Markers, fingerprints and ingredients."""
    entry = entry_in(layout)
    texts = {name: Path(entry.at(name)).read_bytes() for name in (MARKER, FINGERPRINT, INGREDIENTS)}
    good = parse_key_record(texts[INGREDIENTS].decode())

    def case(seed, _folder):
        chance = random.Random(seed)
        for name, text in texts.items():
            Path(entry.at(name)).unlink(missing_ok=True)
            Path(entry.at(name)).write_bytes(changed_text(chance, text))
        lookup(entry, KEY)
        take_inventory(layout)
        verify(entry)
        text = Path(entry.at(INGREDIENTS)).read_bytes().decode("utf-8", "surrogateescape")
        record = parse_key_record(text)
        if record is not None:
            str((record.key, record.dependencies, changes(record, good), changes(good, record)))
        relocate(entry, KEY)

    run(case)


def test_other_files_of_the_cache(layout, tmp_path):
    """Records of use, evidence, durations, answers, locks and leases."""
    [use] = layout.projects_root.rglob("*.json")
    files = {"/x": "0" * 64, "/y": None}
    evidence = encode_evidence(
        Evidence(files=files, globs={("/x", "*"): "0"}, variables={"A": "1"})
    )
    owner = {"pid": 1, "start_time": "1", "command": "envy", "since": 1.5, "groups": {"7": "1"}}
    durations = {"format": 1, "run": 3, "rows": {"a": [1, {"b": [1.0, 2.0]}, [1.0]]}}
    documents = (json.loads(use.read_text()), json.loads(evidence), owner, durations, ["a/b"])
    paths = {name: str(tmp_path / name) for name in ("durations", "last", "lock")}
    layout.leases_root.mkdir(parents=True)

    def case(seed, folder):
        chance = random.Random(seed)
        use.write_bytes(document(chance, documents[0]))
        read_uses(layout)
        found = decode_evidence(document(chance, documents[1]).decode("utf-8", "replace"))
        if found is not None:
            still_holds(found, {"A": "1"})
        Path(paths["lock"]).write_bytes(document(chance, documents[2]))
        lock = FileLock(Path(paths["lock"]))
        lock.owner()
        Path(paths["durations"]).write_bytes(document(chance, documents[3]))
        Durations(paths["durations"]).recall("a", "b")
        (layout.leases_root / "x.json").write_bytes(document(chance, documents[4]))
        leased_names(layout)
        last = LastRun(folder, folder)
        last.path.write_bytes(document(chance, {"failed": {"p": ["t"]}}))
        last.failed()
        answer = Path(answer_path(str(folder), "/envy.lua"))
        answer.parent.mkdir(exist_ok=True)
        answer.write_bytes(mutated(chance, b"0" * 64 + b"1\x002\0" * 10))
        load_answer(str(folder), "/envy.lua", {})
        basis_of(str(answer))

    run(case)


def other(chance, member, data):
    """Return another content of a member of an exported file."""
    if data is None:
        return chance.choice((None, b"x"))
    return mutated(chance, data) if "/asset/" in member.name else changed_text(chance, data)


def add(tar, member, data):
    made = tarfile.TarInfo(member.name)
    made.type, made.linkname, made.mode = member.type, member.linkname, member.mode
    made.size = len(data or b"")
    tar.addfile(made, io.BytesIO(data) if data is not None else None)


def test_exported_files(layout, tmp_path):
    """Exported files whose bytes, members, index, fingerprints or ingredients were changed."""
    entry = entry_in(layout)
    write_export_file(str(tmp_path / "good.tar.zst"), [entry], workers=0)
    content = (tmp_path / "good.tar.zst").read_bytes()
    members = exported_members(tmp_path / "good.tar.zst")

    def case(seed, folder):
        chance = random.Random(seed)
        path = folder / "changed.tar.zst"
        if seed % 4 == 0:
            path.write_bytes(mutated(chance, content))
        else:
            with tarfile.open(path, "w") as tar:
                for member, data in members:
                    add(tar, member, data if chance.random() < 0.6 else other(chance, member, data))
        for _ in import_export_file(CacheLayout(folder / f"cache{seed}"), path):
            pass

    run(case)


def test_texts_of_fingerprints():
    """Fingerprints whose rows are anything."""
    head = {"format": 1, "root": "/x", "size": 7, "writable": False}

    def case(seed, _folder):
        chance = random.Random(seed)
        rows = [document(chance, ["a", "file", "644", 7, "0" * 64, ["x"]]) for _ in range(3)]
        text = b"\n".join([document(chance, head), *rows, b""])
        parse_fingerprint(text.decode("ascii", "replace"), most_rows=chance.choice((None, 1, 9)))

    run(case)
