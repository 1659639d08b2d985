"""`requires_envy`, compared with a version of envy."""

import re
from pathlib import Path

import pytest

from envy.declarations.locations import SourceText
from envy.declarations.required_envy import check_required_envy
from envy.errors import ManifestError


@pytest.mark.parametrize(
    ("version", "specifiers", "fits"),
    [
        ("0.4.0", ">=0.4", True),
        ("0.4", ">=0.4.0", True),
        ("0.3.9", ">=0.4", False),
        ("0.10", ">=0.9", True),
        ("1.0", "==1.0.0", True),
        ("1.0.1", "==1.0", False),
        ("1.5", ">=1, <2", True),
        ("2.0", ">=1,<2", False),
        ("2.0", "<=2, >1, !=1.5", True),
        ("1.5", "!=1.5", False),
        ("0.5.0rc1", ">=0.5", True),
        ("0.5.0", "~=0.4", True),
        ("1.0.0", "~=0.4.1", False),
    ],
)
def test_versions(version, specifiers, fits):
    """Versions of envy are compared like all; one before a release counts as that release."""
    source = SourceText(Path("envy.lua"), f'requires_envy = "{specifiers}"')
    if fits:
        check_required_envy(specifiers, source, version=version)
        return
    with pytest.raises(ManifestError, match=f"and this is envy {re.escape(version)}"):
        check_required_envy(specifiers, source, version=version)
