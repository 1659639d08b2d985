"""What the manifest's rows of `tests.settings` mean for the packages of a run."""

from __future__ import annotations

from collections.abc import Sequence

from envy.declarations.test_rules import TestRule
from envy.errors import DeclarationError
from envy.scheduler.coordination import Coordination
from envy.scheduler.coordinator import Coordinator
from envy.testing.package import RunSettings, TestPackage, TestPhase


def check_rules(rules: Sequence[TestRule], packages: Sequence[TestPackage]) -> None:
    """Check that each row that names packages can apply to some of them.

    Raises:
        DeclarationError: one cannot.
    """
    for rule in rules:
        named = [package for package in packages if rule.matches_package(package.name)]
        if not (rule.package and named and all(package.is_open for package in named)):
            continue
        name = named[0].name
        if rule.test:
            raise DeclarationError(
                f"`test` of tests.settings cannot apply to {name}, whose tests are known only when "
                "they have run",
                origin=rule.origin,
                hint="a row without `test` is for all of its tests",
            )
        if rule.retries is not None:
            raise DeclarationError(
                f"`retries` of tests.settings cannot apply to {name}, whose tests cannot be run "
                "one by one",
                origin=rule.origin,
            )


def serial_tests(settings: RunSettings, package: str, names: Sequence[str]) -> list[str]:
    """Return the tests of a package that run alone."""
    return [name for name in names if settings.is_serial(package, name)]


def order_serial(
    coordinator: Coordinator, nodes: Sequence[Coordination], settings: RunSettings
) -> None:
    """Let packages with a test that runs alone wait for all others, and for one another."""
    last: list[Coordination] = []
    others: list[Coordination] = []
    for node in nodes:
        package: TestPackage = node.subject.package
        names = package.tests or ("",)
        (last if serial_tests(settings, package.name, names) else others).append(node)
    for at, node in enumerate(last):
        coordinator.add_gate(node, TestPhase.RUN, [*others, *last[:at]])
