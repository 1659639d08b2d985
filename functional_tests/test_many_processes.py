"""Several envy processes and one cache: each entry is built once, even if a process is killed."""

import os

from project import Project, is_running

RECIPES = 6


def plan(project, record, dependency="", install=""):
    """Write recipes that append their name to a record; each depends on the two before it."""
    names = [f"local.p{number}@r1" for number in range(RECIPES)]
    project.packages(*names)
    for number, name in enumerate(names):
        needed = names[max(0, number - 2) : number]
        rows = "".join(f'{{ recipe = "{other}"{dependency} }}, ' for other in needed)
        project.recipe(
            name,
            f"dependencies = {{ {rows} }}\n"
            'build = "echo built > built.txt"\n'
            f"install = [[ echo {name} >> {record}; cp $ENVY_STAGE_DIR/built.txt .; {install} ]]",
        )
    return names


def sync_at_once(projects):
    """Sync all projects at the same time; return the exit code and errors of each."""
    runs = [project.popen("sync", "--jobs", "2") for project in projects]
    output = [run.communicate(timeout=300) for run in runs]
    return [(run.returncode, err.decode()) for run, (_, err) in zip(runs, output, strict=True)]


def test_ten_processes_install_each_recipe_once(project, tmp_path):
    """Ten syncs of one empty cache all succeed, and no install runs twice."""
    record = tmp_path / "installed.txt"
    names = plan(project, record)
    ended = sync_at_once([project] * 10)
    assert [code for code, _ in ended] == [0] * 10, ended
    assert sorted(record.read_text().split()) == names
    assert project.markers() == names
    assert project.held_locks() == []


def test_ten_processes_with_late_dependencies_install_each_recipe_once(project, tmp_path):
    """The same holds if each recipe releases its entry during a build to wait for a dependency."""
    record = tmp_path / "installed.txt"
    names = plan(project, record, dependency=', needed_by = "build", use = "build"')
    ended = sync_at_once([project] * 10)
    assert [code for code, _ in ended] == [0] * 10, ended
    assert sorted(record.read_text().split()) == names
    assert project.markers() == names


def test_ten_projects_install_each_recipe_once(project, tmp_path):
    """Ten projects with the same recipes share one entry for each."""
    record = tmp_path / "installed.txt"
    projects = [Project(tmp_path / f"project{n}", cache=project.cache) for n in range(10)]
    for each in projects:
        names = plan(each, record)
    ended = sync_at_once(projects)
    assert [code for code, _ in ended] == [0] * 10, ended
    assert sorted(record.read_text().split()) == names


def test_a_killed_process_leaves_a_cache_that_the_next_one_continues(project, tmp_path):
    """After SIGKILL during an install, only the incomplete package is rebuilt."""
    record, fifo = tmp_path / "installed.txt", tmp_path / "reached.fifo"
    os.mkfifo(fifo)
    armed = tmp_path / "armed"
    armed.touch()
    names = plan(
        project,
        record,
        install=f"if [ $(basename $PWD) = asset ] && [ -e {armed} ] && "
        f"[ $(wc -l < {record}) = 4 ]; then echo $$ > {fifo}; sleep 600; fi",
    )
    victim = project.popen("sync")
    orphan = int(fifo.read_text())
    others = [project.popen("sync") for _ in range(3)]
    armed.unlink()
    victim.kill()
    victim.communicate(timeout=300)
    output = [other.communicate(timeout=300)[1] for other in others]
    assert [other.returncode for other in others] == [0, 0, 0], output
    project.envy("sync")
    assert project.markers() == names
    assert sorted(record.read_text().split()) == sorted([*names, names[3]])
    assert not is_running(orphan)
