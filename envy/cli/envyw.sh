#!/bin/sh
# Runs envy for this project. `envy bootstrap` writes this file and envyw.txt; commit both.
#
# The first run installs envy, from the files that envyw.txt lists by their digests, in a Python
# environment of its own: envyw/VERSION-… in the user's data folder. The Python that is found is
# not changed. ENVY_DATA_ROOT names another data folder, ENVYW_PYTHON the Python to use.
set -eu

version=@version@
list_digest=@list_digest@ # of envyw.txt: SHA-256
pythons=@pythons@
# Used where no pip is: its wheel and, if none is configured, the index that has it.
pip_wheel=@pip_wheel@
pip_digest=@pip_digest@
index=@index@
default_index=@default_index@

fail() {
  printf 'error: %s\n  hint: %s\n' "$1" "$2" >&2
  exit 1
}

if [ -n "${ENVY_DATA_ROOT:-}" ]; then
  data=$ENVY_DATA_ROOT
else
  case ${XDG_DATA_HOME:-} in
    /*) data=$XDG_DATA_HOME/envy ;;
    *)
      case $(uname -s) in
        Darwin) data="${HOME:-}/Library/Application Support/envy" ;;
        *) data=${HOME:-}/.local/share/envy ;;
      esac
      case ${HOME:-} in
        /*) ;;
        *) fail "HOME is not set to an absolute path, so this user has no data folder" \
          "set HOME, or choose a folder: ENVY_DATA_ROOT=/path" ;;
      esac
      ;;
  esac
fi
case $data in
  /*) ;;
  *) fail "ENVY_DATA_ROOT is '$data', which is not an absolute path" \
    "set ENVY_DATA_ROOT=$PWD/$data" ;;
esac

# A link to the environment; made last, so that it never leads to half of one.
environment=$data/envyw/@environment@
if [ -x "$environment/bin/python" ] && [ -x "$environment/bin/envy" ]; then
  exec "$environment/bin/envy" "$@"
fi

# Prints the version of a Python, such as 3.12, with more to it if packages for CPython do not fit.
probe='
import sys
name = getattr(getattr(sys, "implementation", None), "name", "cpython")
threads = "t" if "t" in getattr(sys, "abiflags", "") else ""
print("%d.%d" % sys.version_info[:2] + threads + (" (%s)" % name if name != "cpython" else ""))
'
seen=
fits() {
  found=$("$1" -E -s -c "$probe" 2>/dev/null) || return 1
  case " $pythons " in
    *" $found "*) return 0 ;;
  esac
  seen="$seen${seen:+, }$1 is $found"
  return 1
}

python=
if [ -n "${ENVYW_PYTHON:-}" ]; then
  fits "$ENVYW_PYTHON" || fail "ENVYW_PYTHON is '$ENVYW_PYTHON', which is no usable Python${seen:+: $seen}" \
    "envy $version runs on Python $pythons"
  python=$ENVYW_PYTHON
else
  names="python3 python"
  for found in $pythons; do
    names="$names python$found"
  done
  for name in $names; do
    if command -v "$name" >/dev/null 2>&1 && fits "$name"; then
      python=$name
      break
    fi
  done
fi
[ -n "$python" ] || fail "envy $version runs on Python $pythons, and PATH has none of them${seen:+ ($seen)}" \
  "install one, or name one: ENVYW_PYTHON=/path/to/python3 $0"

# Without a single quote in it, and for every Python of the list.
install='
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import configparser
import fcntl
import hashlib
import http.client
import importlib.metadata
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

script, environment, version, list_digest, pip_wheel, pip_digest, *rest = sys.argv[1:]
index, default_index, *words = rest
root, name = os.path.split(environment)
folder = os.path.dirname(os.path.realpath(script))
wheels = os.path.join(folder, "envyw-wheels")
offline = os.environ.get("ENVY_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
own = itertools.takewhile(lambda word: word not in {"--", "run", "x"}, words)
offline = offline or "--offline" in own
# Settings of pip by which it would install something else, or elsewhere.
MISLEADING = """CONSTRAINT DRY_RUN EDITABLE GLOBAL_OPTION IGNORE_INSTALLED NO_BINARY NO_DEPS
ONLY_BINARY PREFIX PYTHON REPORT REQUIREMENT REQUIRE_VIRTUALENV ROOT SRC TARGET UPGRADE USER"""
OF_PYTHON = {"PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def fail(text, hint):
    say("error: " + text + "\n  hint: " + hint)
    sys.exit(1)


def is_complete():
    programs = [os.path.join(environment, "bin", one) for one in ("python", "envy")]
    return all(os.access(one, os.X_OK) for one in programs)


def requirements():
    path = os.path.join(folder, "envyw.txt")
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", "it belongs to envyw: commit both files")
    if hashlib.sha256(text).hexdigest() != list_digest:
        fail(
            f"{path} is not the list that envyw was written with",
            "restore both files, or write them anew: envy bootstrap",
        )
    return text


def install():
    text = requirements()
    os.makedirs(root, exist_ok=True)
    with open(environment + ".lock", "a") as lock:  # released with the process, however it ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"envyw: waiting for another process, which installs envy {version}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_complete():
            return
        for left in os.listdir(root):
            path = os.path.join(root, left)
            if left.startswith(name + ".") and path != lock.name:
                remove(path)
        new = tempfile.mkdtemp(prefix=name + ".", dir=root)
        try:
            fill(new, text)
            os.symlink(os.path.basename(new), new + ".link")
            os.replace(new + ".link", environment)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


def fill(new, text):
    found = "%d.%d" % sys.version_info[:2]
    try:
        import venv
    except ImportError:
        fail(
            f"{sys.executable} has no module venv",
            f"install it; the package of Debian and Ubuntu is python{found}-venv",
        )
    say(f"envyw: installing envy {version} for Python {found} in {root}")
    try:
        venv.EnvBuilder(symlinks=True).create(new)
    except ValueError as error:
        fail(f"{new} cannot be a Python environment: {error}", "choose ENVY_DATA_ROOT=/path")
    python = os.path.join(new, "bin", "python")
    listed = os.path.join(new, "envyw.txt")
    with open(listed, "wb") as file:
        file.write(text)
    variables = {
        key: value
        for key, value in os.environ.items()
        if key not in OF_PYTHON
        and not (key.startswith("PIP_") and key[4:] in MISLEADING.split())
    }
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-user"]
    options += ["--require-hashes", "--only-binary", ":all:", "--requirement", listed]
    options += ["--no-index"] if offline else []
    options += ["--find-links", wheels] if os.path.isdir(wheels) else []
    done = subprocess.run(
        [*pip_for(python, new), "install", *options],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env=variables,
    )
    if done.returncode and offline:
        fail(
            f"envy {version} is not installed yet, and ENVY_OFFLINE is set",
            "run envyw once without it",
        )
    if done.returncode:
        fail(
            f"pip could not install envy {version}; its reason is above",
            "pip takes the files of envyw.txt from the package index that it is configured for",
        )
    program = os.path.join(new, "bin", "envy")
    if shlex.quote(python) != python:  # the scripts of pip do not take every path
        with open(program, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("#!/bin/sh\nexec " + shlex.quote(python) + " -P -m envy \"$@\"\n")
    if subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, env=variables).returncode:
        fail(f"the envy that was installed in {new} does not run", "its error is above")


def pip_for(python, new):
    try:
        numbers = importlib.metadata.version("pip").split(".")
        if (int(numbers[0]), int(numbers[1])) >= (22, 3):  # has --python
            return [sys.executable, "-I", "-m", "pip", "--python", python]
    except (importlib.metadata.PackageNotFoundError, ValueError, IndexError):
        pass
    path = os.path.join(new, pip_wheel)
    with open(path, "wb") as file:
        file.write(content_of_pip())
    return [python, "-I", os.path.join(path, "pip")]


def content_of_pip():
    reasons = []
    indexes = [wheels]
    if not offline:
        indexes += [index or configured("index-url") or default_index]
        indexes += configured("extra-index-url").split()
    for one in filter(None, indexes):
        try:
            if one == wheels:
                with open(os.path.join(wheels, pip_wheel), "rb") as file:
                    data = file.read()
            else:
                data = download_pip(one.rstrip("/") + "/pip/")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, ImportError, http.client.HTTPException) as error:
            reasons.append(f"{shown(one)}: {error}")
            continue
        if hashlib.sha256(data).hexdigest() == pip_digest:
            return data
        fail(
            f"{pip_wheel} of {shown(one)} has another digest than envyw names",
            "somebody has changed this file: ask who runs the index",
        )
    if offline:
        reasons.append("ENVY_OFFLINE is set")
    fail(
        f"{sys.executable} has no pip, and {pip_wheel} cannot be had: "
        + ("; ".join(reasons) or "no package index is configured"),
        "install pip, or name an index that has it: PIP_INDEX_URL=…",
    )


def configured(option):
    value = os.environ.get("PIP_" + option.upper().replace("-", "_"), "").strip()
    home = os.path.expanduser("~")
    configs = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    systems = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files = [os.path.join(one, "pip", "pip.conf") for one in systems]
    files += ["/Library/Application Support/pip/pip.conf"] if sys.platform == "darwin" else []
    files += ["/etc/pip.conf", os.path.join(home, ".pip", "pip.conf")]
    if sys.platform == "darwin":
        files.append(os.path.join(home, "Library", "Application Support", "pip", "pip.conf"))
    files += [os.path.join(configs, "pip", "pip.conf"), os.path.join(sys.prefix, "pip.conf")]
    files.append(os.environ.get("PIP_CONFIG_FILE", ""))
    for path in reversed(files):  # the last one counts, as for pip
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, ValueError) as error:
            fail(f"{path} cannot be read: {error}", "correct this file of pip")
        for section in ("install", "global"):
            value = value or parser.get(section, option, fallback="").strip()
    return value


def shown(address):
    scheme, slashes, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + slashes + host.rpartition("@")[2] + slash + path.partition("?")[0]


def read(address, is_page=False):
    import base64
    import ssl
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(address)
    if is_page and parts.scheme == "file":
        parts = parts._replace(path=parts.path + "index.html")
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(
        urllib.parse.urlunsplit(parts._replace(netloc=host, fragment="")),
        headers={"Accept": "application/vnd.pypi.simple.v1+html, text/html;q=0.1, */*;q=0.1"},
    )
    if at:
        given = urllib.parse.unquote(user).encode()
        encoded = base64.b64encode(given).decode()
        request.add_unredirected_header("Authorization", "Basic " + encoded)
    certificates = ssl.create_default_context(cafile=configured("cert") or None)
    with urllib.request.urlopen(request, timeout=60, context=certificates) as answer:
        return answer.read(1 << 26)


def download_pip(base):
    import html.parser
    import urllib.parse

    found = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            address = dict(attributes).get("href") if tag == "a" else None
            path = urllib.parse.urlsplit(address or "").path
            if urllib.parse.unquote(path).rpartition("/")[2] == pip_wheel:
                found.append(urllib.parse.urlsplit(urllib.parse.urljoin(base, address)))

    Links().feed(read(base, is_page=True).decode("utf-8", "replace"))
    if not found:
        raise ValueError("it does not have this wheel")
    page, file = urllib.parse.urlsplit(base), found[0]
    user, at, host = page.netloc.rpartition("@")
    if (file.scheme, file.netloc) == (page.scheme, host):
        file = file._replace(netloc=page.netloc)  # with the credentials of the page
    return read(urllib.parse.urlunsplit(file))


try:
    install()
except OSError as error:
    where = f" ({error.filename})" if error.filename else ""
    fail(
        f"envy {version} cannot be installed in {root}: {error.strerror or error}{where}",
        "another data folder can be used: ENVY_DATA_ROOT=/path",
    )
for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(ignored, signal.SIG_DFL)
program = os.path.join(environment, "bin", "envy")
os.execv(program, [program, *words])
'
exec "$python" -I -c "$install" "$0" "$environment" "$version" "$list_digest" \
  "$pip_wheel" "$pip_digest" "$index" "$default_index" "$@"
