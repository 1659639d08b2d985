"""Strict parsing of manifests and recipes, the files that authors write, into frozen data."""
