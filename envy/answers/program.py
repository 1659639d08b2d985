"""The program that a name runs in a project, and the variables that it runs with.

Nothing here needs the engine: the environment may have been found by an earlier command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.answers.machine_programs import find_program
from envy.answers.project_environment import (
    NOT_FOUND,
    OUTSIDE,
    ProductNotExecutable,
    ProductNotRun,
    ProjectEnvironment,
    Provider,
    choose_provider,
    why_ambiguous,
)
from envy.cache.shims import refusing_text, script_folder, shim_text, without_shims
from envy.errors import EnvyError


class CommandNotFound(EnvyError):
    """The program is neither in the packages nor on PATH."""

    exit_code = NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCall:
    """A program with its words, and the variables to run it with."""

    path: str
    words: Sequence[str]
    environment: Mapping[str, str]


def program_call(
    environment: ProjectEnvironment,
    words: Sequence[str],
    *,
    base: Mapping[str, str],
    root: Path,
) -> ProgramCall:
    """Return what to run for the words of a command; `base` are the user's variables.

    A product runs under its own path, not under its name.

    Raises:
        ProductNotRun, ProductNotExecutable, CommandNotFound: the first word cannot be run.
        CacheError: scripts cannot be written to the cache, whose root is `root`.
    """
    name = words[0]
    machine = without_shims(base.get("PATH", ""), root)
    variables = with_scripts(environment, machine, root).applied_to(base)
    provider = choose_provider(environment, name)
    if provider is None:
        return ProgramCall(
            path=_found(name, variables, environment.providers), words=words, environment=variables
        )
    program = _program_of(provider, name, machine)
    return ProgramCall(path=program, words=[program, *words[1:]], environment=variables)


def project_variables(
    environment: ProjectEnvironment, *, base: Mapping[str, str], root: Path
) -> dict[str, str]:
    """Return the variables that the project sets, on top of those of the user.

    Raises:
        ManifestError: the dotenv file is invalid.
        CacheError: scripts cannot be written to the cache, whose root is `root`.
    """
    machine = without_shims(base.get("PATH", ""), root)
    full = with_scripts(environment, machine, root)
    return full.applied_to({name: base[name] for name in full.folders if name in base})


def with_scripts(environment: ProjectEnvironment, path: str, root: Path) -> ProjectEnvironment:
    """Return an environment with a folder of scripts before all others; `path` is the machine's.

    Raises:
        CacheError: scripts cannot be written to the cache, whose root is `root`.
    """
    scripts = _scripts(environment, path)
    if not scripts:
        return environment
    folders = [str(script_folder(root, scripts)), *environment.folders.get("PATH", ())]
    return replace(environment, folders={**environment.folders, "PATH": folders}, in_front={})


def _scripts(environment: ProjectEnvironment, path: str) -> dict[str, str]:
    """Return the scripts that come before all folders, by name; `path` is that of the machine.

    A name whose package is missing, and a name that several packages provide equally near, is
    refused when the program runs it: otherwise a program of the machine would run instead.
    """
    scripts = {name: shim_text(program) for name, program in environment.in_front.items()}
    for name, found in environment.providers.items():
        provider, reason = found[0], ""
        if provider.distance == OUTSIDE:
            continue
        if len(found) > 1:
            reason = why_ambiguous(name, found)
        elif not provider.usable:
            reason = f"{name} is a product of {provider.package}, which is not installed"
        elif provider.user_managed and "/" not in provider.program:
            program = find_program(provider.program, {"PATH": path})
            reason = "" if program else _why_not_on_path(provider, name)
            scripts[name] = shim_text(program or "")
        if reason:
            scripts[name] = refusing_text(reason)
    return scripts


def _why_not_on_path(provider: Provider, name: str) -> str:
    return (
        f"the product {name} of {provider.package} is {provider.program!r}, and there is no such "
        "program on PATH"
    )


def _program_of(provider: Provider, name: str, path: str) -> str:
    """Return the program that a product is; `path` is that of the machine.

    Raises:
        ProductNotExecutable: it is a file; CommandNotFound: it is a name that is not on PATH.
    """
    if not provider.is_program:
        raise ProductNotExecutable(
            f"the product {name} of {provider.package} cannot be run: {provider.program} is a file",
            hint=f"print its path with: envy product {name}",
        )
    if not provider.usable:
        raise ProductNotRun(f"{name} is a product of {provider.package}, which is not installed")
    if "/" in provider.program:
        return provider.program
    found = find_program(provider.program, {"PATH": path})
    if found is None:
        raise CommandNotFound(_why_not_on_path(provider, name))
    return found


def _found(name: str, variables: Mapping[str, str], products: Iterable[str]) -> str:
    """Return the file of a program that is not a product; an error suggests one of `products`.

    Raises:
        CommandNotFound: there is none; ProductNotExecutable: it cannot be run.
    """
    program = find_program(name, variables)
    if program is not None:
        return program
    if "/" in name and Path(name).exists():
        raise ProductNotExecutable(f"{name} cannot be run: it is not executable")
    from envy.declarations.shipped import advice_to_add
    from envy.suggest import nearest

    near = nearest(name, products)
    guess = f"; did you mean {near}?" if near else ""
    advice = advice_to_add(name)
    raise CommandNotFound(
        f"there is no program {name!r} in the packages or on PATH{guess}",
        hint=f"{advice}; " * bool(advice) + "list the products of the packages with `envy product`",
    )
