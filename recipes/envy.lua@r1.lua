-- Lua, built from its C source. envy installs the build tools, so the machine needs no compiler.
-- The tools have `use = "build"`: once Lua is in the cache, they are no longer needed.

identity = "envy.lua@r1"
about = {
  version = "5.4.8",
  license = "MIT",
  description = "The Lua interpreter, with its library and headers",
}
platforms = { "linux", "darwin" }
options = {
  version = { type = "string", default = "5.4.8", choices = { "5.3.6", "5.4.8", "5.5.1" } },
}

dependencies = {
  { recipe = "envy.cmake@r1", needed_by = "build", use = "build" },
  { recipe = "envy.ninja@r1", needed_by = "build", use = "build" },
  { recipe = "envy.zig@r1", needed_by = "build", use = "build" },
}

-- The source distribution of lupa, envy's own Lua binding, contains the sources of these versions.
fetch = {
  source = "pypi:lupa==2.8",
  kind = "sdist",
  sha256 = "d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08",
}

stage = function(ctx, opts)
  local major, minor = opts.version:match("(%d+)%.(%d+)")
  ctx.extract_all { strip = 1, dest = "sdist" }
  ctx.move("sdist/third-party/lua" .. major .. minor, "lua")
  ctx.remove("sdist")
end

local CMAKE_LISTS = [[
cmake_minimum_required(VERSION 3.20)
project(lua LANGUAGES C)

file(GLOB sources *.c)
list(FILTER sources EXCLUDE REGEX "/(lua|luac|onelua|ltests)\\.c$")

add_library(liblua STATIC ${sources})
set_target_properties(liblua PROPERTIES OUTPUT_NAME lua POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(liblua PUBLIC LUA_USE_POSIX LUA_USE_DLOPEN)
target_link_libraries(liblua PUBLIC m ${CMAKE_DL_LIBS})

add_executable(lua lua.c)
set_target_properties(lua PROPERTIES ENABLE_EXPORTS ON)  # C modules use the library in the program
target_link_libraries(lua PRIVATE liblua)

install(TARGETS lua liblua)
install(FILES lua.h luaconf.h lualib.h lauxlib.h TYPE INCLUDE)
]]

-- An explicit target makes zig build for every machine of this kind, not only for this machine.
local TARGETS = {
  ["linux-x86_64"] = "x86_64-linux-" .. (ENVY_LIBC or ""),
  ["linux-arm64"] = "aarch64-linux-" .. (ENVY_LIBC or ""),
  ["darwin-x86_64"] = "x86_64-macos",
  ["darwin-arm64"] = "aarch64-macos",
}

build = function(ctx)
  ctx.write("lua/CMakeLists.txt", CMAKE_LISTS)
  for _, tool in ipairs { "ar", "ranlib" } do -- CMake needs one word, and `zig ar` is two
    ctx.write("zig-" .. tool, '#!/bin/sh\nexec zig ' .. tool .. ' "$@"\n')
    ctx.chmod("zig-" .. tool, "755")
  end
  local cache = ctx.stage_dir .. "/zig-cache"
  local zig = { env = { ZIG_GLOBAL_CACHE_DIR = cache, ZIG_LOCAL_CACHE_DIR = cache } }
  ctx.exec({
    "cmake", "-S", "lua", "-B", "out", "-G", "Ninja",
    "-DCMAKE_BUILD_TYPE=Release",
    -- By default zig adds debug information, which contains the paths of this folder and of zig.
    "-DCMAKE_C_FLAGS=-g0",
    "-DCMAKE_EXE_LINKER_FLAGS=-s",
    "-DCMAKE_INSTALL_PREFIX=" .. ctx.install_dir,
    "-DCMAKE_C_COMPILER=zig;cc",
    "-DCMAKE_C_COMPILER_TARGET=" .. envy.per_platform(TARGETS),
    "-DCMAKE_AR=" .. ctx.stage_dir .. "/zig-ar",
    "-DCMAKE_RANLIB=" .. ctx.stage_dir .. "/zig-ranlib",
    -- CMake's probes need not link: zig would first build a whole C library for debugging.
    "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
  }, zig)
  ctx.exec({ "cmake", "--build", "out" }, zig)
end

install = function(ctx)
  ctx.exec { "cmake", "--install", ctx.stage_dir .. "/out" }
  -- The license is at the end of the header.
  local header = ctx.read(ctx.stage_dir .. "/lua/lua.h")
  local license = header:match("/%*+\n(%* Copyright.-)\n%*+/")
  ctx.write("LICENSE", (license:gsub("%* ?", "")) .. "\n")
end

products = { lua = "bin/lua" }
exports = { path = { "bin" }, cmake_prefix = { "." } }
