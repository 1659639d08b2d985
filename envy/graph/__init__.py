"""The recipes of one run and their edges, as data, and algorithms over them."""
