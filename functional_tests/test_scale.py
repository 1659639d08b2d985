"""Many recipes: no more at once than requested, few threads, few open files.

The graphs of 2,000 and of 5,000 recipes take about ten and thirty seconds.
"""

import random
import resource
import subprocess
from pathlib import Path

import pytest

JOBS, FETCH_JOBS = 3, 2


def test_never_more_than_jobs_scripts_run_at_once(project, tmp_path):
    """With --jobs 4, at most four of 100 install scripts run at the same time."""
    record = tmp_path / "record.txt"
    names = [f"local.p{number}@r1" for number in range(100)]
    project.packages(*names)
    four = f"until [ $(grep -c begin {record}) -ge 4 ]; do sleep 0.01; done"
    for name in names:
        project.recipe(
            name,
            f'install = "echo begin >> {record}; {four}; sleep 0.1; echo end >> {record}; touch x"',
        )
    project.envy("sync", "--jobs", "4", trace=False)
    running = most = 0
    for word in record.read_text().split():
        running += 1 if word == "begin" else -1
        most = max(most, running)
    assert (running, most) == (0, 4)


def generate(project, shape, entry, many):
    """Write many recipes, as a chain or each with up to three random dependencies."""
    rng = random.Random(1)
    project.packages(*[f"local.p{number}@r1" for number in range(many)])
    for number in range(many):
        earlier = range(number)
        if shape == "chain":
            needed = list(earlier[-1:])
        else:
            needed = rng.sample(earlier, min(3, number))
        rows = "".join(f'{{ recipe = "local.p{other}@r1"{entry} }}, ' for other in needed)
        install = "function(ctx) ctx.mark_install_complete() end"
        if number % 50 == 0:
            install = '"echo installed > file.txt"'
        project.recipe(f"local.p{number}@r1", f"dependencies = {{ {rows} }}\ninstall = {install}")


def with_few_files():
    """Limit the process that is started to 256 open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def most_threads_of(process):
    """Wait for a process to end; return the largest number of threads that was seen."""
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
        ("chain", ', needed_by = "build", use = "build"', 1000),
        ("random", ', needed_by = "build"', 2000),
    ],
)
def test_thousands_of_recipes_need_few_threads_and_files(project, shape, entry, many):
    """A sync needs at most 256 open files, and eight threads more than slots."""
    generate(project, shape, entry, many)
    words = ("sync", "--quiet", "--jobs", JOBS, "--fetch-jobs", FETCH_JOBS)
    process = project.popen(*words, preexec_fn=with_few_files, stderr=subprocess.DEVNULL)
    most = most_threads_of(process)
    assert process.returncode == 0
    assert most <= JOBS + FETCH_JOBS + 8
    assert len(project.markers()) == many
    second = project.envy("sync", trace=False)
    assert f"{many} packages, 0 failed ({many} cached)" in second.err


def test_large_payloads_need_few_threads_too(project):
    """Publishing many files of several packages at once stays within the same limit."""
    names = [f"local.p{number}@r1" for number in range(12)]
    project.packages(*names)
    for name in names:
        project.recipe(name, 'install = "for i in $(seq 300); do echo $i > $i.txt; done"')
    words = ("sync", "--quiet", "--jobs", "6", "--fetch-jobs", "1")
    process = project.popen(*words, stderr=subprocess.DEVNULL)
    most = most_threads_of(process)
    assert process.returncode == 0
    assert most <= 6 + 1 + 8
