"""A project with every kind of source that a lock holds, and its servers; a plain module."""

import hashlib
import random
import time

from archives import make_tar
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_wheel

from envy.cli.lock import lock_file
from envy.cli.settings import Settings

WHEELS = {
    "linux-x86_64": "manylinux_2_17_x86_64",
    "linux-arm64": "manylinux_2_28_aarch64",
    "darwin-x86_64": "macosx_10_9_x86_64",
    "darwin-arm64": "macosx_11_0_arm64",
    "windows-x86_64": "win_amd64",
}
MANIFEST = """packages = {
  "local.wheel@r1", "local.npm@r1", "local.plain@r1", "local.fixed@r1", "local.clone@r1",
  "local.weak@r1", "local.acts@r1",
  { recipe = "vendor.tool@v3", source = "SERVER/tool.lua" },
}
"""
RECIPES = {
    "local.wheel@r1": 'fetch = "pypi:tool==1.0"',
    "local.npm@r1": 'fetch = "npm:@s/left@1.0.0"',
    "local.plain@r1": 'fetch = { { source = "SERVER/plain.tar" }, '
    '{ source = "SERVER/" .. ENVY_PLATFORM .. ".bin", dest = "host.bin" } }',
    "local.fixed@r1": 'fetch = { source = "SERVER/fixed.tar", sha256 = "FIXED" }',
    "local.clone@r1": 'fetch = { source = "REPOSITORY", ref = "main" }',
    "local.weak@r1": 'dependencies = { { recipe = "plain", weak = { recipe = "local.other@r1", '
    'source = "other.lua" } } }\nfetch = function() return { source = "SERVER/plain.tar" } end',
    "local.acts@r1": 'fetch = function(ctx) ctx.commit_fetch(ctx.fetch("SERVER/plain.tar")) end',
}
TOOL = 'identity = "vendor.tool@v3"\ninstall = "echo {} > tool.txt"\n'


class LockWorld:
    """The project, with the environment that its registries need."""

    def __init__(self, project, server, index, registry, repository):
        self.project, self.server, self.index = project, server, index
        self.repository = repository
        for tag in WHEELS.values():
            wheel = make_wheel({"tool/tool.txt": tag})
            index.add("tool", f"tool-1.0-py3-none-{tag}.whl", wheel)
        registry.add("@s/left", "1.0.0", make_npm_tarball({"left.js": "left"}))
        self.commit = repository.commit({"clone.txt": "one"})
        fixed = make_tar({"fixed.txt": "fixed"})
        server.routes["/fixed.tar"] = Reply(fixed)
        server.routes["/plain.tar"] = Reply(make_tar({"plain.txt": "plain"}))
        for system in ("linux", "darwin", "windows"):
            server.routes[f"/{system}.bin"] = Reply(system.encode())
        self.publish_tool("one")
        self.words = {
            "SERVER": server.url,
            "REPOSITORY": repository.url,
            "FIXED": hashlib.sha256(fixed).hexdigest(),
        }
        self.environment = {"PIP_INDEX_URL": index.url, "npm_config_registry": registry.url}
        self.write()

    def write(self, manifest=MANIFEST):
        """Write the manifest and the recipes."""
        self.project.manifest(self.filled(manifest))
        for identity, body in RECIPES.items():
            self.project.recipe(identity, self.filled(body))

    def filled(self, text):
        """Return a text with the addresses of the servers."""
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def publish_tool(self, text):
        """Change the recipe file that has no digest, upstream."""
        self.server.routes["/tool.lua"] = Reply(TOOL.format(text).encode())

    def delay(self, seed):
        """Let each answer of the server take a little while, another in each run."""
        chance = random.Random(seed)
        answer = type(self.server).answer

        def late(request):
            time.sleep(chance.random() / 500)
            return answer(self.server, request)

        self.server.answer = late

    @property
    def path(self):
        """The lock."""
        return self.project.root / "envy.lock"

    def envy(self, *words, **details):
        """Run envy with the registries."""
        env = {**self.environment, **details.pop("env", {})}
        return self.project.envy(*words, env=env, **details)

    def settings(self, *, jobs=4, cache=None):
        """Return the settings of a command in this process."""
        return Settings(
            manifest=self.project.root / "envy.lua",
            cache_root=cache or self.project.cache,
            fetch_jobs=jobs,
            quiet=True,
            environment=self.project.environment(self.environment),
        )

    def lock_here(self, platform=None, *, jobs=4, cache=None, **details):
        """Make the lock in this process, as on a machine of that platform."""
        return lock_file(self.settings(jobs=jobs, cache=cache), platform=platform, **details)

    def entry(self, words):
        """Return the only line of the lock that contains all these words."""
        lines = self.path.read_text().splitlines()
        [line] = [line for line in lines if all(word in line for word in words.split())]
        return line
