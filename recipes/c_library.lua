-- C libraries that are built from source by CMake, ninja and zig, so that the machine needs no compiler.

local library = {}

-- Once the library is in the cache, the tools are no longer needed.
library.tools = {
  { recipe = "envy.cmake@r1", needed_by = "build", use = "build" },
  { recipe = "envy.ninja@r1", needed_by = "build", use = "build" },
  { recipe = "envy.zig@r1", needed_by = "build", use = "build" },
}

-- An explicit target makes zig build for every machine of this kind, not only for this machine.
local TARGETS = {
  ["linux-x86_64"] = "x86_64-linux-" .. (ENVY_LIBC or ""),
  ["linux-arm64"] = "aarch64-linux-" .. (ENVY_LIBC or ""),
  ["darwin-x86_64"] = "x86_64-macos",
  ["darwin-arm64"] = "aarch64-macos",
}

-- Build the sources in `folder` with the text of a CMakeLists.txt.
function library.build(ctx, folder, cmake_lists)
  ctx.write(folder .. "/CMakeLists.txt", cmake_lists)
  for _, tool in ipairs { "ar", "ranlib" } do -- CMake needs one word, and `zig ar` is two
    ctx.write("zig-" .. tool, '#!/bin/sh\nexec zig ' .. tool .. ' "$@"\n')
    ctx.chmod("zig-" .. tool, "755")
  end
  local cache = ctx.stage_dir .. "/zig-cache"
  local zig = { env = { ZIG_GLOBAL_CACHE_DIR = cache, ZIG_LOCAL_CACHE_DIR = cache } }
  ctx.exec({
    "cmake", "-S", folder, "-B", "out", "-G", "Ninja",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_C_FLAGS=-g0", -- debug information would contain the paths of this folder and of zig
    "-DCMAKE_INSTALL_PREFIX=" .. ctx.install_dir,
    "-DCMAKE_INSTALL_LIBDIR=lib",
    "-DCMAKE_C_COMPILER=zig;cc",
    "-DCMAKE_C_COMPILER_TARGET=" .. envy.per_platform(TARGETS),
    "-DCMAKE_AR=" .. ctx.stage_dir .. "/zig-ar",
    "-DCMAKE_RANLIB=" .. ctx.stage_dir .. "/zig-ranlib",
    -- CMake's probes need not link: zig would first build a whole C library for debugging.
    "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
  }, zig)
  ctx.exec({ "cmake", "--build", "out" }, zig)
end

-- Install what was built, with a file for pkg-config.
function library.install(ctx, name, version, libs)
  ctx.exec { "cmake", "--install", ctx.stage_dir .. "/out" }
  ctx.write("lib/pkgconfig/" .. name .. ".pc", table.concat({
    "prefix=${pcfiledir}/../..",
    "Name: " .. name,
    "Description: " .. about.description,
    "Version: " .. version,
    "Libs: -L${prefix}/lib " .. libs,
    "Cflags: -I${prefix}/include",
  }, "\n") .. "\n")
end

return library
