"""The type of a function that is told how far work on many files has come."""

from collections.abc import Callable

# Called with the number of files so far, and of all files; 0 if that is unknown.
CountFiles = Callable[[int, int], None]
