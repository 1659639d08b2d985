"""What the stage takes of an archive that was unpacked while it was downloaded."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from envy.content.arriving import Unpacked
from envy.content.unpacked_size import UnpackedSize
from envy.content.written_digests import WrittenDigests
from envy.declarations.sources import SourceItem
from envy.execution.unpack import take_unpacked_ahead
from envy.graph.recipe import Work

ITEM = SourceItem(source="https://example.org/x.tar", base_dir=Path("/project"))


@pytest.mark.parametrize("wrong", ["", "name", "root", "item", "strip"])
def test_what_is_taken(tmp_path, wrong):
    """It is taken once, by a stage that unpacks the same; otherwise, nothing of it stays."""
    root = tmp_path / "unpacked"
    root.mkdir()
    root.joinpath("file").touch()
    ahead = Unpacked(name="x.tar", root=str(root), plan=(ITEM, 1), count=1, seconds=0.0)
    work = Work(unpacked_ahead=ahead, unpacked=UnpackedSize(), links={str(root): {}})
    work.written = written = WrittenDigests([b"/needle"])
    item = replace(ITEM, subdir="below") if wrong == "item" else ITEM
    work.fetched = {"y.tar" if wrong == "name" else "x.tar": item}
    run_dir = tmp_path / "stage" if wrong == "root" else root
    run = SimpleNamespace(recipe=SimpleNamespace(work=work), run_dir=run_dir)
    taken = take_unpacked_ahead(run, strip=0 if wrong == "strip" else 1)
    assert taken == (None if wrong else ahead)
    assert [path.name for path in root.iterdir()] == ([] if wrong else ["file"])
    assert (work.unpacked is None) == (work.links == {}) == bool(wrong)
    assert (work.written is written) == (not wrong)
    assert work.written.needles == written.needles
    assert take_unpacked_ahead(run, strip=1) is None
