"""What identifies the C compilers of Go packages."""

import os
from pathlib import Path

import pytest

from envy.host.children import Children
from envy.testing.digest_memo import DigestMemo
from envy.testing.drivers.go_compilers import compilers_of
from envy.testing.drivers.go_keys import KeyMaker
from envy.testing.drivers.go_list import GoPackage
from envy.testing.drivers.go_toolchain import GoToolchain


@pytest.fixture
def toolchain(tmp_path):
    """A toolchain whose C compiler is a script that starts another."""
    script(tmp_path / "cc", f'#!/bin/sh\nexec {tmp_path}/inner "$@"\n')
    script(tmp_path / "inner", "#!/bin/sh\necho version 1\n")
    return GoToolchain(
        program=Path("/go/bin/go"),
        root=Path("/go"),
        version=(1, 24),
        variables={"CC": "cc -m64", "CXX": "nowhere", "AR": "'", "CGO_ENABLED": "1"},
        environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        identity="go",
        programs=(),
        has_markup=True,
        directory=tmp_path,
        children=Children(),
    )


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)


def memo():
    return DigestMemo("", "x", settled=0)


def test_another_compiler_of_the_same_name_is_another(toolchain, tmp_path):
    """The program's content counts, and so does the version of what it starts."""
    found = [compilers_of(toolchain, memo())]
    assert compilers_of(toolchain, memo()) == found[0]
    script(tmp_path / "inner", "#!/bin/sh\necho version 2\n")
    found.append(compilers_of(toolchain, memo()))
    script(tmp_path / "cc", f'#!/bin/sh\n# new\nexec {tmp_path}/inner "$@"\n')
    found.append(compilers_of(toolchain, memo()))
    (tmp_path / "cc").unlink()
    found.append(compilers_of(toolchain, memo()))
    assert len(set(found)) == 4


def test_only_packages_with_c_depend_on_the_compiler(toolchain, tmp_path):
    """Another compiler changes the key of a package that imports "C", and no other key."""

    def keys():
        maker = KeyMaker(toolchain, [], memo())
        records = {
            "m/c": {"ImportPath": "m/c", "Dir": str(tmp_path), "CgoFiles": ["c.go"]},
            "m/user": {"ImportPath": "m/user", "Dir": str(tmp_path), "Imports": ["m/c"]},
            "m/pure": {"ImportPath": "m/pure", "Dir": str(tmp_path), "GoFiles": ["p.go"]},
        }
        return {
            name: maker.key(GoPackage(record=row, main="", binary_name="x", records=records))
            for name, row in records.items()
        }

    before = keys()
    script(tmp_path / "inner", "#!/bin/sh\necho version 2\n")
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {"m/c", "m/user"}
