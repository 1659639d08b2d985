"""The manifests of `envy x`: they hold no packages, and go when they are old."""

import os
import time
from pathlib import Path

from envy.cache.layout import CacheLayout
from envy.cache.run_once import run_once_manifest, tidy_run_once, write_run_once
from envy.cache.usage import RUN, UseSet, read_uses, record_use


def test_what_only_x_uses_is_not_held(tmp_path):
    """A whole use by a manifest of `envy x` counts as a use, and holds nothing."""
    layout = CacheLayout(tmp_path / "cache")
    own = run_once_manifest(str(layout.root), "ninja")
    project = tmp_path / "envy.lua"
    project.touch()
    write_run_once(own, "packages = {}")
    for manifest in (own, str(project)):
        record_use(layout, UseSet(manifest=manifest, whole=True, entries={"a/b": RUN}))
    uses = read_uses(layout)
    found = {use.project: (use.current, use.holds) for use in uses.by_entry["a/b"]}
    assert found == {str(Path(own).parent): (False, False), str(tmp_path): (True, True)}
    assert len(uses.kept) == 1


def test_old_manifests_are_removed(tmp_path):
    """A manifest that was written a month ago goes with its folder; others stay."""
    layout = CacheLayout(tmp_path)
    tidy_run_once(layout, now=time.time())
    for word in ("ninja", "go@1"):
        write_run_once(run_once_manifest(str(tmp_path), word), "text")
    old = time.time() - 31 * 86400
    os.utime(run_once_manifest(str(tmp_path), "ninja"), (old, old))
    tidy_run_once(layout, now=time.time())
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["go@1"]


def test_a_manifest_is_written_only_if_it_differs(tmp_path):
    """The same text leaves the file alone, so that a cache that may only be read works."""
    path = run_once_manifest(str(tmp_path), "ninja")
    write_run_once(path, "one")
    before = Path(path).stat().st_ino
    write_run_once(path, "one")
    assert Path(path).stat().st_ino == before
    write_run_once(path, "two")
    assert Path(path).read_text() == "two"
