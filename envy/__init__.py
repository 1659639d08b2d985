"""envy: per-project tools and libraries, from Lua recipes, in one shared cache."""

__version__ = "0.1.0"
