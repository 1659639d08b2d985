-- A manifest lists the packages that a project uses. `make demo` installs these packages and runs some.
-- They come from the package index that pip is configured for. The machine is not changed: everything
-- goes into envy's cache, and other projects that need the same packages share them.

packages = {
  -- Released tools, built by their authors, at the version that the recipe pins.
  "envy.cmake@r1",
  "envy.ninja@r1",
  "envy.ruff@r1",
  "envy.uv@r1",
  "envy.zig@r1",

  -- The version is an option. Each version is a separate package, side by side in the cache.
  { recipe = "envy.go@r1", options = { version = "1.26.6" } },

  -- An environment created from the machine's own python3. `envy asset python` or `envy asset py`
  -- prints its path.
  { recipe = "envy.python@r1", options = { requirements = { "rich==15.0.0" } }, alias = "py" },

  -- Lua is built from C source by the cmake, ninja and zig above, which its recipe declares as build
  -- dependencies. Once Lua is in the cache, it no longer needs them.
  "envy.lua@r1",

  -- A user-managed package. It changes a setting of the repository that you are in, so envy asks for
  -- consent first. Try it in a project of yours that has a folder .githooks.
  -- "envy.git-hooks@r1",
}
