"""A project whose answers depend on everything that answers can depend on, and ways to change it.

Used by test_stale.py: each step of a random walk is one call of `change`.
"""

import os
import shutil
from pathlib import Path

MANIFEST = """
{shell}
launchers = "launch"
packages = {{
  "local.app@r1", "local.hosted@r1",
  {{ recipe = "local.folder@r1", source = "folder" }},
  {{ recipe = "local.made@r1", source = {{ fetch = function(ctx)
    ctx.write(ctx.tmp_dir .. "/recipe.lua", [[
identity = "local.made@r1" {made}
install = function(ctx) ctx.write("m", "m") end]])
    ctx.commit_fetch("recipe.lua") end }} }},
  {{ recipe = "local.listed@r1", alias = "nick", options = {{ which = "{which}" }} }},
  {extra}
}}
if os.getenv("MORE") then packages[#packages + 1] = "local.helper@r1" end
"""
APP = """
identity = "local.app@r1"
local shared = require "shared"
local env = envy.loadenv "vars"
local maybe, why = io.open("maybe.cfg")
local said = maybe and (maybe:read("a") or "folder") or why:gsub(".*: ", "")
local extra = loadfile("extra.lua")
dependencies = { "local.lib@r1", { recipe = "local.tool@r1", use = "build" },
  { recipe = "helper", weak = "local.fallback@r1" } }
if said == "needs listed" then dependencies[#dependencies + 1] = "local.listed@r1" end
inputs = { "patches/*.patch", "tree" }
pass_env = { "FLAVOUR" }
install = function(ctx)
  ctx.write("app.txt", table.concat({ shared, env.value, said, extra and extra() or "none" }))
end
"""
LIB = """
identity = "local.lib@r1"
alias = "library"
source = nil
fetch = "payload"
products = function()
  return { lib = { path = os.getenv("PRODUCT") and "lib.txt" or "other.txt", kind = "file" } }
end
exports = function()
  local file = io.open("exports.txt")
  return { env = { ENV = file and "a" or "b" } }
end
install = function(ctx) ctx.write("lib.txt", "lib") ctx.write("other.txt", "lib") end
deploy = function(ctx) end
"""
LISTED = """
identity = "local.listed@r1"
options = { which = { type = "string" } }
fetch = function(ctx, opts)
  local file = io.open("../which.txt")
  local name = file and file:read("l") or os.getenv("WHICH") or "first"
  return { source = "payload/" .. (name == "second" and "two" or "one") }
end
install = function(ctx) ctx.write("listed.txt", "listed") end
"""
HOSTED = """
identity = "local.hosted@r1"
host = { "tool", wrap = "wrap 2>&1" }
products = { hosted = "hosted", renamed = "hosted" }
install = "printf '#!/bin/sh\\necho hosted $*\\n' > hosted; chmod +x hosted"
"""
PLAIN = """
identity = "{identity}"
install = function(ctx) ctx.write("x.txt", "x") end
-- {mark}
"""
NESTED = 'packages = { { recipe = "local.nested@r1", source = "nested.lua" } }\n'

CHOSEN_SHELL = """
default_shell = function(ctx) return os.getenv("SH") and ENVY_SHELL.SH or ENVY_SHELL.BASH end
"""


def variants(identity, marks):
    """Return texts of a recipe that differ in one letter."""
    return [PLAIN.format(identity=identity, mark=mark) for mark in marks]


# Each file with its possible texts; swapping texts of equal length changes no size and no time.
TEXTS = {
    "recipes/shared.lua": ['return "one"', 'return "two"', "return"],
    "recipes/shared/init.lua": ['return "fromfolder"'],
    "recipes/vars.lua": ["value = 'a'", "value = 'b'"],
    "recipes/vars/init.lua": ["value = 'c'"],
    "recipes/maybe.cfg": ["needs listed", "needs nobody", ""],
    "recipes/extra.lua": ["return 'x'", "return 'y'"],
    "recipes/exports.txt": ["e"],
    "which.txt": ["first\n", "second"],
    "recipes/patches/a.patch": ["aaa", "bbb"],
    "recipes/patches/b.patch": ["ccc"],
    "recipes/tree/leaf": ["leaf", "flea"],
    "recipes/tree/more/leaf": ["leaf"],
    "recipes/payload/one": ["1", "I"],
    "recipes/payload/two": ["2", "Z"],
    "folder/recipe.lua": variants("local.folder@r1", "abc"),
    "folder/local.folder@r1.lua": variants("local.folder@r1", "de"),
    "recipes/local.tool@r1.lua": variants("local.tool@r1", "ab"),
    "recipes/local.helper@r1.lua": variants("local.helper@r1", "ab"),
    "recipes/local.fallback@r1.lua": variants("local.fallback@r1", "ab"),
    "recipes/local.app@r1.lua": [APP, APP + "-- 1", APP + "-- 2"],
    "recipes/local.lib@r1.lua": [LIB, LIB + "-- 1", LIB + "-- 2", LIB + 'print("said")'],
    "recipes/local.listed@r1.lua": [LISTED, LISTED + "-- 1"],
    "recipes/local.hosted@r1.lua": [HOSTED, HOSTED + "-- 1"],
    "sub/envy.lua": [NESTED],
    "sub/nested.lua": variants("local.nested@r1", "ab"),
    "envy.lua": [
        MANIFEST.format(shell=shell, which=which, made=made, extra=extra)
        for shell, which, made, extra in (
            ("", "a", "", ""),
            ("", "b", "", ""),
            ("", "a", "-- more", ""),
            ("", "a", "", '"local.helper@r1",'),
            ("default_shell = ENVY_SHELL.SH", "a", "", ""),
            (CHOSEN_SHELL, "a", "", ""),
        )
    ],
}  # fmt: skip
# Files that do not exist at first.
LATER = {
    "recipes/shared/init.lua", "recipes/vars/init.lua", "recipes/maybe.cfg", "recipes/extra.lua",
    "recipes/exports.txt", "which.txt", "recipes/patches/b.patch", "folder/recipe.lua",
    "recipes/tree/more/leaf", "sub/envy.lua",
}  # fmt: skip
VARIABLES = ["FLAVOUR", "PRODUCT", "WHICH", "MORE", "SH", "ENVY_YES"]
COMMANDS = [
    ["sync"], ["sync"], ["sync", "-q"], ["sync", "--jobs", "3"], ["sync", "app"],
    ["sync", "lib", "nick"],
    ["asset", "app"], ["asset", "lib"], ["asset", "local.lib@r1"], ["asset", "library"],
    ["asset", "library@r1"], ["asset", "nick"], ["asset", "helper"], ["asset", "nested"],
    ["asset", "listed{which=a}"], ["asset", "listed"], ["asset", "folder@r1"], ["asset", "made"],
    ["asset", "hosted"], ["sync", "hosted"], ["product", "hosted"], ["product", "lib"],
    ["product", "--no-install", "renamed"], ["run", "--", "hosted"], ["run", "renamed", "x"],
    ["run", "sh", "-c", "env; hosted; renamed"], ["run", "none"], ["product", "none"],
    ["env", "--format", "json"], ["env", "--format=fish"], ["env", "--no-install"],
    ["asset", "--no-install", "app"], ["asset", "tool"], ["asset", "fallback"], ["asset", "none"],
]  # fmt: skip
# A binary under the name `tool`, and what the program `wrap` prints.
HOSTS = ["echo 1.0", "cat 1.0", "echo 2.0", "cat 2.0"]
TOOL_SIZE = 400_000
SAME_TIME = 1_700_000_000_000_000_000


class World:
    """The project in a folder, its caches, the environment and the current directory."""

    def __init__(self, folder, rng):
        self.root = folder / "repo"
        self.caches = [folder / "cache", folder / "other-cache"]
        self.cache = self.caches[0]
        self.aside = folder / "aside"
        self.places = [self.root, self.root / "sub", self.root / "sub" / "deep"]
        self.place = self.root
        self.rng = rng
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "wrap").write_text('#!/bin/sh\ncat "${0%/*}/wrapped"\n')
        (self.programs / "wrap").chmod(0o755)
        self.host = ""
        self.set_host(HOSTS[0])
        self.variables = {}
        (self.root / "sub" / "deep").mkdir(parents=True)
        (self.root / ".git").mkdir()
        self.aside.mkdir()
        self.restore()

    def environment(self):
        """Return the environment in which envy runs."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        path = f"{self.programs}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, **self.variables, "ENVY_CACHE_ROOT": str(self.cache)}

    def launcher(self):
        """Return the launcher of `hosted` after a whole sync; None if the project has none."""
        nested = self.place != self.root and (self.root / "sub" / "envy.lua").is_file()
        return None if nested else self.root / "launch" / "hosted"

    def set_host(self, host):
        """Give the machine a binary, written or replaced, and what its script says."""
        binary, said = host.split()
        path = self.programs / "tool"
        content = Path(shutil.which(binary)).read_bytes()
        content += bytes(max(0, TOOL_SIZE - len(content)))
        if self.rng.randrange(2) and path.exists():
            path = path.with_name("new")
        path.write_bytes(content)
        path.chmod(0o755)
        os.utime(path, ns=(SAME_TIME, SAME_TIME))
        path.replace(self.programs / "tool")
        (self.programs / "wrapped").write_text(said)
        self.host = host

    def restore(self):
        """Restore everything to the initial state."""
        for name, texts in TEXTS.items():
            self.remove(name)
            if name not in LATER:
                self.write(name, texts[0])
        self.variables.clear()

    def remove(self, name):
        """Remove the file, link, pipe or folder of this name."""
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.is_symlink() or path.exists():
            path.unlink()

    def write(self, name, text):
        """Write a file, always with the same time."""
        path = self.root / name
        for parent in reversed(path.relative_to(self.root).parents[:-1]):
            if (self.root / parent).is_symlink() or not (self.root / parent).is_dir():
                self.remove(parent)
                (self.root / parent).mkdir()
        if path.is_dir() and not path.is_symlink():
            self.remove(name)
        if path.is_fifo():
            path.unlink()
        path.write_text(text)
        os.utime(path, ns=(SAME_TIME, SAME_TIME))

    def change(self):
        """Make a random change; return a description of it."""
        kinds = {
            self._rewrite: 8, self._remove: 3, self._restore_one: 4, self._set: 4, self._touch: 1,
            self._make_folder: 1, self._make_link: 2, self._retarget: 1, self._make_pipe: 1,
            self._mode: 2, self._damage_cache: 3, self._damage_answer: 1, self._switch_cache: 1,
            self._move: 3, self._swap_caches: 1, self.restore: 16, self._host: 3,
        }  # fmt: skip
        [kind] = self.rng.choices(list(kinds), list(kinds.values()))
        return f"{kind.__name__} {kind() or ''}"

    def _name(self):
        return self.rng.choice(list(TEXTS))

    def _rewrite(self):
        name = self._name()
        text = self.rng.choice(TEXTS[name])
        self.write(name, text)
        return name

    def _remove(self):
        name = self._name()
        self.remove(name)
        return name

    def _restore_one(self):
        name = self._name()
        self.remove(name)
        if name not in LATER:
            self.write(name, TEXTS[name][0])
        return name

    def _set(self):
        name = self.rng.choice(VARIABLES)
        value = self.rng.choice([None, None, "", "first", "second", "1"])
        self.variables.pop(name, None)
        if value is not None:
            self.variables[name] = value
        return f"{name}={value}"

    def _touch(self):
        name = self._name()
        if (self.root / name).is_file():
            os.utime(self.root / name)
        return name

    def _make_folder(self):
        name = self._name()
        self.remove(name)
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return name

    def _make_link(self):
        name = self._name()
        variant = self.rng.randrange(2)
        self.write(name, "")
        self.remove(name)
        for number, text in enumerate(TEXTS[name]):
            (self.aside / f"{name.replace('/', '+')}{number}").write_text(text)
        (self.root / name).symlink_to(self.aside / f"{name.replace('/', '+')}{variant}")
        return name

    def _retarget(self):
        links = [name for name in TEXTS if (self.root / name).is_symlink()]
        if not links:
            return self._make_link()
        name = self.rng.choice(links)
        target = (self.root / name).readlink()
        (self.root / name).unlink()
        (self.root / name).symlink_to(f"{str(target)[:-1]}{self.rng.randrange(3)}")
        return name

    def _make_pipe(self):
        name = self._name()
        self.write(name, "")
        self.remove(name)
        os.mkfifo(self.root / name)
        return name

    def _mode(self):
        name = self._name()
        if (self.root / name).is_file():
            (self.root / name).chmod(self.rng.choice([0o644, 0o755, 0o000]))
        return name

    def _damage_cache(self):
        found = sorted(self.cache.glob("assets/*/*"))
        if not found:
            return None
        entry = self.rng.choice(found)
        what = self.rng.choice(["envy-complete", "envy-deployed", "asset", ""])
        if what == "asset" or not what:
            shutil.rmtree(entry / what, ignore_errors=True)
        else:
            (entry / what).unlink(missing_ok=True)
        return f"{entry.name} {what}"

    def _damage_answer(self):
        found = sorted(self.cache.glob("resolved/*"))
        if not found:
            return None
        path = self.rng.choice(found)
        content = bytearray(path.read_bytes())
        position = self.rng.randrange(len(content))
        content[position] ^= 1 << self.rng.randrange(8)
        path.write_bytes(content[: self.rng.choice([len(content), len(content), position])])
        return path.name

    def _switch_cache(self):
        self.cache = self.rng.choice(self.caches)
        return self.cache.name

    def _swap_caches(self):
        """Swap the names of the two caches, with their answers."""
        one, other = self.caches
        between = one.with_name("between")
        for source, target in ((one, between), (other, one), (between, other)):
            if source.exists():
                source.rename(target)

    def _host(self):
        self.set_host(self.rng.choice(HOSTS))
        return self.host

    def _move(self):
        self.place = self.rng.choice(self.places)
        return self.place.name
