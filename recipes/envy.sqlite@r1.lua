-- The SQLite library, built from its amalgamation. envy installs the build tools.

identity = "envy.sqlite@r1"
about = {
  version = "3.53.2",
  license = "blessing",
  description = "The SQLite database library, static, with its headers",
}
platforms = { "linux", "darwin" }
options = {
  version = {
    type = "string",
    default = "3.53.2",
    choices = { "3.53.2" },
    known = {
      ["3.53.2"] = {
        any = "ebf0ed75a7a59dbcb3b24bbd014ef49d9f15bc328e4adcbf516f2a8fadfa2835",
      },
    },
  },
}

local library = require("c_library")

dependencies = library.tools

-- The package of a binding for Node.js contains the amalgamation of this version.
local PACKAGES = { ["3.53.2"] = "npm:better-sqlite3@12.11.1" }

fetch = function(_, opts)
  return { source = PACKAGES[opts.version], sha256 = options.version.known[opts.version].any }
end

local CMAKE_LISTS = [[
cmake_minimum_required(VERSION 3.20)
project(sqlite LANGUAGES C)
add_library(sqlite3 STATIC sqlite3.c)
set_target_properties(sqlite3 PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(sqlite3 PRIVATE SQLITE_ENABLE_COLUMN_METADATA SQLITE_ENABLE_FTS5
  SQLITE_ENABLE_MATH_FUNCTIONS SQLITE_ENABLE_RTREE SQLITE_THREADSAFE=1)
install(TARGETS sqlite3)
install(FILES sqlite3.h sqlite3ext.h TYPE INCLUDE)
]]

build = function(ctx) library.build(ctx, "deps/sqlite3", CMAKE_LISTS) end

install = function(ctx, opts) library.install(ctx, "sqlite3", opts.version, "-lsqlite3 -lm -lpthread -ldl") end

exports = { cmake_prefix = { "." }, pkg_config = { "lib/pkgconfig" } }
