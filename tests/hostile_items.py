"""Random sets of fetched items that try to write outside, and a watcher of everything outside.

A set depends only on its seed.
"""

import gzip
import io
import os
import random
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

from loopback.git_repository import GitRepository
from loopback.programs import Recorder

from envy.cache.entry_key import Ingredients, entry_key
from envy.cache.layout import CacheLayout
from envy.declarations.repositories import placed_apart
from envy.declarations.sources import parse_source_items
from envy.events import EventBus
from envy.graph.recipe import Work
from envy.phase import RecipePhase
from envy.transport import fetch_all

KEY = entry_key(Ingredients(identity="local.hostile@r1"))
FOLDERS = ("a", "b", "A", "c")
FILES = ("x", "victim", "y")


class Box:
    """A folder with victims, sources, and an entry of a cache among them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.sources = self.folder / "sources"
        layout = CacheLayout(self.folder / "cache")
        self.entry = layout.entry("local.hostile@r1", "linux-x86_64", KEY)
        entry = self.entry
        self.own = (entry.asset_dir, entry.fetch_dir, entry.stage_dir, entry.tmp_dir)
        for made in (*self.own, self.sources, self.folder / "a/b"):
            made.mkdir(parents=True, exist_ok=True)
        # What `..` from the stage can lead to, and what absolute links name.
        for above in (entry.stage_dir.parent, entry.directory, entry.directory.parent, self.folder):
            for name in ("victim", "x"):
                (above / name).write_text(f"of {name}")
        for name in ("victim", "x"):
            (self.folder / "a/b" / name).write_text("deep")

    def snapshot(self):
        """Return everything outside of the package's own folders, with kinds and times."""
        seen = {}
        waiting = [self.folder]
        while waiting:
            folder = waiting.pop()
            for entry in os.scandir(folder):
                path, status = Path(entry.path), entry.stat(follow_symlinks=False)
                if path in self.own:
                    seen[entry.path] = "own"  # its content may change; it may not be replaced
                    continue
                content = b""
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                elif stat.S_ISREG(status.st_mode):
                    content = path.read_bytes()
                row = (status.st_mode, status.st_size, status.st_nlink, content)
                # The parent of an own folder changes its time when that folder is created.
                seen[entry.path] = (*row, status.st_mtime_ns)
        return seen

    def run(self):
        """The parts of a phase that unpacking and ctx need, without an engine."""
        entry = self.entry
        placement = SimpleNamespace(entry=entry, inputs={}, padded=None)
        key = SimpleNamespace(identity="local.hostile@r1", canonical="local.hostile@r1")
        recipe = SimpleNamespace(
            key=key,
            work=Work(),
            placement=placement,
            placement_or_none=placement,
            loaded_or_none=None,
        )
        return SimpleNamespace(
            run_dir=entry.stage_dir,
            fetch_dir=entry.fetch_dir,
            phase=RecipePhase.STAGE,
            recipe=recipe,
            engine=SimpleNamespace(services=SimpleNamespace(events=EventBus())),
            may_read=lambda _path: True,
            note_tree=lambda *_what: None,
            note_file=lambda _path: None,
            note_names=lambda _folder, _pattern: None,
        )

    def fetch(self, run, rows):
        """Fetch the items of a set, as the fetch phase does."""
        items = parse_source_items(rows, origin=None, base_dir=self.sources)
        fetched = fetch_all(items, self.entry.fetch_dir, Recorder().context(), parallel=1)
        for item, result in zip(placed_apart(items), fetched, strict=True):
            name = result.path.relative_to(self.entry.fetch_dir.resolve()).as_posix()
            run.recipe.work.fetched[name] = item


class HostileSet:
    """Return two to five items from a seed; in most sets, some of them work together."""

    def __init__(self, seed, box, *, with_git=False):
        self.random = random.Random(seed)
        self.box = box
        self.has_foreign_links = False
        self.taken = set()
        self.rows = []
        plots = (self._up, self._link_out, self._inside_a_tree, self._beside, None)
        (plot,) = self.random.choices(plots, (4, 4, 1, 4, 4))
        if plot is not None:
            plot("git" if with_git else "folder")
        if with_git and self.random.random() < 0.5:
            self._add("git")
        while len(self.rows) < 2 or (len(self.rows) < 5 and self.random.random() < 0.3):
            self._add(self.random.choice(("tar", "zip", "folder", "file", "gz")))
        if self.random.random() < 0.2:
            self.random.shuffle(self.rows)

    # -- names -----------------------------------------------------------------------------------

    def path(self):
        """Return the path of a folder from few names, so that items collide."""
        return "/".join(self.random.choices(FOLDERS, k=self.random.choice((1, 1, 2, 3))))

    def leaf(self):
        """Return the path of a file."""
        name = self.random.choice(FILES)
        return name if self.random.random() < 0.4 else f"{self.path()}/{name}"

    def free(self, *names):
        """Return one of these names that no other item has."""
        name = self.random.choice([name for name in names if name not in self.taken])
        self.taken.add(name)
        return name

    def outside(self):
        """Return a target of a link that leads outside from most folders."""
        up = "/".join([".."] * self.random.randint(1, 4))
        absolute = (self.box.folder, self.box.folder / "a/b", self.box.folder / "a/b/victim")
        return self.random.choice((up, f"{up}/victim", f"{up}/a/b", *map(str, absolute)))

    def target(self):
        """Return a target of a link: mostly inside, or outside once another link exists."""
        if self.random.random() < 0.12:
            return self.outside()
        up = f"{self.path()}/{'/'.join(['..'] * self.random.randint(1, 3))}"
        own = str(self.box.entry.stage_dir / self.path())
        return self.random.choice((self.path(), self.leaf(), up, f"{up}/{self.path()}", ".", own))

    # -- items that work together ----------------------------------------------------------------

    def _up(self, _tree):
        """A link that is inside while a folder is missing; then the folder comes as a link."""
        depth = self.random.randint(1, 3)
        folder = "/".join(self.random.choices("pq", k=depth))
        ups = "/".join([".."] * self.random.randint(1, depth))
        tail = self.random.choice(("", "/victim", "/a/b"))
        name = self.random.choice(("l", "victim", "x"))
        to = self.random.choice((".", "..", "../..")) if depth > 1 else "."
        self._add(self.random.choice(("tar", "zip")), [(name, "link", f"{folder}/{ups}{tail}")])
        self._add(self.random.choice(("tar", "zip")), [(folder, "link", to)])
        self._through(name)

    def _link_out(self, tree):
        """A tree with a link that leads outside, and an item that is written through it."""
        name = self.random.choice(("l", "victim", "x", "a/l"))
        self._add(tree, [(name, "link", self.outside()), ("README", "file", "")])
        self._through(name)

    def _inside_a_tree(self, tree):
        """The same in the folder of fetched files, where `dest` may name folders."""
        self._add(tree, [("l", "link", self.outside())])
        source = self.rows[-1]["source"]
        if tree == "folder":
            self._add("file", dest=f"{source}/l/{self.free('x', 'victim')}")

    def _beside(self, tree):
        """A part whose links lead to what is left out, and perhaps on to somewhere outside."""
        links = [
            ("c/l", "link", self.random.choice(("x", "../b", self.target()))),
            ("b/l", "link", self.random.choice(("../a", "../c", "..", "../../victim"))),
            ("a/l", "link", self.random.choice(("../b", "../c/l", "../c", "../c/x", "../A"))),
            ("a/c", "link", self.random.choice(("../b/l", "../c/x", "../c", "l"))),
        ]
        files = [("c/x", "file", ""), ("b/y", "file", ""), ("a/y", "file", "")]
        members = files + self.random.sample(links, self.random.randint(1, 4))
        self.random.shuffle(members)
        self._add(self.random.choice(("tar", "tar", "zip", tree)), members, subdir="a")
        self._through(self.random.choice(("l", "c")))

    def _through(self, name):
        """Add one or two items whose destination is, or is below, a link."""
        last = name.rpartition("/")[2]
        for _ in range(self.random.randint(1, 2)):
            kind = self.random.choice(("tar", "zip", "folder", "file", "gz"))
            deeper = self.random.choice(("", "/a"))
            if kind in {"file", "gz"} and self.random.random() < 0.6 and last not in self.taken:
                self.taken.add(last)
                into = name.rpartition("/")[0]
                self._add(kind, dest=last + (".gz" if kind == "gz" else ""), into=into)
            elif kind in {"file", "gz"} or self.random.random() < 0.5:
                self._add(kind, [("x", "file", ""), ("victim", "file", "")], into=name + deeper)
            else:
                self._add(kind, [(f"{name}{deeper}/x", "file", ""), (name, "file", "")][:1])

    # -- items -----------------------------------------------------------------------------------

    def _members(self):
        """Rows (name, kind, target), with duplicates; rarely with a name that leads outside."""
        rows = []
        for _ in range(self.random.randint(1, 6)):
            kind = self.random.choices(("file", "folder", "link", "hard"), (4, 1, 4, 1))[0]
            files = [name for name, other, _ in rows if other == "file"]
            if kind == "hard" and files:
                rows.append((self.leaf(), kind, self.random.choice(files)))
            elif kind == "link":
                name = self.random.choice((self.path(), self.leaf()))
                rows.append((name, kind, self.target()))
                if self.random.random() < 0.5:
                    rows.append((f"{name}/x" if self.random.random() < 0.6 else name, "file", ""))
            else:
                rows.append((self.path() if kind == "folder" else self.leaf(), kind, ""))
        if self.random.random() < 0.04:
            rows.append((self.random.choice(("../x", "/tmp/../x", "a/../../x")), "file", ""))
        return rows

    def _add(self, kind, members=None, *, into=None, dest="", subdir=""):
        name = f"{len(self.rows)}.{ {'folder': 'd', 'file': 'f'}.get(kind, kind) }"
        path = self.box.sources / name
        row = {"source": name}
        if kind in {"tar", "zip"}:
            make = self._tar if kind == "tar" else self._zip
            path.write_bytes(make(members or self._members()))
        elif kind == "folder":
            self._tree(path, members or self._members())
        elif kind == "git":
            repository = GitRepository(self.box.sources, name.removesuffix(".git"))
            self._tree(repository.work_tree, members or self._members())
            repository.commit({"README": "a repository"})
        else:
            path.write_bytes(gzip.compress(b"evil", mtime=0) if kind == "gz" else b"evil")
            ending = ".gz" if kind == "gz" else ""
            names = [f"{each}{ending}" for each in (*FOLDERS, *FILES, "d", "e", "f")]
            row["dest"] = dest or self.free(*names)
            row["executable"] = self.random.random() < 0.3
        if into is None and members is None and self.random.random() < 0.4:
            into = self.path()
        if into:
            row["into"] = into
        if self.random.random() < 0.6:
            row["overlay"] = True
        if subdir:
            row["subdir"] = subdir
        if members is None and kind in {"tar", "zip"} and self.random.random() < 0.1:
            row["strip"] = 1
        if members is None and kind in {"tar", "zip", "folder"} and self.random.random() < 0.1:
            row["subdir"] = self.random.choice(FOLDERS)
        self.rows.append(row)

    def _tar(self, members):
        stream = io.BytesIO()
        kinds = {
            "file": tarfile.REGTYPE,
            "folder": tarfile.DIRTYPE,
            "link": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
        }
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, kind, to in members:
                info = tarfile.TarInfo(name)
                info.type, info.linkname, info.mode = kinds[kind], to, 0o755
                info.size = 4 if kind == "file" else 0
                tar.addfile(info, io.BytesIO(b"evil"))
        return stream.getvalue()

    def _zip(self, members):
        stream = io.BytesIO()
        modes = {"file": 0o100755, "folder": 0o040755, "link": 0o120777, "hard": 0o100644}
        with zipfile.ZipFile(stream, "w") as archive:
            seen = set()
            for name, kind, to in members:
                info = zipfile.ZipInfo(name + ("/" if kind == "folder" else ""))
                info.create_system = 3
                info.external_attr = modes[kind] << 16
                if info.filename not in seen:  # zipfile warns of duplicates
                    archive.writestr(info, to if kind == "link" else b"evil")
                seen.add(info.filename)
        return stream.getvalue()

    def _tree(self, top, members):
        top.mkdir(exist_ok=True)
        for name, kind, to in members:
            path = top / name.lstrip("/").replace("../", "")
            above = path.parent
            if above.exists() and not above.resolve().is_relative_to(top.resolve()):
                continue  # the generator itself stays inside
            try:
                above.mkdir(parents=True, exist_ok=True)
                if not above.resolve().is_relative_to(top.resolve()) or os.path.lexists(path):
                    continue
                if kind == "link":
                    path.symlink_to(to)
                    self.has_foreign_links = True
                elif kind == "folder":
                    path.mkdir()
                else:
                    path.write_text("evil")
            except (OSError, RuntimeError):
                continue
        if not any(top.iterdir()):
            (top / "a").write_text("evil")
