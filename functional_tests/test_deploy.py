"""`deploy`: repeatable work after publishing, whose success is recorded beside the entry."""

import pytest
from project import tree


def counted(project, tmp_path, body="", deploy=""):
    """Write a recipe that records each build and each deploy."""
    return f"""build = "echo built >> {tmp_path}/builds; echo made > made"
    deploy = function(ctx, opts)
      ctx.run("echo deployed >> {tmp_path}/deploys")
      {deploy}
    end
    {body}"""


def lines(path):
    """Return how many runs were recorded."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_deploy_runs_once_for_an_entry(project, tmp_path):
    """It follows the install; an entry with a record is not deployed again."""
    body = counted(project, tmp_path)
    run = project.sync_one(body)
    [installed] = run.named("phase_complete", phase="install")
    [deployed] = run.named("phase_start", phase="deploy")
    assert installed["seq"] < deployed["seq"]
    project.sync_one(body)
    assert lines(tmp_path / "deploys") == 1


def test_a_failed_deploy_is_tried_again_alone(project, tmp_path):
    """The published entry stays; the next sync deploys it and builds nothing."""
    body = counted(
        project, tmp_path, deploy=f'ctx.run("test -e {tmp_path}/ready || {{ echo why; exit 3; }}")'
    )
    first = project.sync_one(body, code=1)
    assert "deploy failed" in first.err
    assert "exited 3" in first.err
    assert project.markers() == ["local.one@r1"]
    (tmp_path / "ready").touch()
    second = project.sync_one(body)
    assert second.named("phase_start", phase="deploy")
    assert second.named("phase_start", phase="build") == []
    project.sync_one(body)
    assert (lines(tmp_path / "builds"), lines(tmp_path / "deploys")) == (1, 2)


def test_dependents_wait_for_the_deploy(project, tmp_path):
    """A package whose deploy fails is not complete, and its dependents are not built."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", counted(project, tmp_path, deploy='ctx.run("exit 3")'))
    project.recipe("local.app@r1", 'dependencies = { "local.tool@r1" }\ninstall = "touch x"')
    project.envy("sync", code=1)
    assert project.markers() == ["local.tool@r1"]


def test_deploy_can_use_its_asset_and_its_dependencies(project, tmp_path):
    """It runs in the asset, which ctx names; products and assets of dependencies are available."""
    project.packages("local.app@r1")
    project.recipe(
        "local.tool@r1", 'install = "touch t"\nproducts = { t = { path = "t", kind = "file" } }'
    )
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ {{ recipe = "local.tool@r1", needed_by = "deploy" }} }}
        install = "echo x > x"
        deploy = function(ctx)
          local seen = table.concat({{ ctx.asset_dir, ctx.asset("tool"), ctx.product("t") }}, "\\n")
          ctx.run("pwd > {tmp_path}/seen; printf %s " .. ctx.quote(seen) .. " >> {tmp_path}/seen")
        end""",
    )
    run = project.envy("sync")
    app, tool = run.folder("local.app@r1"), run.folder("local.tool@r1")
    assert (tmp_path / "seen").read_text() == f"{app}\n{app}\n{tool}\n{tool}/t"


def test_a_late_deploy_waits_for_its_dependencies(project, tmp_path):
    """A deploy that is still missing gets its dependencies, rebuilt if they were removed."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > t"')
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ {{ recipe = "local.tool@r1", needed_by = "deploy" }} }}
        install = "echo x > x"
        deploy = function(ctx)
          ctx.run("test -e {tmp_path}/ready && cat " .. ctx.asset("tool") .. "/t")
        end""",
    )
    project.envy("sync", code=1)
    (tmp_path / "ready").touch()
    [tool] = [entry for name, entry in project.entries() if name == "local.tool@r1"]
    tool.rename(tmp_path / "gone")
    run = project.envy("sync")
    [made] = run.named("phase_complete", recipe="local.tool@r1", phase="completion")
    [start] = run.named("phase_start", recipe="local.app@r1", phase="deploy")
    assert made["seq"] < start["seq"]


def test_a_late_deploy_has_its_build_dependencies(project, tmp_path):
    """A repeated deploy may use build dependencies."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > t"')
    project.recipe(
        "local.app@r1",
        f"""dependencies = {{ {{ recipe = "local.tool@r1", use = "build" }} }}
        install = "echo x > x"
        deploy = function(ctx)
          ctx.run("test -e {tmp_path}/ready && cat " .. ctx.asset("tool") .. "/t")
        end""",
    )
    project.envy("sync", code=1)
    (tmp_path / "ready").touch()
    [tool] = [entry for name, entry in project.entries() if name == "local.tool@r1"]
    tool.rename(tmp_path / "gone")
    project.envy("sync")


@pytest.mark.parametrize("call", ['write("x", "y")', 'copy("a", "b")', 'remove("made")'])
def test_deploy_has_no_functions_that_change_the_asset(project, tmp_path, call):
    """A published asset does not change."""
    run = project.sync_one(counted(project, tmp_path, deploy=f"ctx.{call}"), code=1)
    assert "is not available in deploy" in run.err


def test_an_edited_recipe_is_deployed_again(project, tmp_path):
    """A new entry has its own record."""
    body = counted(project, tmp_path)
    project.sync_one(body)
    folder = project.make(body + "\n-- edited")
    assert tree(folder) == {"made": "made\n"}
    assert lines(tmp_path / "deploys") == 2


def test_a_package_without_its_deploy_is_not_installed(project, tmp_path):
    """asset --no-install prints no path of a package whose deploy failed."""
    project.sync_one(counted(project, tmp_path, deploy='ctx.run("exit 3")'), code=1)
    run = project.envy("asset", "one", "--no-install", code=1)
    assert "not installed: local.one@r1" in run.err
