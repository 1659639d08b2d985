"""`envy sync` on recipes of the project: what is installed, what is cached, what is printed."""

from pathlib import Path


def test_a_package_is_installed_once_and_found_after(project):
    """The first sync installs, the second finds everything and runs no script."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", 'install = "echo hello > hello.txt"')
    first = project.envy("sync")
    assert "1 installed" in first.err
    second = project.envy("sync")
    assert "1 cached" in second.err
    assert second.named("lua_ctx_run_start") == []
    folder = project.envy("asset", "hello").out.strip()
    assert (Path(folder) / "hello.txt").read_text() == "hello\n"


def test_two_projects_share_what_is_built(project, second_project):
    """The same recipe of another project, with the same cache, is a hit."""
    for one in (project, second_project):
        one.packages("local.hello@r1")
        one.recipe("local.hello@r1", 'install = "echo hello > hello.txt"')
    project.envy("sync")
    assert "1 cached" in second_project.envy("sync").err
