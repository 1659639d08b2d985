"""The phases of a recipe: one module each, and their table in `table`."""
