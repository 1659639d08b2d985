"""The keys of results: what is known before the tests of a package run, as parts with names.

Every driver gives its own parts beside those of all; nothing else makes the text of a key.
"""

from __future__ import annotations

from envy.testing.evidence import digest_of
from envy.testing.key_text import Parts, key_text
from envy.testing.package import PackageRun, RunSettings

_FORM = "result-2"


def parts_of_run(run: PackageRun, settings: RunSettings, *, count: int) -> Parts:
    """Return what decides the result of a package with every driver."""
    package, selection = run.package, run.selection
    return {
        "form": _FORM,
        "driver": package.driver,
        "package": package.name,
        "folder": str(package.directory),
        "count": str(count),
        "isolate": str(settings.isolate),
        "fail fast": str(settings.fail_fast),
        "timeout": str(settings.timeout),
        "rules": [
            repr((rule.package, rule.test, rule.timeout, rule.serial))
            for rule in settings.rules
            if rule.timeout is not None or rule.serial is not None
        ],
        "names": "all" if selection.names is None else selection.names,
        "run": selection.run,
        "skip": selection.skip,
    }


def result_key(parts: Parts) -> str:
    """Return the key of parts on this machine."""
    return digest_of(key_text(parts).encode("utf-8", "surrogatepass"))
