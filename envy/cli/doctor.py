"""`envy doctor`: show versions, configuration, machine and cache, and what is wrong with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from envy.cli.doctor_cache import check_cache
from envy.cli.doctor_machine import check_network, check_platform, check_programs, check_software
from envy.cli.doctor_report import Report
from envy.cli.doctor_settings import check_settings, check_terminal, usable_settings
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import HELP_OPTIONS, EnvyCommand, Invocation, common_options
from envy.cli.output import print_data, print_result
from envy.cli.settings import current_directory
from envy.console.say_styled import say_styled
from envy.console.text import safe_line, safe_lines
from envy.errors import EnvyError
from envy.masking import masked_data


@click.command(
    cls=EnvyCommand,
    short_help="Show what envy runs on, and what is wrong with it.",
    context_settings=HELP_OPTIONS,
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Show what envy runs on and how it is configured, and name what is wrong, with a remedy.

    The report has the versions of envy and its libraries, the platform, the programs that envy
    runs, the configuration and where each value comes from (an option, a variable or the default),
    proxies, certificates and registries, the terminal, and the cache with its file system and
    health. It contains no secrets, so it can be part of a bug report. No manifest is needed, no
    recipe is read, and nothing is downloaded. The exit code is 1 if something does not work.
    """
    # The settings are not merged yet: a variable that is not valid is a finding here.
    invocation = click.get_current_context().ensure_object(Invocation)
    report = _examined(invocation)
    if as_json:
        print_data(json.dumps(masked_data(_document(report)), indent=2))
    else:
        print_result("\n".join(safe_line(line) for line in _lines(report)))
        _print_findings(report, invocation)
    return FAILURE if report.is_broken else SUCCESS


def _examined(invocation: Invocation) -> Report:
    report = Report()
    settings = usable_settings(report, invocation)
    check_software(report)
    check_platform(report, settings.environment)
    check_programs(report, settings.environment)
    check_settings(report, settings, invocation.given)
    check_network(report, settings.environment, _folder())
    check_terminal(report, settings.environment)
    check_cache(report, settings, invocation.given)
    return report


def _folder() -> Path:
    """Return the folder whose settings of npm count; the root where it has been removed."""
    try:
        return current_directory()
    except EnvyError:
        return Path("/")


def _lines(report: Report) -> Iterator[str]:
    width = max(len(value.name) for value in report.values)
    section = ""
    for value in report.values:
        if value.section != section:
            yield from ([""] if section else [])
            section = value.section
            yield section
        origin = f"  ({value.origin})" if value.origin else ""
        yield f"  {value.name:<{width}}  {value.value}{origin}"


def _print_findings(report: Report, invocation: Invocation) -> None:
    for finding in report.findings:
        # Some problems, such as those of a lock, say themselves what to do.
        hint = f"\n  hint: {finding.remedy}" if finding.remedy else ""
        text = f"{finding.level}: {finding.section}: {finding.problem}{hint}"
        say_styled(sys.stderr, safe_lines(text), invocation.environment)
    if not report.findings:
        print_result("\nnothing is wrong")


def _document(report: Report) -> dict[str, object]:
    sections: dict[str, list[dict[str, object]]] = {}
    for value in report.values:
        row: dict[str, object] = {"name": value.name, "value": value.value, "from": value.origin}
        sections.setdefault(value.section, []).append(row)
    findings = [
        {
            "section": finding.section,
            "level": finding.level,
            "problem": finding.problem,
            "remedy": finding.remedy,
        }
        for finding in report.findings
    ]
    return {"broken": report.is_broken, "findings": findings, "sections": sections}


command.params += common_options()
command.examples = [
    ("envy doctor", "what envy runs on, and what is wrong"),
    ("envy doctor --json", "for scripts, or a bug report"),
]
