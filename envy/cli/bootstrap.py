"""`envy bootstrap`: write the script envyw, which installs envy for whoever clones the project."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import click

from envy import __version__
from envy.cli.edits import tell
from envy.cli.fetch_context import command_context
from envy.cli.options import envy_command
from envy.cli.settings import Settings, current_directory
from envy.cli.unwinding import unwind_at_signals
from envy.cli.wrapper_text import (
    LIST_NAME,
    SCRIPT_NAME,
    WHEELS_NAME,
    WrapperFacts,
    facts_of,
    is_script_of_envy,
    list_text,
    script_text,
)
from envy.content.atomic import atomic_write
from envy.content.plain_file import NotPlain, read_plain
from envy.content.scratch import scratch_folder
from envy.declarations.locations import shown_path
from envy.declarations.manifest_search import find_manifest
from envy.declarations.mirrors import has_host
from envy.declarations.required_envy import satisfies_written, written_requirement
from envy.declarations.sources import SourceItem
from envy.errors import EnvyError, FetchError, UsageError
from envy.extras import DISTRIBUTION, wheel_command
from envy.interpreter import released
from envy.limits import REGISTRY_DOCUMENT, UNPACKED_SIZE
from envy.masking import remember_address
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext
from envy.transport.hash_list import is_for, make_hash_list
from envy.transport.index_page import ReleaseFile
from envy.transport.pip_configuration import pip_configuration, unconfigured_index
from envy.transport.pypi import fetch_listed, listed_files
from envy.transport.wheel_choice import files_by_version, versions_of
from envy.transport.wheel_metadata import WheelMetadata, metadata_of_wheel

_PIP_WHEEL = re.compile(r"pip-[\w.]+-py3-none-any\.whl", re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@envy_command(
    short_help="Write envyw, a script that installs envy and runs it.",
    examples=[
        ("envy bootstrap", "a script for this version of envy; commit it"),
        ("envy bootstrap --version 1.2.0", "for another version"),
        ("envy bootstrap --check", "for a pipeline: is the script as envy writes it?"),
    ],
)
@click.option("--version", "version", metavar="V", help="The version of envy; by default this one.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions of what envy needs.")
@click.option(
    "--index-url",
    metavar="URL",
    help="The package index of everybody who runs envyw; by default that of their own pip.",
)
@click.option(
    "--wheel",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A wheel of envy that no index has; it is copied beside envyw.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if envyw is not as it should be.")
def command(
    settings: Settings,
    *,
    version: str | None,
    upgrade: bool,
    index_url: str | None,
    wheel: Path | None,
    check: bool,
) -> int:
    """Write envyw and envyw.txt beside the manifest, to be committed with it.

    `./envyw sync` is `envy sync` for those who have not installed envy. The first run finds a
    Python, installs this version of envy in the user's data folder, and hands everything on;
    later runs only hand on. envyw.txt lists the digests of all that may be installed, on every
    platform, and the same versions that envy uses now. Run the command again with another version
    of envy, or with --version, to move to it.
    """
    manifest = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    folder = manifest.parent
    if check:
        return _check(folder, version or __version__)
    index = _former_index(folder) if index_url is None else index_url
    if index:
        _check_index(index)
    script = _text_of(folder / SCRIPT_NAME)
    if script is not None and not is_script_of_envy(script):
        raise EnvyError(
            f"{shown_path(folder / SCRIPT_NAME)} exists already, and envy did not write it",
            hint="rename it, and run the command again",
        )
    request = _Request(version=version, upgrades=upgrade, index=index, wheel=wheel)
    unwind_at_signals()
    with released():
        facts, text = _made_list(request, folder, settings)
    _check_required(manifest, facts.version)
    if wheel is not None:
        copy = folder / WHEELS_NAME / wheel.name
        _write(copy, _read_wheel(wheel)[1], 0o644)
        tell(settings, f"wrote {shown_path(copy)}; commit it, too")
    _write(folder / LIST_NAME, text.encode(), 0o644)
    _write(folder / SCRIPT_NAME, script_text(facts, text).encode(), 0o755)
    for name in (SCRIPT_NAME, LIST_NAME):
        tell(settings, f"wrote {shown_path(folder / name)}")
    tell(settings, f"envyw runs envy {facts.version} on Python {facts.pythons}; commit both files")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    version: str | None
    upgrades: bool
    index: str
    wheel: Path | None


def _check(folder: Path, version: str) -> int:
    """Compare the files with what envy would write for them; nothing is looked up.

    Raises:
        EnvyError: they are not what envy writes for this version.
    """
    hint = "`envy bootstrap` writes both files anew"
    texts = {name: _text_of(folder / name) for name in (SCRIPT_NAME, LIST_NAME)}
    for name, text in texts.items():
        if text is None:
            raise EnvyError(f"{shown_path(folder / name)} does not exist", hint=hint)
    script, listed = texts[SCRIPT_NAME] or "", texts[LIST_NAME] or ""
    facts = facts_of(listed)
    if facts is None:
        shown = shown_path(folder / LIST_NAME)
        raise EnvyError(f"{shown} is not what `envy bootstrap` writes", hint=hint)
    if facts.version != version:
        raise EnvyError(
            f"envyw runs envy {facts.version}, not {version}",
            hint=f"envy bootstrap --version {version}",
        )
    if script_text(facts, listed) != script:
        raise EnvyError(
            f"{SCRIPT_NAME} is not what envy {__version__} writes for {LIST_NAME}: one of them was "
            "changed, or another version of envy wrote them",
            hint=hint,
        )
    return 0


def _check_required(manifest: Path, version: str) -> None:
    """Check that the version for envyw is what the manifest asks for.

    Raises:
        EnvyError: it is not.
    """
    text = _text_of(manifest) or ""
    if not satisfies_written(text, version):
        raise EnvyError(
            f"{shown_path(manifest)} needs envy {written_requirement(text)}, "
            f"and envyw would run {version}",
            hint="--version names another version",
        )


def _former_index(folder: Path) -> str:
    """Return the index that an earlier run was given; "" if there is none."""
    facts = facts_of(_text_of(folder / LIST_NAME) or "")
    return facts.index if facts is not None else ""


def _check_index(address: str) -> None:
    """Check an index that all users of a script get.

    Raises:
        UsageError: it is no address of an index, or has credentials.
    """
    is_file = re.match("file:///[^/]", address)
    if not (is_file or has_host(address)) or not address.isprintable() or " " in address:
        raise UsageError(f"--index-url {redacted(address)} is not the address of a package index")
    if "@" in urlsplit(address).netloc:
        remember_address(address)
        raise UsageError(
            f"--index-url {redacted(address)} has credentials, and envyw is committed",
            hint="name it without; each user's pip, or ~/.netrc, knows them",
        )


def _text_of(path: Path) -> str | None:
    """Return the text of a file, None if there is none.

    Raises:
        EnvyError: it cannot be read.
    """
    try:
        return read_plain(str(path), REGISTRY_DOCUMENT).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except (OSError, NotPlain) as error:
        why = error.strerror if isinstance(error, OSError) else f"it {error}"
        raise EnvyError(f"{shown_path(path)} cannot be read: {why}") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        atomic_write(str(path), data, mode=mode)
    except OSError as error:
        raise EnvyError(f"{shown_path(path)} cannot be written: {error.strerror}") from error


# --- the list ---------------------------------------------------------------------------------


def _made_list(request: _Request, folder: Path, settings: Settings) -> tuple[WrapperFacts, str]:
    environment = dict(settings.environment)
    if request.index:
        environment |= {"PIP_INDEX_URL": request.index, "PIP_EXTRA_INDEX_URL": ""}
    context = command_context(environment, offline=settings.offline)
    for index in pip_configuration(context).indexes:
        remember_address(index)
    with scratch_folder("bootstrap") as scratch:
        releases = _Index(context, scratch)
        root, wheels = _root(request, folder, releases)
        preferred = _no_version if request.upgrades else _installed_version
        found = make_hash_list(root, wheels, releases, preferred)
    pip_wheel, pip_digest = _pip_of(context, found.pythons[-1])
    facts = WrapperFacts(
        version=root.version,
        pythons=" ".join(found.pythons),
        pip_wheel=pip_wheel,
        pip_digest=pip_digest,
        index=request.index,
        default_index="" if request.index else unconfigured_index(context),
    )
    return facts, list_text(facts, found.releases)


def _root(
    request: _Request, folder: Path, releases: _Index
) -> tuple[WheelMetadata, Sequence[ReleaseFile]]:
    """Return the release of envy to install, and its wheels.

    Raises:
        EnvyError: neither the index nor the project has it.
    """
    wanted = request.version or __version__
    path = request.wheel or _kept_wheel(folder / WHEELS_NAME, wanted)
    files = [file for file in releases.files(DISTRIBUTION) if file.name.endswith(".whl")]
    by_version = {str(key): own for key, own in files_by_version(DISTRIBUTION, files).items()}
    if path is not None and (request.wheel is not None or wanted not in by_version):
        found, data = _read_wheel(path)
        if request.version is not None and found.version != request.version:
            raise UsageError(f"{shown_path(path)} is a wheel of {found.version}, not {wanted}")
        digest = hashlib.sha256(data).hexdigest()
        return found, [ReleaseFile(name=path.name, url="", page="", digest=("sha256", digest))]
    if wanted not in by_version:
        where = " and ".join(map(redacted, releases.indexes))
        has = "have" if len(releases.indexes) > 1 else "has"
        others = ", ".join(versions_of(DISTRIBUTION, files)[:3])
        raise EnvyError(
            f"{where} {has} no wheel of {DISTRIBUTION} {wanted}"
            + (f"; it has {others}" if others else ""),
            hint="--version names another one, --index-url another index; of a version that is not "
            f"released, make a wheel ({wheel_command()}) and give it: --wheel PATH",
        )
    wheels = by_version[wanted]
    return releases.metadata(DISTRIBUTION, wanted, wheels[0]), wheels


def _kept_wheel(folder: Path, version: str) -> Path | None:
    """Return the wheel of a version that an earlier run was given."""
    stem = f"{DISTRIBUTION.replace('-', '_')}-{version}-"
    try:
        found = [path for path in folder.iterdir() if path.name.startswith(stem)]
    except OSError:
        return None
    return next((path for path in sorted(found) if path.suffix == ".whl"), None)


def _read_wheel(path: Path) -> tuple[WheelMetadata, bytes]:
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    try:
        data = read_plain(str(path), UNPACKED_SIZE)
    except (OSError, NotPlain) as error:
        why = error.strerror if isinstance(error, OSError) else f"it {error}"
        raise EnvyError(f"{shown_path(path)} cannot be read: {why}") from error
    found = metadata_of_wheel(path)
    if canonicalize_name(found.name) != DISTRIBUTION:
        raise UsageError(f"{shown_path(path)} is not a wheel of {DISTRIBUTION}")
    try:
        name, version, *_ = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        name, version = canonicalize_name(""), None
    if (name, str(version)) != (DISTRIBUTION, found.version):
        raise UsageError(
            f"{shown_path(path)} is not named like a wheel of {DISTRIBUTION} {found.version}",
            hint="pip finds it by its name: keep the one that pip gave it",
        )
    return found, data


class _Index:
    """The releases of the user's package index; what is installed here is not downloaded."""

    def __init__(self, context: FetchContext, scratch: Path) -> None:
        self._context = context
        self._scratch = scratch
        self.indexes = pip_configuration(context).indexes

    def files(self, name: str) -> Sequence[ReleaseFile]:
        return listed_files(name, self._context)

    def metadata(self, name: str, version: str, wheel: ReleaseFile) -> WheelMetadata:
        """Return the metadata of a release.

        That of envy itself is always read from the wheel, since the envy that runs may be changed.
        """
        if name != DISTRIBUTION and _installed_version(name) == version:
            installed = metadata.distribution(name)
            return WheelMetadata(
                name=name,
                version=version,
                requires=tuple(installed.requires or ()),
                requires_python=str(installed.metadata.json.get("requires_python", "")),
            )
        item = SourceItem(source=f"pypi:{name}=={version}", base_dir=self._scratch)
        return metadata_of_wheel(
            fetch_listed(item, wheel, self._scratch / name, self._context).path
        )


def _installed_version(name: str) -> str:
    """Return the version of a package beside envy, "" if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _no_version(_name: str) -> str:
    return ""


def _pip_of(context: FetchContext, python: str) -> tuple[str, str]:
    """Return the name and the SHA-256 of the newest wheel of pip for a version of Python.

    Raises:
        FetchError: the index has none with such a digest.
    """
    wheels = [
        file
        for file in listed_files("pip", context)
        if _PIP_WHEEL.fullmatch(file.name)
        and file.yanked is None
        and _SHA256.fullmatch(":".join(file.digest or ()))
        and is_for(file, python)
    ]
    by_version = files_by_version("pip", wheels)
    stable = [version for version in by_version if not version.is_prerelease]
    if not stable:
        raise FetchError(
            f"the package index has no wheel of pip for Python {python} that has a SHA-256 digest, "
            "and envyw needs it where a Python has no pip",
            uri="pypi:pip",
        )
    found = by_version[max(stable)][0]
    return found.name, (found.digest or ("", ""))[1]
