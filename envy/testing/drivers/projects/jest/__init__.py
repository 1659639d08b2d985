"""Tests of jest, told by what is put around the runner of the project's own jest."""
