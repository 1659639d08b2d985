"""The limits on what envy reads from others and keeps in memory, and how a user raises them.

Owns every number, so that an error can name the limit that was reached and docs/commands.md can
list them all. `ENVY_LIMITS=NAME=SIZE,…` raises limits for one run; no limit is part of any key,
because what exceeds one is an error, and never cut to fit.

This module imports nothing, since warm commands load it.
"""

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LARGEST = 1 << 60  # what Lua and the operating system can count to


class Limit:
    """A limit: its name in ENVY_LIMITS, its default, and what it bounds; `unit` "" counts bytes."""

    __slots__ = ("default", "name", "unit", "what")

    def __init__(self, name: str, default: int, what: str, *, unit: str = "") -> None:
        self.name = name
        self.default = default
        self.what = what
        self.unit = unit

    @property
    def value(self) -> int:
        """The limit of this run."""
        return _raised.get(self.name, self.default)

    @property
    def shown(self) -> str:
        """The limit of this run as messages show it, such as `64 MiB` or `1000 submodules`."""
        return f"{self.value} {self.unit}" if self.unit else shown_size(self.value)

    @property
    def hint(self) -> str:
        """How to raise the limit, for an error that names it."""
        return f"if that is intended, raise the limit: ENVY_LIMITS={self.name}={self._twice()}"

    def _twice(self) -> str:
        twice = 2 * self.value
        for letter, size in reversed(_UNITS.items()):
            if not self.unit and twice % size == 0:
                return f"{twice // size}{letter}"
        return str(twice)


ARCHIVE_HEADER = Limit(
    "archive-header", 1 << 20, "the name, link target and extended headers of one archive member"
)
ARCHIVE_INDEX = Limit("archive-index", 32 << 20, "the list of names at the end of a zip")
ARCHIVE_MEMORY = Limit(
    "archive-memory", 256 << 20, "the memory that decompressing one xz or zst file needs"
)
BUNDLE_RECIPES = Limit("bundle-recipes", 20_000, "the recipes of one recipe bundle", unit="recipes")
CACHE_FILE = Limit("cache-file", 256 << 20, "one of envy's own files in the cache")
CAPTURED_OUTPUT = Limit(
    "captured-output", 64 << 20, "what one command may print when its output is captured"
)
CHECKSUM_FILE = Limit(
    "checksum-file", 16 << 20, "a checksum file that `sha256sums` or `sha512sums` names"
)
DECODED_DOWNLOAD = Limit(
    "decoded-download",
    16 << 30,
    "the size of a download that its server encoded, decoded",
)
ERROR_TEXT = Limit("error-text", 64 << 10, "the text of one error, which is shortened")
EXPORT_FILES = Limit(
    "export-files", 1_000_000, "the files of one package in an export file", unit="files"
)
EXPORT_RECORD = Limit(
    "export-record", 64 << 20, "the index, a fingerprint or ingredients in an export file"
)
FOLLOWED_FILES = Limit(
    "followed-files",
    200_000,
    "what the links of one folder with `follow` lead to",
    unit="files and folders",
)
GIT_SUBMODULES = Limit(
    "git-submodules",
    1000,
    "the submodules of one git source, nested ones included",
    unit="submodules",
)
LINK_FILES = Limit(
    "link-files",
    100_000,
    "the files that take the places of links to what `subdir` leaves out",
    unit="files",
)
LINK_SIZE = Limit("link-size", 8 << 30, "the size of these files")
LOCK_FILE = Limit("lock-file", 64 << 20, "the file envy.lock")
LUA_MEMORY = Limit(
    "lua-memory",
    512 << 20,
    "the memory of Lua code in one recipe, and each file or text that it reads, makes or changes",
)
LUA_STEPS = Limit(
    "lua-steps",
    20_000_000_000,
    "what Lua code does in one go: loading a file, or a call of a function of it",
    unit="steps",
)
NPM_PACKAGES = Limit(
    "npm-packages", 10_000, "the packages that one release of npm pins", unit="packages"
)
RECIPE_TEST = Limit(
    "recipe-test", 1_000_000_000, "what the Lua code of one recipe test does", unit="steps"
)
REGISTRY_DOCUMENT = Limit(
    "registry-document", 64 << 20, "a page or document of a registry, decoded"
)
REGISTRY_VALUES = Limit(
    "registry-values", 2_000_000, "the values in a document of a registry", unit="values"
)
REGISTRY_FILES = Limit(
    "registry-files", 100_000, "the files that one page of a package index lists", unit="files"
)
REFUSED_DOWNLOADS = Limit(
    "refused-downloads",
    1 << 30,
    "all downloads with a wrong digest or signature that are kept",
)
RELOCATED_FILE = Limit(
    "relocated-file", 1 << 30, "one file that is rewritten for another path of the cache"
)
SCRIPT_LOG = Limit(
    "script-log", 64 << 20, "the log of one phase, which keeps its head and its tail"
)
SIGNED_FILE = Limit(
    "signed-file", 512 << 20, "a file that is signed as a whole, in minisign's old form"
)
TEST_REPORT = Limit("test-report", 64 << 20, "the report that a command of `tests` writes")
TEST_RESULT = Limit("test-result", 64 << 20, "one remembered result of `envy test`")
UNPACKED_FILES = Limit(
    "unpacked-files",
    1_000_000,
    "what the archives of one package hold",
    unit="files, folders and links",
)
UNPACKED_SIZE = Limit(
    "unpacked-size",
    64 << 30,
    "the size of all that the archives and compressed files of one package hold",
)
WHEEL_TAGS = Limit("wheel-tags", 1000, "the tags that the name of one wheel means", unit="tags")

LIMITS = {
    limit.name: limit
    for limit in (
        ARCHIVE_HEADER,
        ARCHIVE_INDEX,
        ARCHIVE_MEMORY,
        BUNDLE_RECIPES,
        CACHE_FILE,
        CAPTURED_OUTPUT,
        CHECKSUM_FILE,
        DECODED_DOWNLOAD,
        ERROR_TEXT,
        EXPORT_FILES,
        EXPORT_RECORD,
        FOLLOWED_FILES,
        GIT_SUBMODULES,
        LINK_FILES,
        LINK_SIZE,
        LOCK_FILE,
        LUA_MEMORY,
        LUA_STEPS,
        NPM_PACKAGES,
        REFUSED_DOWNLOADS,
        RECIPE_TEST,
        REGISTRY_DOCUMENT,
        REGISTRY_FILES,
        REGISTRY_VALUES,
        RELOCATED_FILE,
        SCRIPT_LOG,
        SIGNED_FILE,
        TEST_REPORT,
        TEST_RESULT,
        UNPACKED_FILES,
        UNPACKED_SIZE,
        WHEEL_TAGS,
    )
}
_raised: dict[str, int] = {}  # set once, before a command runs


def adopt_limits(values: dict[str, int]) -> None:
    """Use these limits, by name, in place of the defaults from now on; {} restores them."""
    _raised.clear()
    _raised.update(values)


def parse_limits(text: str) -> dict[str, int]:
    """Return the limits in a text such as `git-submodules=5000,lua-memory=2G`.

    Raises:
        ValueError: a name is unknown, or a value is not a positive number.
    """
    found = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, _, size = (part.strip() for part in word.partition("="))
        if name not in LIMITS:
            raise ValueError(f"there is no limit {name!r}")
        found[name] = _number(name, size)
    return found


def _number(name: str, text: str) -> int:
    factor = _UNITS.get(text[-1:].upper(), 1)
    digits = text if factor == 1 else text[:-1]
    plain = digits.isascii() and digits.isdigit() and len(digits) < 20
    number = int(digits) * factor if plain else 0
    if not 0 < number <= _LARGEST:
        raise ValueError(f"{text!r} is not a valid value for {name}; write 500M, 2G or a number")
    return number


def shown_size(size: int) -> str:
    """Return a number of bytes as messages show it."""
    for letter, unit in reversed(_UNITS.items()):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {letter}iB"
    return "1 byte" if size == 1 else f"{size} bytes"


def shortened(text: str) -> str:
    """Return the text of an error, with its middle left out if it is longer than its limit.

    The text is cut at white space: no word that has to be masked is cut in two.
    """
    most = ERROR_TEXT.value
    if len(text) <= most:
        return text
    head, tail = text[: most * 3 // 4], text[-most // 4 :]
    head = head[: max(head.rfind(" "), head.rfind("\n")) + 1] or head
    starts = [at for at in (tail.find(" "), tail.find("\n")) if at >= 0]
    tail = tail[min(starts, default=0) :]
    left_out = len(text) - len(head) - len(tail)
    return f"{head}… {left_out} characters are left out here …{tail}"
