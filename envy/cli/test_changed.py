"""`envy test --changed`: the changes that a run is limited to, and what the manifest rests on."""

from __future__ import annotations

import dataclasses
import os

from envy.answers.read import evidence_paths, load_answer
from envy.cli.test_options import TestOptions
from envy.cli.test_setup import RunContext, toolchain_source
from envy.declarations.manifest_search import global_manifest
from envy.errors import UsageError
from envy.locking.lock import LOCK_NAME
from envy.testing.affected import ChangedOnly
from envy.testing.changes import Changes
from envy.testing.git_changes import find_changes
from envy.testing.session_settings import SessionSettings


def check_changed(options: TestOptions) -> None:
    """Check that the other options leave --changed something to select.

    Raises:
        UsageError: they do not.
    """
    others = {"--load": options.load, "--legacy": options.legacy, "--list": options.list_matching}
    given = next((name for name, value in others.items() if value), None)
    if options.changed and given:
        raise UsageError(
            f"--changed selects from a run of envy's own, and {given} is none",
            hint="--build-only --changed REF builds what would run",
        )


def with_changes(context: RunContext, settings: SessionSettings, ref: str) -> SessionSettings:
    """Return the settings of a session that runs only what changes since `ref` affect.

    Raises:
        UsageError: git cannot tell.
    """
    # A clone without all objects asks its server for those that it needs.
    offline = {"GIT_ALLOW_PROTOCOL": "file", "GIT_NO_LAZY_FETCH": "1"}
    environment = {**context.environment, **(offline if context.settings.offline else {})}
    changes = find_changes(ref, context.directory, environment, context.children)
    return dataclasses.replace(settings, changed=ChangedOnly(changes, context.results))


def with_manifest(context: RunContext, settings: SessionSettings) -> SessionSettings:
    """Return the settings with what changed of the manifest, whose packages are installed."""
    if settings.changed is None:
        return settings
    changes = settings.changed.changes
    source = toolchain_source(context, "")
    manifest = source.manifest
    if not manifest or manifest == str(global_manifest(context.settings.environment)):
        return settings
    lock = os.path.join(os.path.dirname(manifest), LOCK_NAME)  # noqa: PTH118, PTH120
    own = changes.of_file(manifest) or changes.of_file(lock)
    project = f"{own} changed" if own else _why_other(source.root, manifest, context, changes)
    found = dataclasses.replace(changes, manifest=own, project=project)
    return dataclasses.replace(settings, changed=ChangedOnly(found, context.results))


def _why_other(root: str, manifest: str, context: RunContext, changes: Changes) -> str:
    """Return why the packages of a manifest may be others than in the commit; "" if they are not.

    An answer that holds has all that they were resolved from.
    """
    environment = context.settings.environment
    if load_answer(root, manifest, environment) is None:
        return f"what the packages of {os.path.basename(manifest)} rest on is not known"  # noqa: PTH119
    files, folders = evidence_paths(root, manifest)
    of_files = (changes.of_file(path) for path in files)
    of_folders = (changes.of_folder(path) for path in folders)
    found = next(filter(None, of_files), "") or next(filter(None, of_folders), "")
    return f"{found} changed" if found else ""
