"""Addresses that no URL can be: in sources, on the command line, and in the user's settings."""

import pytest

BAD = ("https://[x/y.lua", "https://host:99999/y.lua", "https://a b/y.lua", "https://h:x/y.lua")


@pytest.mark.parametrize("address", BAD)
def test_sources(project, address):
    """A recipe, a mirror and each command that takes an address say which form it has."""
    said = f'"{address}" is not of the form https://HOST/PATH'
    project.manifest('packages = { "local.a@r1" }')
    project.recipe("local.a@r1", f'fetch = {{ source = "{address}" }}')
    assert f"recipes/local.a@r1.lua:2: {said}" in project.envy("sync", code=1).err
    for words in (("add", address), ("fetch", address), ("new", "archive", "b", "--url", address)):
        assert project.envy(*words, code=1, trace=False).err == f"error: {said}\n"
    run = project.envy("bootstrap", "--index-url", address, code=2, trace=False)
    assert f"--index-url {address} is not the address of a package index" in run.err


def test_settings(project):
    """Those of pip, npm and the proxy are named, with where to look."""
    project.manifest("packages = {}")
    for name, word, said in (
        ("PIP_INDEX_URL", "pypi:x", "a package index of pip is https://[x/, which is not"),
        ("npm_config_registry", "npm:x", "the registry of npm is https://[x/, which is not"),
        ("https_proxy", "https://host.invalid/x.lua", "the proxy is https://[x/, which is not"),
    ):
        env = {name: "https://me:secret@[x/", "no_proxy": "", "NO_PROXY": ""}
        run = project.envy("add", word, code=1, trace=False, env=env)
        assert said in run.err
        assert "hint: " in run.err
        assert "secret" not in run.err
        assert "Traceback" not in run.err
