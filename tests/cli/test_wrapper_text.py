"""The texts of envyw and its list."""

import re
import subprocess
from dataclasses import replace

from envy.cli.wrapper_text import (
    WrapperFacts,
    facts_of,
    is_script_of_envy,
    list_text,
    script_text,
)
from envy.transport.hash_list import PinnedRelease

FACTS = WrapperFacts(
    version="1.0",
    pythons="3.12 3.11",
    pip_wheel="pip-1-py3-none-any.whl",
    pip_digest="ab",
    default_index="https://index.test/simple?a=b&c=it's",
)
RELEASES = [
    PinnedRelease(name="a", version="1", marker="", digests=("sha256:aa", "sha256:bb")),
    PinnedRelease(name="b", version="2", marker='python_version < "3.12"', digests=("sha256:cc",)),
]


def test_a_list_is_a_requirements_file_with_the_facts_in_its_head():
    """Reading it gives the facts again; an index that was named is obeyed by pip, too."""
    text = list_text(FACTS, RELEASES)
    assert facts_of(text) == FACTS
    assert text.endswith(
        "# default_index: https://index.test/simple?a=b&c=it's\n\n"
        "a==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        'b==2 ; python_version < "3.12" \\\n    --hash=sha256:cc\n'
    )
    named = replace(FACTS, index="https://own.test/simple")
    assert "\n\n--index-url https://own.test/simple\n\na==1" in list_text(named, [*RELEASES])
    assert facts_of(list_text(named, RELEASES)) == named
    for other in ("", "a==1\n", text[1:], text.replace("# pythons", "# snakes")):
        assert facts_of(other) is None


def test_a_script_belongs_to_its_list(tmp_path):
    """Another list is another script, and another environment; values are quoted."""
    listed = list_text(FACTS, RELEASES)
    script = script_text(FACTS, listed)
    assert is_script_of_envy(script)
    assert not is_script_of_envy("#!/bin/sh\n# mine\n")
    assert script != script_text(FACTS, listed + "#\n")
    assert not re.search(r"@\w+@", script)
    path = tmp_path / "envyw"
    path.write_text(script.replace("fail() {", 'printf "%s" "$default_index"; exit 0; fail() {', 1))
    run = subprocess.run(["sh", path], capture_output=True, text=True, check=True)
    assert run.stdout == FACTS.default_index
