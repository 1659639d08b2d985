"""Recipes of small C and C++ libraries that hold their own paths in every form that real ones do.

Each needs the two before it, and a tool to build with. It has a shared and a static library, a
program, an RPATH, and files for pkg-config, libtool and CMake; what its library prints is read from
a file at the path that was compiled in.
"""

TOOL = """
pass_env = { "RAN" }
install = [[
echo tool >> "$RAN"
mkdir bin
printf '#!/bin/sh\\necho "const char *$1_text(void);"\\n' > bin/declare
chmod +x bin/declare
]]
"""

_SOURCE = """
#include <stdio.h>
#include <string.h>
@INCLUDES@
@EXTERN@ const char *@NAME@_text(void) {
  static char text[9000], line[1000];
  FILE *file = fopen(PREFIX "/share/@NAME@.txt", "r");
  strcpy(text, "no file");
  if (file && fgets(line, sizeof line, file)) strcpy(text, line);
  if (file) fclose(file);
  @CALLS@
  return text;
}
"""

_RECIPE = """
host = { "@COMPILER@" }
pass_env = { "RAN", "PATH" }
relocate = "padded"
dependencies = { @DEPENDENCIES@
  { recipe = "local.tool@r1", use = "build" },
}
exports = { env = { @UPPER@ = "{{asset}}" } }
products = { ["@NAME@"] = "bin/@NAME@" }
build = [==[
echo @NAME@ >> "$RAN"
P=$ENVY_INSTALL_DIR
mkdir -p $P/bin $P/include $P/lib/pkgconfig $P/lib/cmake/@NAME@ $P/share
{ echo '#ifdef __cplusplus'; echo 'extern "C"'; echo '#endif'
  "$TOOL/bin/declare" @NAME@; } > $P/include/@NAME@.h
printf '@NAME@ ' > $P/share/@NAME@.txt
cat > @NAME@.@SUFFIX@ <<'END'
@SOURCE@END
cat > main.c <<END
#include <stdio.h>
#include <@NAME@.h>
int main(void) { puts(@NAME@_text()); return 0; }
END
@COMPILER@ -O2 -g -fPIC -DPREFIX="\\"$P\\"" -I$P/include @FLAGS@ -c @NAME@.@SUFFIX@ -o @NAME@.o
@COMPILER@ -shared @NAME@.o -Wl,-soname,lib@NAME@.so.1 @LIBRARIES@ -o $P/lib/lib@NAME@.so.1
ln -s lib@NAME@.so.1 $P/lib/lib@NAME@.so
ar rc $P/lib/lib@NAME@.a @NAME@.o
cc -O2 main.c -I$P/include -L$P/lib -l@NAME@ -Wl,-rpath,$P/lib @LINKED@ -o $P/bin/@NAME@
cat > $P/lib/pkgconfig/@NAME@.pc <<END
prefix=$P
libdir=\\${prefix}/lib
Name: @NAME@
Description: @NAME@
Version: 1
Requires.private: @REQUIRES@
Cflags: -I\\${prefix}/include
Libs: -L\\${libdir} -l@NAME@ -Wl,-rpath,\\${libdir}
END
cat > $P/lib/lib@NAME@.la <<END
dlname='lib@NAME@.so.1'
dependency_libs=' @LA@'
libdir='$P/lib'
END
cat > $P/lib/cmake/@NAME@/@NAME@-config.cmake <<END
add_library(@NAME@::@NAME@ SHARED IMPORTED)
set_target_properties(@NAME@::@NAME@ PROPERTIES IMPORTED_LOCATION "$P/lib/lib@NAME@.so.1"
  INTERFACE_INCLUDE_DIRECTORIES "$P/include")
END
printf '#!/bin/sh\\necho -I%s/include -L%s/lib -l@NAME@\\n' $P $P > $P/bin/@NAME@-config
chmod +x $P/bin/@NAME@-config
]==]
"""


def small_libraries(count):
    """Return the recipes of `count` libraries and of their tool, by identity."""
    recipes = {"local.tool@r1": TOOL + 'exports = { env = { TOOL = "{{asset}}" } }\n'}
    for number in range(count):
        below = [f"lib{each}" for each in range(max(0, number - 2), number)]
        is_cpp = number % 2
        source = _filled(
            _SOURCE,
            NAME=f"lib{number}",
            EXTERN='extern "C"' if is_cpp else "",
            INCLUDES="".join(f"#include <{name}.h>\n" for name in below),
            CALLS=f"strcat(text, {below[-1]}_text());" if below else "",
        )
        paths = [f"${name.upper()}/lib" for name in below]
        recipes[f"local.lib{number}@r1"] = _filled(
            _RECIPE,
            SOURCE=source,
            NAME=f"lib{number}",
            UPPER=f"LIB{number}",
            COMPILER="g++" if is_cpp else "cc",
            SUFFIX="cc" if is_cpp else "c",
            DEPENDENCIES="".join(f'"local.{name}@r1", ' for name in below),
            FLAGS=" ".join(f"-I${name.upper()}/include" for name in below),
            LIBRARIES=" ".join(
                f"-L{path} -l{name} -Wl,-rpath,{path}"
                for path, name in zip(paths, below, strict=True)
            ),
            LINKED=" ".join(f"-Wl,-rpath-link,{path}" for path in paths),
            REQUIRES=" ".join(below),
            LA=" ".join(f"{path}/lib{name}.la" for path, name in zip(paths, below, strict=True)),
        )
    return recipes


def _filled(text, **words):
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
