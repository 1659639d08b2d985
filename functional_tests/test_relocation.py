"""Packages of one cache, used in another whose path has another length."""

import json
import os
import shutil
import subprocess

import pytest
from project import Project

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler `cc`")

NET = """
host = { "cc" }
stage = [[
cat > net.c <<'END'
#include <stdio.h>
#include <string.h>
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
const char *net_data(void) {
  static char path[4096];
  copy(path, PREFIX, strlen(PREFIX));
  strcpy(path + strlen(PREFIX), "/share/data");
  return path;
}
END
cat > main.c <<'END'
#include <stdio.h>
const char *net_data(void);
int main(void) {
  char text[100];
  FILE *file = fopen(net_data(), "r");
  if (!file || !fgets(text, sizeof text, file)) return 1;
  fputs(text, stdout);
  return 0;
}
END
]]
build = [[
P=$ENVY_INSTALL_DIR
mkdir -p $P/bin $P/include $P/lib/pkgconfig $P/lib/cmake $P/share
echo certificates > $P/share/data
echo 'const char *net_data(void);' > $P/include/net.h
cc -O2 -g -fPIC -shared -DPREFIX="\\"$P\\"" net.c -o $P/lib/libnet.so
cc -O2 -g -c -DPREFIX="\\"$P\\"" net.c -o net.o && ar rc $P/lib/libnet.a net.o
cc -O2 main.c -o $P/bin/net -L$P/lib -lnet -Wl,-rpath,$P/lib
printf 'prefix=%s\\nlibdir=${prefix}/lib\\nName: net\\nDescription: net\\nVersion: 1\\n' $P \
  > $P/lib/pkgconfig/net.pc
printf "libdir='%s/lib'\\n" $P > $P/lib/libnet.la
printf '#!/bin/sh\\necho -I%s/include -L%s/lib -lnet\\n' $P $P > $P/bin/net-config
chmod +x $P/bin/net-config
]]
products = { net = "bin/net", ["fetch-net"] = "bin/net" }
exports = { env = { NET = "{{asset}}" } }
"""
CONSUMER = """
host = { "cc" }
dependencies = { "local.net@r1" }
install = [[
mkdir bin
prefix=$(sed -n 's/^prefix=//p' $NET/lib/pkgconfig/net.pc)
cat > use.c <<'END'
#include <net.h>
#include <stdio.h>
int main(void) { puts(net_data()); return 0; }
END
cc use.c $($prefix/bin/net-config) -Wl,-rpath,$prefix/lib -o bin/use && rm use.c
]]
"""
PYTHON = """
install = [[
python3 -m venv --without-pip . >&2
printf '#!%s/bin/python\\nimport sys\\nprint(sys.prefix, sys.argv[1:])\\n' "$PWD" > bin/tool
chmod +x bin/tool
]]
pass_env = { "PATH" }
products = { tool = "bin/tool" }
"""


FAR = "/".join(["another-machine-with-a-very-long-path" * 3] * 2)


def machine(tmp_path, name, recipes):
    """A machine: the project with these recipes, and a cache of its own below a name."""
    project = Project(tmp_path / "project", tmp_path / name)
    project.packages(*recipes)
    for identity, body in recipes.items():
        project.recipe(identity, body)
    return project


def text_of(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


@needs_cc
def test_a_library_and_what_is_built_with_it(tmp_path):
    """A library is used where it was not built: by its program, its shim, and a consumer."""
    recipes = {"local.net@r1": NET, "local.use@r1": CONSUMER}
    one = machine(tmp_path, "cache-of-the-first-machine", recipes)
    one.envy("sync")
    one.envy("export", "net", "-o", "net.tar.zst")

    two = machine(tmp_path, "c", recipes)
    assert two.envy("import", "net.tar.zst").out == "imported local.net@r1\n"
    run = two.envy("sync")
    assert [event["recipe"] for event in run.named("phase_start", phase="install")] == [
        "local.use@r1"
    ]
    assert "0 damaged" in two.envy("cache", "verify").out
    shutil.rmtree(one.cache, ignore_errors=True)
    for name in ("net", "fetch-net"):
        assert two.envy("run", name, trace=False).out == "certificates\n"
    net, use = run.folder("local.net@r1"), run.folder("local.use@r1")
    shown = text_of(use / "bin/use").strip()
    assert os.path.normpath(shown) == str(net / "share/data")
    assert (net / "lib/libnet.la").read_text() == f"libdir='{net}/lib'\n"
    # What was patched at the same length is known as well as what was not.
    [row] = [
        row
        for row in json.loads(two.envy("cache", "--json").out)["entries"]
        if row["identity"] == "local.net@r1"
    ]
    assert row["longest_root"] == len(str(one.cache))
    two.envy("export", "use", "-o", "all.tar.zst")

    # The library still has the room that it was built with, and the consumer needs none.
    three = machine(tmp_path, "cache-of-third-machine", recipes)
    imported = three.envy("import", "all.tar.zst").out
    assert imported == "imported local.net@r1\nimported local.use@r1\n"
    shutil.rmtree(two.cache, ignore_errors=True)
    [use] = three.cache.glob("assets/local.use@r1/*/asset/bin/use")
    assert os.path.normpath(text_of(use).strip()).startswith(f"{three.cache}/assets/local.net@r1/")

    far = machine(tmp_path, FAR, recipes)
    imported = far.envy("import", "net.tar.zst").out
    assert imported.startswith(f"left out local.net@r1: it was built under {one.cache}, and lib/")
    assert f"room for a cache root of at most {len(str(one.cache))} bytes, and this" in imported


def test_a_python_environment(tmp_path):
    """An environment is used elsewhere, its scripts too, however long their first line gets."""
    recipes = {"local.tool@r1": PYTHON}
    one = machine(tmp_path, "cache-of-the-first-machine", recipes)
    one.envy("sync")
    one.envy("export", "tool", "-o", "tool.tar.zst")
    shutil.rmtree(one.cache, ignore_errors=True)
    for name in ("c", FAR):
        other = machine(tmp_path, name, recipes)
        assert other.envy("import", "tool.tar.zst").out == "imported local.tool@r1\n"
        run = other.envy("sync")
        assert "1 cached" in run.err
        asset = run.folder("local.tool@r1")
        said = other.envy("run", "tool", "a b", trace=False).out
        assert said == f"{asset} ['a b']\n"
        assert f"VIRTUAL_ENV={asset}" in (asset / "bin/activate").read_text().replace(
            "'", ""
        ).replace('"', "")
        assert "0 damaged" in other.envy("cache", "verify").out


PADDED = """
host = { "cc" }
relocate = "padded"
stage = "echo 'int main(void) { return __builtin_puts(PREFIX) < 0; }' > main.c"
build = function(ctx)
  ctx.run("mkdir -p sub/folder")
  ctx.exec({ "cc", "-g", "-DPREFIX=\\"" .. ctx.install_dir .. "\\"", "-o", "program",
    ctx.stage_dir .. "/main.c" }, { cwd = "sub/folder" })
  ctx.copy(ctx.stage_dir .. "/sub/folder/program", ctx.install_dir .. "/bin/")
end
install = "echo $PWD > where; test -f bin/program"
products = { program = "bin/program" }
"""


@needs_cc
def test_a_padded_package(tmp_path):
    """`relocate = "padded"` builds under a path with room for every usual root."""
    recipes = {"local.padded@r1": PADDED}
    one = machine(tmp_path, "c", recipes)
    asset = one.envy("sync").folder("local.padded@r1")
    padded = one.cache / ("_" * (127 - len(str(one.cache))))
    assert (asset / "where").read_text() == f"{padded / asset.relative_to(one.cache)}\n"
    [row] = json.loads(one.envy("cache", "--json").out)["entries"]
    assert (row["relocatable"], row["longest_root"]) == (True, 128)
    assert "1 cached" in one.envy("sync").err
    one.envy("export", "padded", "-o", "padded.tar.zst")
    one.envy("cache", "clear")
    assert not one.cache.exists()

    # Where it lay before, it needs the link.
    one.envy("import", "padded.tar.zst")
    asset = one.envy("sync").folder("local.padded@r1")
    assert (padded / asset.relative_to(one.cache)).samefile(asset)
    assert "0 damaged" in one.envy("cache", "verify").out
    padded.unlink()
    damaged = one.envy("cache", "verify", code=1).out
    assert f"contains the padded path of the cache, and {padded} is no link to it" in damaged
    one.envy("cache", "verify", "--repair")
    assert (padded / asset.relative_to(one.cache)).samefile(asset)
    one.envy("cache", "clear")

    two = machine(tmp_path, "a-cache-with-a-longer-path", recipes)
    assert two.envy("import", "padded.tar.zst").out == "imported local.padded@r1\n"
    asset = two.envy("sync").folder("local.padded@r1")
    assert (asset / "where").read_text() == f"{asset}\n"
    prefix = two.envy("run", "program", trace=False).out.strip()
    assert (len(prefix) - len(str(asset)), os.path.normpath(prefix)) == (
        128 - len(str(two.cache)),
        str(asset),
    )


MAPPED = """
host = { "cc" }
stage = "mkdir sub; echo 'int main(void) { return __builtin_puts(__FILE__) < 0; }' > sub/main.c"
build = [[
cc -g -O0 "$ENVY_STAGE_DIR/sub/main.c" -o "$ENVY_INSTALL_DIR/program"
echo "${CFLAGS-unset}" > "$ENVY_INSTALL_DIR/flags"
cd sub && cc -g -c main.c -o "$ENVY_INSTALL_DIR/object.o"
echo 'int main(void) { return 0; }' > plain.c
mkdir with without
cc -O2 plain.c -o with/plain
echo "$LIBRARY_PATH" > "$ENVY_INSTALL_DIR/variable"
unset LIBRARY_PATH CCC_OVERRIDE_OPTIONS
cc -O2 plain.c -o without/plain
cmp with/plain without/plain
]]
pass_env = { "LIBRARY_PATH" }
products = { program = "program" }
"""


@needs_cc
def test_debug_information_without_paths(tmp_path):
    """Compilers leave the paths of the cache out, and a build has its own flags."""
    one = machine(tmp_path, "c", {"local.mapped@r1": MAPPED})
    run = one.envy("sync", env={"LIBRARY_PATH": "/nowhere"})
    asset = run.folder("local.mapped@r1")
    assert (asset / "variable").read_text().partition("\n")[0].split(":")[0] == "/nowhere"
    assert (asset / "flags").read_text() == "unset\n"
    for name in ("program", "object.o"):
        assert b"/assets/local.mapped" not in (asset / name).read_bytes()
    assert text_of(asset / "program") == "./sub/main.c\n"
    [row] = json.loads(one.envy("cache", "--json").out)["entries"]
    assert (row["relocatable"], row["longest_root"]) == (True, None)
