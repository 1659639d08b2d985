"""Start-up: the cost of envy before it does anything, and if there is nothing to do."""

import sys

FLOOR = "python -c pass"
PROJECT = 'packages = { { recipe = "local.one@r1", source = "one.lua" } }\n'
RECIPE = 'identity = "local.one@r1"\ninstall = function(ctx) ctx.mark_install_complete() end\n'


def run(bench, report):
    """Measure some commands and a bare interpreter, in turn."""
    project = bench.fresh("project")
    (project / "envy.lua").write_text(PROJECT)
    (project / "one.lua").write_text(RECIPE)
    envy = bench.envy
    bench.meter.median([envy, "sync", "-q"], runs=1, cwd=project)
    commands = {
        FLOOR: [sys.executable, "-c", "pass"],
        "envy --version": [envy, "--version"],
        "envy --help": [envy, "--help"],
        "envy asset, warm, one package": [envy, "asset", "one"],
        "envy sync, warm, one package": [envy, "sync"],
        "envy sync --verbose, one package, all cached": [envy, "sync", "--verbose"],
    }
    found = bench.meter.beside(commands.values(), runs=bench.count(25, 5), cwd=project)
    floor = found[0]
    report.floor(FLOOR, floor)
    for case, figures in list(zip(commands, found, strict=True))[1:]:
        report.row(case, figures, floor, against=FLOOR)
