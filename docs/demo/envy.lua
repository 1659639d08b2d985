-- A manifest: the packages that a project uses. `make demo` installs them and runs some.
-- Nothing but pip's configuration says where they come from, and nothing of the machine is changed:
-- all of it goes into envy's cache, from which any other project that asks for the same gets it.

packages = {
  -- Released tools, each as its authors built it, at the version that its recipe pins.
  "envy.cmake@r1",
  "envy.ninja@r1",
  "envy.ruff@r1",
  "envy.uv@r1",
  "envy.zig@r1",

  -- Another version is an option; each version is a package of its own, side by side in the cache.
  { recipe = "envy.go@r1", options = { version = "1.26.6" } },

  -- An environment made from the machine's own python3. `envy asset python`, or `envy asset py`,
  -- prints where it is.
  { recipe = "envy.python@r1", options = { requirements = { "rich==15.0.0" } }, alias = "py" },

  -- Built from C source, by the cmake, ninja and zig above: the recipe says that it needs them to
  -- be built. Once it is in the cache, it no longer does.
  "envy.lua@r1",

  -- User-managed: this would change a setting of the repository that you are in, so envy would ask
  -- first. It is not for a demo, but try it in a project of yours that has a folder .githooks.
  -- "envy.git-hooks@r1",
}
