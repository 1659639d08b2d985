"""The fast path: plain commands that are answered before the command line is loaded.

They are `sync`, `asset QUERY`, `product NAME`, `env`, `run`, `x TOOL`, and a `test` whose run is
remembered.

Nine tenths of the time of a warm command would be imports: of click, of dataclasses, and of what
these import. So this module parses the command line itself, understands only a small part of it,
and leaves every other command line, and every problem, to `cli.main`. It reads what it understands
exactly as `cli.main` would: a test compares the two. It loads nothing but what the answer needs,
and only when it is needed: `envy --version` needs no module at all, nor does a command line that
`cli.main` has to parse. functional_tests/test_warm.py guards that.
"""

from __future__ import annotations

import os
import sys
import time

from envy import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envy.answers.lookup import Answer
    from envy.cli.settings import Settings

    Execute = Callable[[str, Sequence[str], Mapping[str, str]], object]

# Options that do not change the answer of a warm command; those with a value take a number.
_FLAGS = frozenset({"--fail-fast", "-y", "--yes", "--no-progress", "--offline"})
_QUERIES = frozenset({"asset", "env", "product", "run", "x"})
_RUNS = frozenset({"run", "x"})
_FORMS = frozenset({"sh", "fish", "json", "dotenv"})  # as in `cli.env_text`
_NUMBERS = frozenset({"-j", "--jobs", "--fetch-jobs"})
_PATHS = {"--manifest": "ENVY_MANIFEST", "--cache-root": "ENVY_CACHE_ROOT"}
_YES_OR_NO = (
    "ENVY_YES",
    "ENVY_OFFLINE",
    "ENVY_DEPOT_WRITE",
    "ENVY_DEPOT_UNSIGNED",
    "ENVY_REMOTE_READ_ONLY",
    "ENVY_REMOTE_UNSIGNED",
)
_WORDS_FOR_YES_AND_NO = frozenset({"", "1", "true", "yes", "on", "0", "false", "no", "off"})


class CommandLine:
    """A plain command line."""

    __slots__ = ("command", "form", "paths", "queries", "quiet", "words")

    def __init__(self) -> None:
        self.command = ""
        self.queries: list[str] = []
        self.paths: dict[str, str] = {}  # values of options, by the variable that each overrides
        self.quiet = False
        self.form = "sh"  # of `env`
        self.words: list[str] = []  # of `run` and `x`: the program or tool, and its arguments


def answer(arguments: Sequence[str], *, execute: Execute | None = None) -> int | None:
    """Run a plain command line if everything it needs is installed, and return the exit code.

    None means that nothing was done and nothing was printed. `envy run` and `envy x` end this
    process, or return None; they call `execute` with the path of the program, its words and its
    variables.
    """
    if list(arguments) == ["--version"] and sys.stdout is not None:
        return _print(f"envy {__version__}")
    started = time.monotonic()
    is_test = arguments[:1] == ["test"]
    line = CommandLine() if is_test else parse_plain(arguments)
    if line is None or sys.stdin is None or sys.stdout is None or sys.stderr is None:
        return None  # the next file that is opened would take the descriptor of a closed stream
    from envy.environment import environment

    variables = environment()
    if is_test:
        return _test(arguments[1:], variables, started)
    paths = find_paths(line, variables)
    if paths is not None and line.command in _RUNS:
        _run(line, paths, variables, execute or _replace)
        return None
    if paths is None or line.command in {"product", "env"}:
        return _print_use(line, paths, variables) if paths else None
    return _find(line, paths, variables, started)


def warm_answer(settings: Settings, queries: Sequence[str], *, renews: bool) -> Answer | None:
    """Return the warm answer to a command whose options were parsed in full; None if there is none.

    `renews`: the command is a sync, which notices new programs of the machine.

    Raises:
        ManifestError: there is no manifest; CacheError: there is no path for the cache.
    """
    if settings.verbose or settings.traces or settings.locked:
        # The first two show every step, and the last compares all of the project with its lock.
        return None
    from envy.answers.lookup import installed
    from envy.cli.cache_root import cache_root
    from envy.cli.manifest_path import manifest_path

    manifest = manifest_path(settings)
    return installed(
        str(cache_root(settings)), str(manifest), queries, settings.environment, renews=renews
    )


def _find(
    line: CommandLine, paths: tuple[str, str], variables: Mapping[str, str], started: float
) -> int | None:
    """Answer a sync or an asset."""
    from envy.answers.lookup import installed

    found = installed(*paths, line.queries, variables, renews=line.command == "sync")
    if found is None:
        return None
    if line.command == "asset":
        return _print(found.folders[0])
    if not line.quiet:
        _say(all_cached(found.count, time.monotonic() - started))
    return 0


def _test(words: Sequence[str], variables: Mapping[str, str], started: float) -> int | None:
    """Answer a test whose run is remembered."""
    try:
        root = _path("ENVY_CACHE_ROOT", CommandLine(), variables, os.getcwd())  # noqa: PTH109
    except OSError:
        return None
    root = _user_cache(variables) if root is None else root
    if not root:
        return None
    from envy.cli.test_answer import answer_test

    return answer_test(words, root, variables, started)


def _replace(program: str, words: Sequence[str], variables: Mapping[str, str]) -> None:
    os.execve(program, list(words), variables)  # noqa: S606 - no shell is intended


def _run(
    line: CommandLine, paths: tuple[str, str], variables: Mapping[str, str], execute: Execute
) -> None:
    """Replace this process with the program; return if a full run is needed."""
    from envy.answers.use import invocation_of

    words = tool_words(line.words) if line.command == "x" else line.words
    found = invocation_of(*paths, words, variables)
    # Unlike `run`, `x` runs no program but that of the package.
    if found is None or (line.command == "x" and not found.program.startswith(f"{paths[0]}/")):
        return
    import signal

    # Python ignores these signals, and the program would inherit that.
    ignored = [signal.SIGPIPE, signal.SIGXFSZ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        execute(found.program, found.words, found.variables)
    except OSError:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def tool_words(words: Sequence[str]) -> Sequence[str]:
    """Return the program and the arguments in the words of `envy x TOOL [--] ARGS`."""
    arguments = words[2:] if words[1:2] == ["--"] else words[1:]
    name = words[0].removeprefix("envy.").removeprefix("pypi:").removeprefix("npm:")
    return [name.partition("@")[0], *arguments]


def _print_use(
    line: CommandLine, paths: tuple[str, str], variables: Mapping[str, str]
) -> int | None:
    """Print a product, or the variables of programs."""
    from envy.answers.use import product_value, variables_of

    if line.command == "product":
        return _print(product_value(*paths, line.queries[0], variables))
    if os.name == "nt":
        return None
    from envy.cli.env_text import env_text

    found = variables_of(*paths, variables)
    # Nothing to print is left to the full command line.
    return _print(env_text(found, line.form)) if found else None


def _print(text: str | None) -> int | None:
    # The encoding of any other text depends on the terminal, which the full command line knows.
    if text is None or not text.isascii():
        return None
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        from envy.cli.main import report_output

        return report_output(error)
    return 0


def all_cached(count: int, seconds: float) -> str:
    """Return the final line of a sync that had nothing to do, as `console.summary` writes it."""
    packages = "1 package" if count == 1 else f"{count} packages"
    return f"sync complete: {packages}, 0 failed ({count} cached) in {seconds:.1f}s"


def _say(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # a closed or full stream is ignored; contextlib is not loaded here


def parse_plain(arguments: Sequence[str]) -> CommandLine | None:
    """Parse a plain command line; return None for any other."""
    line = CommandLine()
    remaining = list(reversed(arguments))
    while remaining:
        word = remaining.pop()
        if line.command in _RUNS and (word == "--" or not word.startswith("-")):
            line.words = [*([] if word == "--" else [word]), *reversed(remaining)]
            break
        if word.startswith("-"):
            if not _take_option(line, word, remaining):
                return None
        elif not line.command:
            line.command = word or "?"  # an empty word is not a command
        else:
            line.queries.append(word)
    if line.command == "sync" or (line.command == "env" and not line.queries):
        return line
    if line.command in {"asset", "product"} and len(line.queries) == 1 and line.queries[0]:
        return line
    if line.command in _RUNS and line.words and line.words[0] and line.words[0][0] != "-":
        return line if line.command == "run" or _is_tool(line.words[0]) else None
    return None


def _is_tool(word: str) -> bool:
    """Return whether a word of `envy x` can be that of a folder."""
    word = word.removeprefix("pypi:").removeprefix("npm:")
    plain = word.replace("@", "").replace(".", "").replace("-", "").replace("_", "")
    return plain.isascii() and plain.isalnum() and word[0] not in ".@"


def _take_option(line: CommandLine, word: str, remaining: list[str]) -> bool:
    """Parse one option and the value after it; return False if the option is not plain."""
    if word in {"-q", "--quiet"}:
        line.quiet = True
        return True
    if word in _FLAGS or (word == "--no-install" and line.command in _QUERIES):
        return True
    name, equals, value = word.partition("=")
    takes_form = name == "--format" and line.command == "env"
    is_known = name in _NUMBERS or name in _PATHS or takes_form
    if not is_known or not (equals or remaining):
        return False
    value = value if equals else remaining.pop()
    if takes_form:
        line.form = value
        return value in _FORMS
    if name in _PATHS:
        line.paths[_PATHS[name]] = value
        return value != "" and not value.startswith("-")
    # `-j=4` does not set a number: click takes the `=` as part of the value.
    return value.isascii() and value.isdigit() and int(value) > 0 and not (equals and name == "-j")


def find_paths(line: CommandLine, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the root of the cache and the manifest; None if only the full command line can."""
    for name in _YES_OR_NO:
        if variables.get(name, "").strip().lower() not in _WORDS_FOR_YES_AND_NO:
            return None
    if variables.get("ENVY_LOCKED"):
        return None
    if not (variables.get("ENVY_CACHE_ROOT") or "/").startswith("/"):
        return None
    from envy.cache.names import RUN_ONCE_FOLDER
    from envy.declarations.manifest_search import MANIFEST_NAME, global_manifest, nearest_manifest

    try:
        here = os.getcwd()  # noqa: PTH109  pathlib is not loaded here
        manifest = _path("ENVY_MANIFEST", line, variables, here)
        if line.command == "x" and manifest != "":
            manifest = None
        elif manifest is None:
            manifest = nearest_manifest(here)[0]
            own = "" if manifest else global_manifest(variables)
            manifest = own if own and _is_plain(own) else manifest
        root = _path("ENVY_CACHE_ROOT", line, variables, here)
        root = _user_cache(variables) if root is None else root
        if manifest is None:
            manifest = f"{root}/{RUN_ONCE_FOLDER}/{line.words[0]}/{MANIFEST_NAME}"
        plain = root and manifest and os.path.isfile(manifest)  # noqa: PTH113
    except (OSError, ValueError):
        return None
    return (root, manifest) if plain else None


def _path(name: str, line: CommandLine, variables: Mapping[str, str], here: str) -> str | None:
    """Return the path that an option or a variable gives; None: neither; "": it is not plain."""
    text = line.paths.get(name)
    if text is None:
        text = variables.get(name) or None
        if text is None:
            return None
    if not text or text.startswith("~"):
        return ""
    path = text if text.startswith("/") else f"{here}/{text}"
    return path if _is_plain(path) else ""


def _user_cache(variables: Mapping[str, str]) -> str:
    """Return the user's cache folder, as platformdirs does on systems that follow XDG."""
    if sys.platform != "linux":
        return ""
    folder = variables.get("XDG_CACHE_HOME", "")
    if not folder.strip():
        home = variables.get("HOME", "")
        folder = f"{home}/.cache" if home else ""
    return f"{folder}/envy" if folder.startswith("/") and _is_plain(folder) else ""


def _is_plain(path: str) -> bool:
    """Return whether pathlib leaves an absolute path unchanged; it removes "" and "." parts."""
    parts = path[1:].split("/")
    return "" not in parts and "." not in parts
