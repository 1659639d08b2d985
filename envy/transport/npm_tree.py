"""A release of npm as a folder with the packages that it pins itself, as npm would lay them out.

Each tarball is verified by the integrity in the release's npm-shrinkwrap.json. No script is run.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from envy.content.archive import extract_below
from envy.content.atomic import temporary_beside, written_whole
from envy.content.below_root import BelowRoot, open_below, parts_of
from envy.content.brought import LeadsOutside
from envy.content.extraction import judge_links
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_open_file, read_plain
from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, FetchError
from envy.host.platform import host_platform
from envy.limits import REGISTRY_DOCUMENT, REGISTRY_VALUES
from envy.transport.context import FetchContext, Fetched
from envy.transport.kept import take_kept
from envy.transport.npm_configuration import npm_configuration
from envy.transport.npm_shrinkwrap import FILE, PinnedPackage, is_for, pinned_packages, programs_of
from envy.transport.npm_tarball import Tarball, download_tarball, integrity_of
from envy.transport.source_tree import tree_size
from envy.transport.target import make_executable


def fetch_tree(
    item: SourceItem,
    target: Path,
    context: FetchContext,
    *,
    fetch_tarball: Callable[[SourceItem, Path, FetchContext], Fetched],
) -> Fetched:
    """Fetch a release and what it pins as the folder `target`, which has `node_modules`.

    Raises:
        FetchError: the release pins nothing, or something that cannot be fetched as it is pinned.
    """
    _check_fields(item)
    plain = replace(item, shrinkwrap=False, dest="")
    with written_whole(target) as part, temporary_beside(part) as scratch:
        part.mkdir()
        scratch.mkdir()
        release = fetch_tarball(plain, scratch, context)
        with open_below(part) as below:
            _unpack(release.path, below, "", item)
            wanted = _wanted(below, item, context)
            archives = _download_all(wanted, scratch, item, context)
            for package, archive in zip(wanted, archives, strict=True):
                _unpack(archive, below, package.path, item)
            judge_links(below)
        link_programs(part, wanted)
    return Fetched(
        path=target,
        bytes=tree_size(target),
        sha256="",
        uri=release.uri,
        verified=release.verified,
    )


def _check_fields(item: SourceItem) -> None:
    given: dict[str, object] = {
        "extract": item.extract is not None,
        "strip": item.strip,
        "subdir": item.subdir,
    }
    given |= {"executable": item.executable, "only": item.only, "exclude": item.exclude}
    for name in [name for name, is_given in given.items() if is_given]:
        raise DeclarationError(
            f"`{name}` cannot be used with shrinkwrap = true: the release becomes a folder",
            origin=item.origin,
        )


def _wanted(below: BelowRoot, item: SourceItem, context: FetchContext) -> list[PinnedPackage]:
    """Return the packages that the release pins for the platform of the context."""
    uri = item.source
    try:
        text = read_open_file(below.open_file((FILE,)), REGISTRY_DOCUMENT)
        document = parse_json(text, most_values=REGISTRY_VALUES.value)
    except (OSError, LeadsOutside):
        raise FetchError(
            f"{uri} has no {FILE}, so it does not say which packages it needs",
            uri=uri,
            hint="remove shrinkwrap = true for the release alone; envy.npmtool resolves and "
            "installs what it needs",
        ) from None
    except (NotPlain, ValueError) as error:
        hint = error.limit.hint if isinstance(error, NotPlain) and error.limit else ""
        raise FetchError(
            f"the {FILE} of {uri} cannot be read: {error}", uri=uri, hint=hint
        ) from error
    platform = context.platform or host_platform()
    wanted, left_out = [], ""
    for package in pinned_packages(document, uri=uri):
        if left_out and package.path.startswith(left_out):
            continue  # it is inside of a package that is left out
        if is_for(package, platform):
            wanted.append(package)
        elif package.optional:
            left_out = f"{package.path}/"
        else:
            raise FetchError(
                f"{uri} needs {package.name}@{package.version}, which is not for {platform.tag}",
                uri=uri,
            )
    if scripts := [package.name for package in wanted if package.has_script]:
        context.warn(
            f"{uri} needs packages with install scripts, which are not run: {', '.join(scripts)}"
        )
    return wanted


def _download_all(
    wanted: Sequence[PinnedPackage], scratch: Path, item: SourceItem, context: FetchContext
) -> list[Path]:
    """Download all tarballs, each once; a package that several need has several places."""
    plain = SourceItem(source=item.source, origin=item.origin, base_dir=item.base_dir)
    context = replace(context, progress=lambda *_: None)

    def download(package: PinnedPackage, target: Path) -> None:
        expected = integrity_of(
            {"integrity": package.integrity},
            f"{package.name}@{package.version}, which {item.source} pins",
            by=f"the {FILE}",
        )
        if not expected:
            raise FetchError(
                f"the {FILE} of {item.source} has an integrity for {package.path} that is none: "
                f"{package.integrity[:200]}",
                uri=item.source,
            )
        label = f"{package.name}@{package.version}, which {item.source} pins,"
        if take_kept(plain, target, context, expected=expected, uri=label):
            return
        context.check_online(label)  # before npm is asked for its registry
        download_tarball(
            Tarball(name=package.name, version=package.version, address=package.address),
            target,
            context,
            item=plain,
            configuration=npm_configuration(package.name, item.base_dir, context),
            expected=expected,
        )

    needed: dict[str, tuple[PinnedPackage, Path]] = {}
    for package in wanted:
        needed.setdefault(package.integrity, (package, scratch / f"{len(needed)}.tgz"))
    with ThreadPoolExecutor(max(1, context.ranges.connections), "envy-npm") as pool:
        pending = [pool.submit(download, *each) for each in needed.values()]
        try:
            for future in pending:
                future.result()
        except BaseException:
            for future in pending:
                future.cancel()
            raise
    return [needed[package.integrity][1] for package in wanted]


def _unpack(archive: Path, below: BelowRoot, place: str, item: SourceItem) -> None:
    into = parts_of(place)
    try:
        if into and below.status(into) is not None:
            raise FetchError(
                f"{item.source} brings {place}, and its {FILE} names another package there",
                uri=item.source,
            )
        extract_below(archive, below, into, strip=1)
    except LeadsOutside as error:
        raise FetchError(
            f"{place or item.source} would be unpacked through {error.why}", uri=item.source
        ) from None


def link_programs(root: Path, wanted: Sequence[PinnedPackage]) -> None:
    """Make the programs executable, and link those of packages in `node_modules/.bin`."""
    inside = root.resolve()
    with contextlib.suppress(OSError, NotPlain, ValueError):
        about = parse_json(read_plain(str(root / "package.json"), REGISTRY_DOCUMENT))
        for to in programs_of(about.get("bin"), "x").values() if isinstance(about, dict) else ():
            _make_executable(root / to, inside)
    for package in wanted:
        folder = root / package.path
        links = root / package.path.rpartition("node_modules/")[0] / "node_modules" / ".bin"
        for name, to in sorted(package.programs.items()):
            if not _make_executable(folder / to, inside):
                continue  # npm does not link it, either
            with contextlib.suppress(FileExistsError, NotADirectoryError):  # the release's own
                links.mkdir(exist_ok=True)
                (links / name).symlink_to(os.path.relpath(folder / to, links))


def _make_executable(path: Path, inside: Path) -> bool:
    """Make a file below a folder executable; return whether it is one."""
    try:
        real = path.resolve()
        if not real.is_relative_to(inside) or not real.is_file():
            return False
    except OSError:  # a name that is too long, say
        return False
    make_executable(real)
    return True
