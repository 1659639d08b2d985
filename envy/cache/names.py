"""The names of the files and folders of the cache, and the patterns that gc recognises them by.

Each of these names is spelled here and nowhere else; `layout` says where they are. This module
imports nothing, because warm commands load it. Patterns are text: a module that needs one compiles
it and matches whole names with it, with `re.ASCII`.

What lies below `TESTS_FOLDER` belongs to `envy.testing`, which names it.
"""

# -- folders of the cache root ---------------------------------------------------------------------

ASSETS_FOLDER = "assets"
RECIPES_FOLDER = "recipes"
BUNDLES_NAME = "bundle"  # in the place of an identity: bundles of recipes
LOGS_FOLDER = "logs"
LOCKS_FOLDER = "locks"
DOWNLOADS_FOLDER = "downloads"
PROJECTS_FOLDER = "projects"
ANSWERS_FOLDER = "resolved"
DURATIONS_FOLDER = "durations"
RESOLUTIONS_FOLDER = "resolutions"
LEASES_FOLDER = "leases"
JOBSERVERS_FOLDER = "jobservers"
SHIMS_FOLDER = "shims"  # also in an entry
TESTS_FOLDER = "test"
RUN_ONCE_FOLDER = "x"
TRASH_FOLDER = "trash"
UV_FOLDER = "uv"

# The name of the link to the root itself has so many of it that the path gets a certain length.
PADDING = "_"

# Below the folder of locks.
EXCLUSIVE_FOLDER = "exclusive"
SHARED_FOLDER = "cache"

# Below the folder of downloads, beside a folder for each algorithm in `DOWNLOAD_ALGORITHMS`.
DOWNLOAD_ALGORITHMS = ("sha256", "blake3", "sha512", "sha384")
DOWNLOAD_NAMES_FOLDER = "names"  # records of what registries named
PARTIALS_FOLDER = "partial"  # downloads that are not complete
REFUSED_FOLDER = "refused"  # downloads with another digest than they must have
PARTIAL_RECORD = ".json.new"  # beside one: what is known about it

# Below the folder of tests.
TEST_BINARIES_FOLDER = "go"
NATIVE_TESTS_FOLDER = "native"
ZIG_CACHE_FOLDER = "zig"  # what zig compiles of its own, such as parts of the C library
TEST_RESULTS_FOLDER = "last"
TEST_KEPT_FOLDER = "results"  # what the tests of a package did
TEST_RUNS_FOLDER = "runs"  # what a whole command did
TEST_LOCKS_FOLDER = "running"  # the locks of runs, with their process groups
TEST_LISTINGS_FOLDER = "listings"  # the tests of a project
TEST_HISTORY_FOLDER = "history"  # of the tests of a package
TEST_RECORD_FOLDERS = (
    TEST_RESULTS_FOLDER, TEST_KEPT_FOLDER, TEST_RUNS_FOLDER, TEST_LISTINGS_FOLDER,
    TEST_HISTORY_FOLDER,
)  # fmt: skip

# -- in an entry -----------------------------------------------------------------------------------

MARKER = "envy-complete"
FINGERPRINT = "envy-fingerprint.blake3"
INGREDIENTS = "envy-ingredients.json"
DEPLOYED = "envy-deployed"
FILE_DIGESTS = "envy-sha256.json"  # of the payload's files, for servers that name them so
ORIGIN = "envy-origin.json"  # of an entry that was not built here: where it was taken from
ASSET = "asset"
FETCH = "fetch"
WORK = "work"
STAGE = f"{WORK}/stage"
TMP = f"{WORK}/tmp"  # noqa: S108 - a folder of the entry
# Inside work/, so that removing the work of an attempt also ends the attempt.
ATTEMPT = f"{WORK}/attempt"
FAILED = f"{WORK}/failed"
ENTERED = f"{WORK}/entered"  # the phase that a user's shell has taken the place of

# -- composed names --------------------------------------------------------------------------------

RECIPE_FILE = "recipe.lua"  # in a folder of recipe files
COMMITTED_FOLDER = "files"  # in a folder of recipe files: what a custom source committed
EVIDENCE = "envy-evidence.json"  # beside it: what was read until then
COLLECT_LOCK = "collect"  # held by the command that works in the trash
LEASES_LOCK = "leases"  # the gate of `lease`

RECORD = ".json"
LOCK = ".lock"
ANSWER = ".answer"

DIGITS = 16  # hexadecimal digits of a digest that are part of a name
BEFORE_KEY = "-blake3-"  # in the name of an entry's folder


def entry_folder(platform_arch: str, key_hex: str) -> str:
    """Return the folder of an entry, below that of its identity."""
    return f"{platform_arch}{BEFORE_KEY}{key_hex[:DIGITS]}"


def short_key(folder: str) -> str:
    """Return the digits of the key in the name of an entry's folder."""
    return folder[-DIGITS:]


def lock_file(identity: str, key16: str) -> str:
    """Return the lock file of an entry, or of a folder of recipe files."""
    return f"{identity}-{key16}{LOCK}"


# -- patterns --------------------------------------------------------------------------------------

_HEX = f"[0-9a-f]{{{DIGITS}}}"

IDENTITY_PATTERN = r"[\w+-]+\.[\w.+-]+@[\w.+-]+"
ENTRY_PATTERN = rf"[\w.+-]+{BEFORE_KEY}{_HEX}"
# `.new` is the suffix of what is still being written: `content.atomic.SUFFIX`.
# Named by the digest of the source, and of the content if no digest was declared.
RECIPES_PATTERN = rf"{_HEX}(-{_HEX})?(\.new)?"
LOGS_PATTERN = _HEX
# An earlier envy wrote .json files, and added the number of its process to unfinished files.
ANSWER_PATTERN = rf"{_HEX}\.(answer(\..+\.new|\.\d+)?|json)"
PROJECT_PATTERN = _HEX
RECORD_PATTERN = rf"{_HEX}\.json"
DOWNLOAD_PATTERN = r"[0-9a-f]{64,128}(\..+\.new)?"
PARTIAL_PATTERN = r"[0-9a-f]{64}(\.json(\.new)?)?\.new"
TEST_BINARY_PATTERN = r"[0-9a-f]{16,}"
TEST_RESULT_PATTERN = r"[0-9a-f]{16,}\.(json|result|run|tree)(\..+\.new)?"
UNFINISHED_RECORD_PATTERN = rf"{_HEX}\.json\..+\.new"
# uv has a number in each name, which it raises with the format; the archives are unpacked wheels.
UV_ARCHIVES_PATTERN = r"archive-v\d+"
UV_BUCKET_PATTERN = r"[a-z]+(-[a-z]+)*-v\d+"
LOCK_PATTERN = rf"({IDENTITY_PATTERN}|{BUNDLES_NAME})-{_HEX}\.lock"
EXCLUSIVE_LOCK_PATTERN = r".+\.lock"
