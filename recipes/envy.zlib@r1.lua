-- The zlib library, built from its C source. envy installs the build tools.

identity = "envy.zlib@r1"
about = {
  version = "1.3.1.1",
  license = "Zlib",
  description = "The zlib compression library, static, with its headers",
}
platforms = { "linux", "darwin" }
options = {
  version = {
    type = "string",
    default = "1.3.1.1",
    choices = { "1.3.1.1" },
    known = {
      ["1.3.1.1"] = {
        any = "8e18f15d1b09b8771edbf59d634b26cbe4903bc2577cb667264934a6655eb8b4",
      },
    },
  },
}

local library = require("c_library")

dependencies = library.tools

-- The source distribution of grpcio contains the source: a state after 1.3.1 that zlib's authors number
-- so. No registry has a release itself.
local PACKAGES = { ["1.3.1.1"] = "pypi:grpcio==1.85.3" }

fetch = function(_, opts)
  return {
    source = PACKAGES[opts.version],
    kind = "sdist",
    sha256 = options.version.known[opts.version].any,
  }
end

stage = function(ctx)
  ctx.extract_all { strip = 1, dest = "sdist" }
  ctx.move("sdist/third_party/zlib", "zlib")
  ctx.remove("sdist")
end

local CMAKE_LISTS = [[
cmake_minimum_required(VERSION 3.20)
project(zlib LANGUAGES C)
file(GLOB sources *.c)
add_library(zlib STATIC ${sources})
set_target_properties(zlib PROPERTIES OUTPUT_NAME z POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(zlib PRIVATE HAVE_UNISTD_H _LARGEFILE64_SOURCE=1)
install(TARGETS zlib)
install(FILES zlib.h zconf.h TYPE INCLUDE)
]]

build = function(ctx) library.build(ctx, "zlib", CMAKE_LISTS) end

install = function(ctx, opts)
  library.install(ctx, "zlib", opts.version, "-lz")
  -- The license is at the beginning of the header.
  local header = ctx.read(ctx.stage_dir .. "/zlib/zlib.h")
  ctx.write("LICENSE", header:match("/%*(.-)%*/"))
end

exports = { cmake_prefix = { "." }, pkg_config = { "lib/pkgconfig" } }
