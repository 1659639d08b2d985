"""A day of many machines that share packages by one server: the real adapter on a virtual clock.

    python tests/benchmarks/day_of_sharing.py [--machines N] [--commits N] [--scale] [--seed N]

Commits change packages and what depends on them. Each starts jobs on machines, of which some are
new and have an empty cache; a job takes what the server has and builds the rest. Every lookup,
upload and download is made by `RemoteCache`, with entries on disk whose content stands for a
thousand times as much, and a server in memory that forgets what was not used for longest. The time
of builds and transfers is that of a model: see `Model`. `--scale` repeats the day with other
numbers of machines, in the model alone, whose counts are first compared with those of the adapter.
"""

import argparse
import dataclasses
import heapq
import os
import random
import shutil
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi

from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record
from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt, publish
from envy.cli.fetch_context import command_context
from envy.sharing.remote.raw_answers import ReadBlob
from envy.sharing.remote.remote_cache import RemoteCache
from envy.transport.context import NotFound

DAY = 24 * 3600.0
KILO, MEGA, GIGA = 1e3, 1e6, 1e9
_NEEDS = (1, 1, 2)  # dependencies of a package
ASKED_AGAIN = 1.0  # seconds; what becomes ready later is asked for once more
CONTENT = 1000  # a byte on disk stands for so many


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """What the adapter does not know: how long things take, and what the day is like."""

    machines: int = 200
    packages: int = 200
    commits: int = 150
    jobs_per_commit: float = 5.0
    fresh: float = 0.2  # of the jobs, on machines with an empty cache
    slots: int = 4  # builds at once on a machine
    machine_rate: float = 125 * MEGA  # bytes a second
    server_rate: float = 1.25 * GIGA
    round_trip: float = 0.005
    room: float = 12 * GIGA  # of the server
    seed: int = 7


class World:
    """Packages that depend on each other, their sizes, build times and versions."""

    def __init__(self, model):
        rng = random.Random(model.seed)
        count = model.packages
        self.below = [
            sorted(rng.sample(range(max(0, one - 40), one), min(one, rng.choice(_NEEDS))))
            for one in range(count)
        ]
        self.size = [min(rng.lognormvariate(15.2, 1.4), 400 * MEGA) for _ in range(count)]
        self.seconds = [min(rng.lognormvariate(3.2, 1.1), 1800.0) for _ in range(count)]
        self.version = [0] * count
        self.closures = [self._closure(number) for number in range(count)]
        self.above = [
            [one for one in range(count) if number in self.closures[one]] for number in range(count)
        ]

    def _closure(self, number):
        found, waiting = {number}, [number]
        while waiting:
            for one in self.below[waiting.pop()]:
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return found

    def commit(self, rng):
        """Change one package: it and all that depends on it have new entries."""
        for number in self.above[rng.randrange(len(self.above))]:
            self.version[number] += 1

    def wanted(self, rng):
        """Return the entries that a job needs: packages with their versions, dependencies first."""
        tops = rng.sample(range(len(self.below) * 3 // 4, len(self.below)), 5)
        needed = sorted(set().union(*(self.closures[top] for top in tops)))
        return [(number, self.version[number]) for number in needed]


class MemoryServer:
    """What `RemoteCache` needs of a server, in this process; blobs not used for longest go."""

    shown, instance = "memory", ""

    def __init__(self, room):
        self.blobs, self.results = OrderedDict(), {}
        self.room, self.held, self.sent, self.received, self.calls = room / CONTENT, 0, 0, 0, 0
        self.actions = SimpleNamespace(GetActionResult=self._get, UpdateActionResult=self._update)
        self.storage = SimpleNamespace(FindMissingBlobs=self._missing, BatchUpdateBlobs=self._store)
        self.read_batch = self._read
        update = reapi.ActionCacheUpdateCapabilities(update_enabled=True)
        self._able = reapi.ServerCapabilities(
            cache_capabilities=reapi.CacheCapabilities(action_cache_update_capabilities=update)
        )

    def capabilities(self):
        return self._able

    def begin(self, method, request, *, size=0, among=1):
        del size, among
        return lambda: method(request)

    def finish(self, future, check=lambda: None):
        check()
        self.calls += 1
        return future()

    def call(self, method, request, check=lambda: None):
        return self.finish(lambda: method(request), check)

    def _get(self, request):
        found = self.results.get(request.action_digest.hash)
        if found is None:
            raise NotFound("no", uri=self.shown)
        return found

    def _update(self, request):
        self.results[request.action_digest.hash] = request.action_result

    def _missing(self, request):
        for digest in request.blob_digests:
            if digest.hash in self.blobs:
                self.blobs.move_to_end(digest.hash)
        gone = [digest for digest in request.blob_digests if digest.hash not in self.blobs]
        return reapi.FindMissingBlobsResponse(missing_blob_digests=gone)

    def _store(self, request):
        answer = reapi.BatchUpdateBlobsResponse()
        for row in request.requests:
            if row.digest.hash not in self.blobs:
                self.blobs[row.digest.hash] = row.data
                self.held += len(row.data)
                self.received += len(row.data)
            answer.responses.add(digest=row.digest)
        while self.held > self.room:
            _, data = self.blobs.popitem(last=False)
            self.held -= len(data)
        return answer

    def _read(self, request):
        answer = []
        for digest in request.digests:
            data = self.blobs.get(digest.hash)
            answer.append(ReadBlob(digest.hash, 5 if data is None else 0, data or b""))
            if data is not None:
                self.blobs.move_to_end(digest.hash)
                self.sent += len(data)
        return answer


class Adapter:
    """The real adapter: entries in a folder, taken and stored one by one."""

    def __init__(self, world, model, folder):
        self.world, self.folder = world, folder
        self.server = MemoryServer(model.room)
        self.cache = RemoteCache(self.server, writes=True)
        self.context = command_context({**os.environ, "HOME": str(folder)}, offline=False)
        self.made = {}

    def _ingredients(self, row):
        return Ingredients(identity=f"local.p{row[0]}@r1", options_text=f"{{version={row[1]}}}")

    def _entry(self, root, row):
        parts = self._ingredients(row)
        key = entry_key(parts)
        return CacheLayout(root).entry(parts.identity, "linux-x86_64", key), key

    def take(self, rows):
        """Return the entries that the server has, and the bytes that it sent."""
        before = self.server.sent
        root = self.folder / "machine"
        pairs = {row: self._entry(root, row) for row in rows}
        self.cache.ask_ahead(list(pairs.values()), self.context)
        layout = CacheLayout(root)
        found = [
            row
            for row, (entry, key) in pairs.items()
            if not self.cache.take(layout, entry, key, self.context).missed
        ]
        remove(root)
        return found, (self.server.sent - before) * CONTENT

    def store(self, rows):
        """Store entries; return the bytes that were sent."""
        before = self.server.received
        for row in rows:
            self.cache.push(self._built(row), self.context, workers=0, sign=None)
        return (self.server.received - before) * CONTENT

    def _built(self, row):
        if row not in self.made:
            entry, key = self._entry(self.folder / "built", row)
            attempt = begin_attempt(entry, key)
            size = int(self.world.size[row[0]] / CONTENT)
            # Three quarters are as in the version before.
            content = random.Random(row[0]).randbytes(size * 3 // 4)
            (entry.asset_dir / "same").write_bytes(content)
            other = random.Random(repr(row)).randbytes(size - len(content))
            (entry.asset_dir / "other").write_bytes(other)
            record = format_key_record(as_json(self._ingredients(row)), {"key": entry.name})
            publish(attempt, record)
            self.made[row] = entry
        return self.made[row]


class Counted:
    """The same in the model alone: blobs are sizes."""

    def __init__(self, world, model, _folder):
        self.world, self.room = world, model.room
        self.blobs, self.held, self.results = OrderedDict(), 0.0, set()

    def _parts(self, row):
        size = int(self.world.size[row[0]] / CONTENT) * CONTENT
        same = int(self.world.size[row[0]] / CONTENT) * 3 // 4 * CONTENT
        return {(row[0],): same, row: size - same}

    def take(self, rows):
        found, sent = [], 0
        for row in rows:
            parts = self._parts(row)
            if row in self.results and parts.keys() <= self.blobs.keys():
                for name, size in parts.items():
                    self.blobs.move_to_end(name)
                    sent += size
                found.append(row)
        return found, sent

    def store(self, rows):
        sent = 0
        for row in rows:
            for name, size in self._parts(row).items():
                if name in self.blobs:
                    self.blobs.move_to_end(name)
                else:
                    self.blobs[name] = size
                    self.held += size
                    sent += size
            self.results.add(row)
            while self.held > self.room:
                self.held -= self.blobs.popitem(last=False)[1]
        return sent


def remove(path):
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)


class Job:
    """The builds of one job: those that wait, dependencies first, and those under way."""

    def __init__(self, machine, asked, waiting, slots):
        self.machine, self.asked, self.slots = machine, asked, slots
        self.waiting, self.under_way, self.coming = waiting, set(), set()
        self.asked_again = set()


class Day:
    """A day of one model, and what happened in it."""

    def __init__(self, model, kind, folder, *, shares=True):
        self.model, self.world = model, World(model)
        self.rng = random.Random(model.seed + 1)
        self.place = kind(self.world, model, folder) if shares else None
        everything = {(number, 0) for number in range(model.packages)}
        self.caches = [set(everything) for _ in range(model.machines)]
        self.free = [0.0] * model.machines
        self.queues = {}  # jobs that wait for a machine
        self.events, self.order, self.link = [], 0, 0.0
        self.missed = set()  # entries that some machine did not have
        self.jobs = self.builds = self.taken = 0
        self.sent = self.received = self.waited = self.worked = self.busy = self.slowest = 0.0

    def run(self):
        for number in range(self.model.commits):
            # Most of them in the eight hours of a working day.
            hours = self.rng.gauss(13, 3) if number % 10 else self.rng.uniform(0, 24)
            self.at(min(max(hours, 0), 23.5) * 3600, self.commit)
        while self.events:
            now, _, what, details = heapq.heappop(self.events)
            what(now, *details)
        return self

    def at(self, moment, what, *details):
        self.order += 1
        heapq.heappush(self.events, (moment, self.order, what, details))

    def commit(self, now):
        self.world.commit(self.rng)
        for _ in range(max(1, round(self.rng.expovariate(1 / self.model.jobs_per_commit)))):
            machine = self.rng.randrange(self.model.machines)
            is_fresh = self.rng.random() < self.model.fresh
            wanted = self.world.wanted(self.rng)
            self.at(now + self.rng.uniform(5, 60), self.job, now, machine, is_fresh, wanted)

    def job(self, now, asked, machine, is_fresh, wanted):
        if self.free[machine] > now:
            self.queues.setdefault(machine, []).append((asked, machine, is_fresh, wanted))
            return
        if is_fresh:
            self.caches[machine] = set()
        missing = [row for row in wanted if row not in self.caches[machine]]
        found, size = self.take(missing)
        begins = self.transfer(now + 2 * self.model.round_trip, size) if self.place else now
        got = set(found)
        job = Job(machine, asked, [row for row in missing if row not in got], self.model.slots)
        self.free[machine] = float("inf")
        self.caches[machine].update(wanted)
        self.missed.update(missing)
        self.jobs += 1
        self.at(begins, self.go_on, job, begins)

    def take(self, rows):
        found, size = self.place.take(rows) if self.place else ([], 0)
        self.taken += len(found)
        self.sent += size
        return found, size

    def go_on(self, now, job, asked):
        """Begin what can be begun; `asked` is when the server was first asked."""
        waiting = {row[0] for row in job.waiting} | job.under_way | job.coming
        ready = [row for row in job.waiting if not waiting & set(self.world.below[row[0]])]
        for row in ready:
            if now - asked > ASKED_AGAIN and row not in job.asked_again:
                job.asked_again.add(row)
                found, size = self.take([row])
                if found:
                    job.waiting.remove(row)
                    job.coming.add(row[0])
                    self.at(self.transfer(now, size), self.built, job, row, asked, False)
        for row in [row for row in ready if row in job.waiting][: job.slots - len(job.under_way)]:
            job.waiting.remove(row)
            job.under_way.add(row[0])
            self.builds += 1
            self.worked += self.world.seconds[row[0]]
            self.at(now + self.world.seconds[row[0]], self.built, job, row, asked, True)
        if not (job.waiting or job.under_way or job.coming):
            self.free[job.machine] = now
            self.waited += now - job.asked
            self.slowest = max(self.slowest, now - job.asked)
            for details in self.queues.pop(job.machine, ()):
                self.at(now, self.job, *details)

    def built(self, now, job, row, asked, is_new):
        (job.under_way if is_new else job.coming).remove(row[0])
        if self.place and is_new:
            size = self.place.store([row])
            self.transfer(now, size)
            self.received += size
        self.go_on(now, job, asked)

    def transfer(self, now, size):
        """Return when a transfer ends that shares the server's connection with others."""
        self.link = max(self.link, now) + size / self.model.server_rate
        self.busy += size / self.model.server_rate
        return max(now + size / self.model.machine_rate, self.link)


def line(model, found, alone):
    saved = 1 - found.worked / alone.worked
    each = found.builds / len(found.missed)
    return (
        f"| {model.machines} | {found.jobs} | {found.builds} ({each:.2f}) | "
        f"{found.taken} | {found.received / GIGA:.1f} | {found.sent / GIGA:.1f} | "
        f"{alone.worked / 3600:.0f} → {found.worked / 3600:.0f} h ({saved:.0%}) | "
        f"{alone.waited / alone.jobs / 60:.1f} → {found.waited / found.jobs / 60:.1f} min | "
        f"{found.busy / DAY:.1%} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--commits", type=int, default=150)
    parser.add_argument("--room", type=float, default=12.0, help="GB of the server")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    model = Model(
        machines=given.machines, commits=given.commits, room=given.room * GIGA, seed=given.seed
    )
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        found = Day(model, Adapter, folder).run()
        for path in folder.iterdir():
            remove(path)
    alone = Day(model, Counted, None, shares=False).run()
    print(f"{len(found.missed)} entries; the longest job took {found.slowest / 60:.0f} min")
    print(
        "| machines | jobs | builds (each) | taken | GB stored | GB taken | built | a job | link |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print(line(model, found, alone))
    if not given.scale:
        return
    counted = Day(model, Counted, None).run()
    print(line(model, counted, alone), "in the model alone")
    for factor in (0.1, 0.5, 1, 2, 5, 10):
        other = dataclasses.replace(
            model,
            machines=round(model.machines * factor),
            jobs_per_commit=model.jobs_per_commit * factor,
        )
        print(
            line(
                other,
                Day(other, Counted, None).run(),
                Day(other, Counted, None, shares=False).run(),
            )
        )


if __name__ == "__main__":
    sys.exit(main())
