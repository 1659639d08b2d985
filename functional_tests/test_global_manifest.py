"""The user's own manifest, which is used where no other is found."""

import subprocess
import sys

import pytest
from test_first_contact import WARM

TOOL = (
    'identity = "local.tool@r1"\nproducts = { tool = "bin/tool" }\n'
    'install = function(ctx) ctx.write("bin/tool", "#!/bin/sh\\necho tool $*\\n")\n'
    '  ctx.run("chmod +x bin/tool") end\n'
)


@pytest.fixture
def own(project, tmp_path):
    """Run envy with a settings folder of its own, in a folder without a project."""
    settings = tmp_path / "settings"
    recipe = tmp_path / "local.tool@r1.lua"
    recipe.write_text(TOOL)
    (project.root / ".git").mkdir()

    def envy(*words, env=None, **options):
        given = {"XDG_CONFIG_HOME": str(settings), "ENVY_MANIFEST": "", **(env or {})}
        return project.envy(*words, env=given, trace=False, **options)

    envy.manifest = settings / "envy" / "envy.lua"
    envy.recipe = recipe
    return envy


def test_own_packages_are_there_where_no_project_is(own, project, tmp_path):
    """`add --global` creates it; every command finds it, warm or not; a project is never merged."""
    assert "--global changes your own" in own("add", own.recipe, code=1).err
    own("add", "--global", "nonsense", code=1)
    own("add", "--global", own.recipe, "nonsense", code=1)
    assert not own.manifest.exists()
    broken = tmp_path / "local.bad@r1.lua"
    broken.write_text('identity = "local.bad@r1"\ninstall = "exit 3"\n')
    own("add", "--global", broken, code=1)
    assert not own.manifest.exists()

    assert f"added local.tool@r1 to {own.manifest}" in own("add", "--global", own.recipe).err
    own("sync")
    assert own("run", "tool", "a").out == "tool a\n"
    warm = subprocess.run(
        [sys.executable, "-c", WARM, "run", "tool", "b"],
        cwd=project.root,
        env=project.environment({"XDG_CONFIG_HOME": str(own.manifest.parent.parent)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (warm.stdout, warm.stderr) == ("tool b\n", "")
    assert "local.tool@r1" in own("list").out
    assert "local.tool@r1" in own("why", "tool").out
    own("lock")
    assert own.manifest.with_name("envy.lock").exists()
    own("outdated")
    shown = own("doctor", env={"PIP_INDEX_URL": "x", "npm_config_registry": "x"}, code=None).out
    assert f"{own.manifest}" in shown
    assert "no other is found" in shown
    # What changes a manifest, or belongs to one folder, takes no other.
    assert "--global changes your own" in own("remove", "tool", code=1).err
    assert "--global changes your own" in own("upgrade", code=1).err
    assert "no envy.lua in" in own("bootstrap", code=1).err
    own("upgrade", "--global")

    project.manifest("packages = {}")
    assert "no package answers to 'tool'" in own("asset", "tool", code=1).err
    assert own("list").out == "(no packages)\n"
    run = own("add", "--global", own.recipe, code=2, env={"ENVY_MANIFEST": "envy.lua"})
    assert "--global does not go with another manifest" in run.err
    run = own("add", "--global", own.recipe, code=1, env={"XDG_CONFIG_HOME": "", "HOME": "x"})
    assert "this user has no settings folder\n  hint: set HOME or XDG_CONFIG_HOME" in run.err
    own("remove", "--global", "tool")
    assert "tool" not in own.manifest.read_text()
    assert (project.root / "envy.lua").read_text() == "packages = {}"


def test_a_settings_folder_that_cannot_be(own, tmp_path):
    """It is an error that names it, as is a manifest that is missing or no file."""
    for words in (("remove", "--global", "tool"), ("upgrade", "--global")):
        run = own(*words, code=1)
        assert f"you have no manifest of your own, {own.manifest}\n" in run.err
        assert "hint: envy add --global NAME creates it" in run.err
    own.manifest.parent.mkdir(parents=True)
    for make, unmake in (
        (own.manifest.mkdir, own.manifest.rmdir),
        (lambda: own.manifest.symlink_to("nowhere"), own.manifest.unlink),
    ):
        make()
        for words in (("add", "--global", own.recipe), ("remove", "--global", "tool")):
            assert f"{own.manifest}, your own manifest, is not a file" in own(*words, code=1).err
        unmake()
    own.manifest.parent.rmdir()
    own.manifest.parent.parent.rmdir()
    own.manifest.parent.parent.write_text("a file")
    run = own("add", "--global", own.recipe, code=1)
    assert f"{own.manifest.parent} is not a folder" in run.err or "cannot be created" in run.err
