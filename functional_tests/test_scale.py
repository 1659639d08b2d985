"""Many recipes: never more at once than asked for, few threads, few open files.

The graphs of 2,000 and of 5,000 take some ten and thirty seconds.
"""

import random
import resource
import subprocess
from pathlib import Path

import pytest

JOBS, FETCH_JOBS = 3, 2


def test_never_more_than_jobs_scripts_run_at_once(project, tmp_path):
    """300 independent recipes whose install sleeps note their begin and end: four at most."""
    record = tmp_path / "record.txt"
    names = [f"local.p{number}@r1" for number in range(300)]
    project.packages(*names)
    for name in names:
        project.recipe(
            name, f'install = "echo begin >> {record}; sleep 0.2; echo end >> {record}; touch x"'
        )
    project.envy("sync", "--jobs", "4", trace=False)
    running = most = 0
    for word in record.read_text().split():
        running += 1 if word == "begin" else -1
        most = max(most, running)
    assert (running, most) == (0, 4)


def generate(project, shape, entry, many):
    """A manifest of many recipes, as a chain or with up to three dependencies drawn at random."""
    draw = random.Random(1)
    project.packages(*[f"local.p{number}@r1" for number in range(many)])
    for number in range(many):
        earlier = range(number)
        if shape == "chain":
            needed = list(earlier[-1:])
        else:
            needed = draw.sample(earlier, min(3, number))
        rows = "".join(f'{{ recipe = "local.p{other}@r1"{entry} }}, ' for other in needed)
        install = "function(ctx) ctx.mark_install_complete() end"
        if number % 50 == 0:
            install = '"echo installed > file.txt"'
        project.recipe(f"local.p{number}@r1", f"dependencies = {{ {rows} }}\ninstall = {install}")


def with_few_files():
    """Allow 256 open files in the process that is started."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def most_threads_of(process):
    """Wait for a process to end; returns how many threads it had at most when looked at."""
    most = 0
    while True:
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            most = max(most, len(list(Path(f"/proc/{process.pid}/task").iterdir())))
        else:
            return most


@pytest.mark.parametrize(
    ("shape", "entry", "many"),
    [
        ("chain", ', needed_by = "build", use = "build"', 2000),
        ("random", ', needed_by = "build"', 5000),
    ],
)
def test_thousands_of_recipes_need_few_threads_and_files(project, shape, entry, many):
    """Thousands of recipes sync with 256 open files, and at most eight threads more than slots."""
    generate(project, shape, entry, many)
    words = ("sync", "--quiet", "--jobs", JOBS, "--fetch-jobs", FETCH_JOBS)
    process = project.popen(*words, preexec_fn=with_few_files, stderr=subprocess.DEVNULL)
    most = most_threads_of(process)
    assert process.returncode == 0
    assert most <= JOBS + FETCH_JOBS + 8
    assert len(project.markers()) == many
    second = project.envy("sync", trace=False)
    assert f"{many} packages, 0 user-managed, 0 failed ({many} cached)" in second.err


def test_large_payloads_need_few_threads_too(project):
    """Publishing thousands of files in several recipes at once stays within the same bound."""
    names = [f"local.p{number}@r1" for number in range(12)]
    project.packages(*names)
    for name in names:
        project.recipe(name, 'install = "for i in $(seq 300); do echo $i > $i.txt; done"')
    words = ("sync", "--quiet", "--jobs", "6", "--fetch-jobs", "1")
    process = project.popen(*words, stderr=subprocess.DEVNULL)
    most = most_threads_of(process)
    assert process.returncode == 0
    assert most <= 6 + 1 + 8
