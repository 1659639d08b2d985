"""Evidence as a file: stored beside a result that may be used only while its evidence holds."""

from __future__ import annotations

import json
from collections.abc import Mapping

from envy.answers.evidence import Evidence
from envy.answers.facts import match_digest, tree_digest
from envy.content.file_digest import file_digest, variable_digest
from envy.content.json_text import parse_json


def encode_evidence(evidence: Evidence) -> str:
    """Return evidence as JSON, in ASCII; equal evidence gives equal text."""
    return json.dumps(
        {
            "files": evidence.files,
            "trees": sorted([path, rules, at] for (path, rules), at in evidence.trees.items()),
            "globs": sorted([top, pattern, at] for (top, pattern), at in evidence.globs.items()),
            "variables": evidence.variables,
            "lasting": evidence.lasting,
        },
        sort_keys=True,
    )


def decode_evidence(text: str) -> Evidence | None:
    """Return the evidence that `encode_evidence` wrote, or None if the text is damaged."""
    try:
        row = parse_json(text)
        return Evidence(
            files=_digests(row["files"]),
            trees={(str(path), str(rules)): str(at) for path, rules, at in row["trees"]},
            globs={(str(top), str(pattern)): str(at) for top, pattern, at in row["globs"]},
            variables=_digests(row["variables"]),
            lasting=row["lasting"] is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def still_holds(evidence: Evidence, environment: Mapping[str, str]) -> bool:
    """Return whether everything in the evidence is unchanged."""
    return (
        evidence.lasting
        and all(
            variable_digest(environment.get(name)) == at for name, at in evidence.variables.items()
        )
        and all(file_digest(path) == digest for path, digest in evidence.files.items())
        and all(match_digest(*row) == digest for row, digest in evidence.globs.items())
        and all(tree_digest(*row) == digest for row, digest in evidence.trees.items())
    )


def _digests(value: object) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return {str(name): None if digest is None else str(digest) for name, digest in value.items()}
