"""Tests written with GoogleTest, in binaries that are there or that CTest knows."""
