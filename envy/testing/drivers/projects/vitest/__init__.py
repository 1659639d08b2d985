"""Tests of vitest, told by a reporter that is given to the project's own vitest."""
