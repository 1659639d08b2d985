"""Tests that CTest knows, in the build folder of a CMake project."""
