"""The part of `envy doctor` about the machine: versions, programs, the network's settings."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from envy import __version__
from envy.cli.doctor_report import Report
from envy.cli.fetch_context import command_context, run_program
from envy.errors import EnvyError, FetchError, ScriptFailed
from envy.extras import DISTRIBUTION
from envy.host.platform import available_cores, host_platform
from envy.host.shell import builtin_shell
from envy.masking import remember_address
from envy.os_errors import os_error_text
from envy.transport.certificates import CERTIFICATE_VARIABLES, tls_context, trusted_places
from envy.transport.npm_configuration import npm_configuration
from envy.transport.pip_configuration import pip_configuration

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_SECONDS = 60.0
_FEW_FILES = 256
_REINSTALL = "install envy again"


def check_software(report: Report) -> None:
    """Report the versions of envy, of Python and of the libraries that envy uses."""
    report.section = "software"
    report.add("envy", f"{__version__} ({Path(__file__).parent.parent})")
    report.add("python", f"{sys.version.split()[0]} ({sys.executable})")
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        report.doubtful("envy is not installed as a Python package", _REINSTALL)
        return
    for requirement in requirements:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement or ("python_version" in requirement and not _has(name)):
            continue
        try:
            report.add(name, metadata.version(name) + _lua(name))
        except metadata.PackageNotFoundError:
            report.broken(f"the library {name} is missing", _REINSTALL)
    report.add("openssl", ssl.OPENSSL_VERSION)


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _lua(name: str) -> str:
    """Return the version of Lua in lupa."""
    if name != "lupa":
        return ""
    from lupa import lua54

    return f" (Lua {'.'.join(map(str, lua54.LUA_VERSION))})"


def check_platform(report: Report, environment: Mapping[str, str]) -> None:
    """Report the system, and what it allows this user."""
    report.section = "platform"
    host = host_platform()
    report.add("platform", host.tag)
    report.add("system", host.os_version or host.os)
    if host.libc:
        report.add("libc", f"{host.libc} {host.libc_version}".strip())
    report.add("processors", available_cores())
    if environment.get("HOME"):
        report.add("home", environment["HOME"], "HOME")
    else:
        report.add("home", "HOME is not set")
    try:
        report.add("temporary folder", tempfile.gettempdir())
    except OSError:
        report.broken("no folder for temporary files is writable", "set TMPDIR to a folder that is")
    _open_files(report)


def _open_files(report: Report) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    report.add("open files", "unlimited" if limit == resource.RLIM_INFINITY else limit)
    if 0 <= limit < _FEW_FILES:
        report.doubtful(
            f"only {limit} files can be open at once", f"raise the limit: ulimit -n {_FEW_FILES}"
        )


def check_programs(report: Report, environment: Mapping[str, str]) -> None:
    """Report the programs of the machine that envy itself runs."""
    report.section = "programs"
    shell = builtin_shell(host_platform())
    program = (shell.inline or shell.file)[0]
    _program(
        report, environment, program, "scripts of recipes run in it unless they choose another"
    )
    _program(report, environment, "git", "sources from git repositories need it")


def _program(report: Report, environment: Mapping[str, str], name: str, use: str) -> None:
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        report.add(name, "not found")
        report.doubtful(f"the program {name} is not on PATH; {use}", f"install {name}")
        return
    try:
        code, output, errors = run_program([found, "--version"], env=environment, timeout=_SECONDS)
    except ScriptFailed as error:
        report.failed(error, remedy=f"install {name} again")
        return
    words = output.decode(errors="replace").strip().splitlines()
    report.add(name, f"{words[0] if words else 'unknown version'} ({found})")
    if code:
        reason = errors.decode(errors="replace").strip().splitlines()
        report.broken(
            f"{found} --version failed: {reason[0] if reason else f'exit code {code}'}",
            f"install {name} again",
        )


def check_network(report: Report, environment: Mapping[str, str], folder: Path) -> None:
    """Report proxies, certificates and registries; nothing is connected to."""
    report.section = "network"
    for name in _PROXIES:
        _proxy(report, environment, name)
    for name in ("no_proxy", "NO_PROXY"):
        if environment.get(name):
            report.add("no_proxy", environment[name], name)
            break
    _certificates(report, environment)
    _registries(report, environment, folder)


def _proxy(report: Report, environment: Mapping[str, str], name: str) -> None:
    variable = name if environment.get(name) else name.upper()
    text = environment.get(variable, "")
    if not text:
        return
    address = text if "://" in text else f"http://{text}"
    remember_address(address)
    bare = without_user(address)
    report.add(name, bare, variable)
    if not bare.startswith(("http://", "https://")):
        report.broken(f"the proxy {bare} is not supported", f"set {variable} to an http:// proxy")


def without_user(address: str) -> str:
    """Return an address without what precedes its host."""
    scheme, colon, rest = address.partition("://")
    return f"{scheme}{colon}{rest.rpartition('@')[2]}"


def _certificates(report: Report, environment: Mapping[str, str]) -> None:
    used = next((name for name in CERTIFICATE_VARIABLES if environment.get(name)), "")
    if used:
        report.add("certificates", environment[used], used)
    if environment.get("SSL_CERT_DIR"):
        report.add("certificates", environment["SSL_CERT_DIR"], "SSL_CERT_DIR")
    try:
        tls_context(environment)
    except FetchError as error:
        report.failed(error)
        return
    if used or environment.get("SSL_CERT_DIR"):
        return
    places = trusted_places()
    report.add("certificates", ", ".join(places) or "none", "default")
    if not places:
        report.doubtful(
            "this machine has no certificates, so no https server is trusted",
            "install your system's ca-certificates, or set SSL_CERT_FILE",
        )


def _registries(report: Report, environment: Mapping[str, str], folder: Path) -> None:
    context = command_context(environment)
    try:
        origin = "PIP_INDEX_URL" if environment.get("PIP_INDEX_URL") else "pip"
        pip = pip_configuration(context)
        for index in pip.indexes:
            remember_address(index)
            report.add("pip index", without_user(index), origin)
        if pip.certificates:
            report.add("pip certificates", pip.certificates)
    except EnvyError as error:
        report.add("pip index", f"none: {error.message}")
    try:
        npm = npm_configuration("", folder, context)
        remember_address(npm.registry)
        report.add("npm registry", without_user(npm.registry))
        if npm.certificates:
            report.add("npm certificates", npm.certificates)
    except EnvyError as error:
        report.add("npm registry", f"none: {error.message}")
    except OSError as error:
        report.broken(
            f"npm's settings cannot be read: {os_error_text(error)}", "make them readable to you"
        )
