"""Programs of the package index and of npm: `envy add pypi:…`, `envy x npm:…`."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_sdist, make_wheel
from test_first_contact import WARM


def test_an_entry_has_the_newest_version(project, package_index, npm_registry):
    """Or the one that was named; another package is another entry, and a lie is an error."""
    for version in ("1.0", "2.0", "3.0rc1"):
        package_index.add("tool", f"tool-{version}-py3-none-any.whl", make_wheel({"a": "b"}))
    for version in ("1.0.0", "10.0.0", "9.0.0", "11.0.0-rc.1"):
        npm_registry.add("@scope/thing", version, make_npm_tarball({"package.json": "{}"}))
    env = {"PIP_INDEX_URL": package_index.url, "npm_config_registry": npm_registry.url}
    manifest = project.manifest('packages = { "local.a@r1" }\n')
    words = ("add", "--no-install")
    project.envy(*words, "pypi:tool", "npm:@scope/thing", env=env, trace=False)
    pytool = '{ recipe = "envy.pytool@r1", options = { package = "tool", version = "2.0" } }'
    npmtool = (
        '{ recipe = "envy.npmtool@r1", options = { package = "@scope/thing", version = "10.0.0" } }'
    )
    assert pytool in manifest.read_text()
    assert npmtool in manifest.read_text()
    project.envy(*words, "pypi:tool@1.0", env=env, trace=False)
    assert pytool.replace("2.0", "1.0") in manifest.read_text()
    rows = project.envy("outdated", env=env, code=None, trace=False).out
    assert any("1.0" in row and "2.0" in row and "tool" in row for row in rows.splitlines())
    before = manifest.read_text()
    run = project.envy(*words, "pypi:tool@4", env=env, code=1, trace=False)
    assert "pypi:tool@4: there is no such version\n  hint: the nearest: 3.0rc1, 2.0, 1.0" in run.err
    run = project.envy(*words, "npm:@scope/thing@2.0.0", env=env, code=1, trace=False)
    assert "the nearest: 10.0.0, 9.0.0, 1.0.0" in run.err
    run = project.envy(*words, "pypi:nothing", env=env, code=1, trace=False)
    assert "has no package nothing" in run.err
    run = project.envy(*words, "pypi:tool", "pypi:tool@1.0", env=env, code=2, trace=False)
    assert "pypi:tool and pypi:tool@1.0 are the same recipe, envy.pytool@r1 tool" in run.err
    assert manifest.read_text() == before
    run = project.envy(*words, "pypi:Tool", env=env, trace=False)
    assert 'envy.pytool@r1{package="tool",version="1.0"} is in envy.lua:' in run.err
    assert manifest.read_text() == before
    project.envy("remove", "thing", "pypi:tool", env=env, trace=False)
    assert "options" not in manifest.read_text()
    project.manifest('packages = { { recipe = "envy.pytool@r1", options = { package = "../x" } } }')
    run = project.envy("sync", code=1, trace=False)
    assert 'option `package` is "../x", which is not the name of a package' in run.err


@pytest.mark.network
def test_a_program_of_the_index_is_run_once(project, tmp_path):
    """It has its own environment, and a warm run needs nothing but the answer."""
    words = ("x", "pypi:cowsay@6.1", "--", "-t", "hello")
    run = project.envy(*words)
    assert "| hello |" in run.out
    again = subprocess.run(
        [sys.executable, "-c", WARM, *words],
        cwd=tmp_path,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (again.stdout, again.stderr) == (run.out, "")
    run = project.envy("x", "--program", "cow", "pypi:cowsay@6.1", code=1, trace=False)
    assert "there is no program cow in bin; there is cowsay" in run.err


@pytest.mark.network
@pytest.mark.needs("npm")
def test_a_program_of_npm(project):
    """It has its dependencies, from a lock; no script of a package runs."""
    options = '{ package = "semver", version = "7.7.3" }'
    project.manifest(f'packages = {{ {{ recipe = "envy.npmtool@r1", options = {options} }} }}')
    assert project.envy("run", "semver", "1.2.3", "--increment").out == "1.2.4\n"
    folder = project.envy("asset", "semver", trace=False).out.strip()
    assert "integrity" in (Path(folder) / "package-lock.json").read_text()
    for more in (
        'version = "file:/a"',
        'version = "../a"',
        'with = { "--force" }',
        'with = { "a/b" }',
    ):
        options = f'{{ package = "semver", {more} }}'
        project.manifest(f'packages = {{ {{ recipe = "envy.npmtool@r1", options = {options} }} }}')
        run = project.envy("sync", code=1, trace=False)
        assert "is not a package of the registry" in run.err


def test_releases_in_the_lock(project, npm_registry, package_index):
    """A release with its shrinkwrap, and an sdist, are packages that the lock pins."""
    inner = make_npm_tarball({"package.json": "{}", "cli.js": "#!"})
    digest = base64.b64encode(hashlib.sha512(inner).digest()).decode()
    pins = {"node_modules/inner": {"version": "1.0.0", "integrity": f"sha512-{digest}"}}
    pins["node_modules/inner"]["bin"] = {"inner": "cli.js"}
    files = {"package.json": "{}", "npm-shrinkwrap.json": json.dumps({"packages": pins})}
    npm_registry.add("inner", "1.0.0", inner)
    npm_registry.add("tool", "1.0.0", make_npm_tarball(files))
    sdist = make_sdist("thing-1.0", {"setup.py": "", "pyproject.toml": ""})
    package_index.add("thing", "thing-1.0.tar.gz", sdist)
    env = {"PIP_INDEX_URL": package_index.url, "npm_config_registry": npm_registry.url}
    body = (
        'fetch = { { source = "npm:tool@1.0.0", shrinkwrap = true, into = "npm" },\n'
        '  { source = "pypi:thing==1.0", kind = "sdist", strip = 1, into = "pypi" } }'
    )
    folder = project.make(body, env=env)
    link = folder / "npm/node_modules/.bin/inner"
    assert (str(link.readlink()), os.access(link, os.X_OK)) == ("../inner/cli.js", True)
    assert (folder / "pypi/setup.py").is_file()
    project.envy("lock", env=env, trace=False)
    lock = (project.root / "envy.lock").read_text()
    assert "npm:tool@1.0.0" in lock
    assert "pypi:thing==1.0#sdist" in lock
    project.sync_one(f"{body}\nwritable = true", "--offline", "--locked", env=env)
    npm_registry.add("tool", "1.0.0", make_npm_tarball({**files, "more": ""}))
    npm_registry.add("other", "1.0.0", make_npm_tarball({"package.json": "{}"}))
    run = project.sync_one(body.replace("tool@", "other@"), env=env, code=1)
    assert "npm:other@1.0.0 has no npm-shrinkwrap.json" in run.err
    assert "recipes/local.one@r1.lua" in run.err
