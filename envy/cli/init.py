"""`envy init`: create a manifest, and let git ignore what envy writes beside it."""

from __future__ import annotations

from pathlib import Path

from envy.cli.edits import tell
from envy.cli.options import envy_command
from envy.cli.settings import Settings, current_directory
from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.locations import shown_path
from envy.declarations.manifest_search import MANIFEST_NAME, nearest_manifest
from envy.declarations.new_manifest import VERSION_FILES, asked_versions, new_manifest
from envy.errors import ManifestError
from envy.limits import LUA_MEMORY

_IGNORED = ".envy/"
_ALSO_IGNORES = frozenset({_IGNORED, ".envy", "/.envy", "/.envy/"})


@envy_command(
    short_help="Create envy.lua.",
    examples=[
        ("envy init", "in the current folder"),
        ("envy --manifest tools/envy.lua init", "elsewhere"),
    ],
)
def command(settings: Settings) -> int:
    """Create the manifest envy.lua in the current folder, and name .envy/ in .gitignore.

    The versions in .python-version, .nvmrc and .tool-versions become entries if envy has a recipe
    that knows them, and comments otherwise. A manifest that exists is never changed.
    """
    path = settings.manifest or current_directory() / MANIFEST_NAME
    folder = path.parent
    asked, unread = [], []
    for name in VERSION_FILES:
        text = _text_of(folder / name)
        if text is None:
            unread.append(name)
        else:
            asked += asked_versions(name, text)
    text, notes = new_manifest(asked)
    _create(path, text)
    tell(settings, f"created {shown_path(path)}")
    for note in [*notes, *(f"{name} cannot be read" for name in unread)]:
        tell(settings, f"note: {note}")
    _ignore(folder / ".gitignore", settings)
    above = nearest_manifest(str(folder.absolute().parent))[0]
    if above:
        tell(settings, f"note: {above} is the manifest of a folder above; here, the new one counts")
    if not asked:
        tell(
            settings, "add a tool to it: envy add NAME (envy list --shipped shows which there are)"
        )
    return 0


def _text_of(path: Path) -> str | None:
    """Return the text of a file, "" if there is none; None if it cannot be read."""
    try:
        return read_plain(str(path), LUA_MEMORY).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except (OSError, NotPlain):
        return None


def _create(path: Path, text: str) -> None:
    shown = shown_path(path)
    try:
        with path.open("xb") as file:
            file.write(text.encode())
    except FileExistsError as error:
        if not path.is_file():
            raise ManifestError(
                f"{shown} exists already, and is not a file", hint="remove it, or name another one"
            ) from error
        raise ManifestError(
            f"{shown} exists already", hint="add packages to it: envy add NAME"
        ) from error
    except OSError as error:
        raise ManifestError(f"{shown} cannot be created: {error.strerror}") from error


def _ignore(path: Path, settings: Settings) -> None:
    """Name the folder of envy in a .gitignore, unless it is named; a failure is only a note."""
    text = _text_of(path)
    if text is not None and not _ALSO_IGNORES.isdisjoint(map(str.strip, text.splitlines())):
        return
    try:
        if text is None:
            raise OSError(0, "it is not a plain file")
        newline = "\r\n" if "\r\n" in text else "\n"
        begin = newline if text and not text.endswith("\n") else ""
        with path.open("ab") as file:
            file.write(f"{begin}{_IGNORED}{newline}".encode())
    except OSError as error:
        why = f"{shown_path(path)} cannot be written: {error.strerror}"
        tell(settings, f"note: {why}; it should name {_IGNORED}")
        return
    tell(settings, f"added {_IGNORED} to {shown_path(path)}")
