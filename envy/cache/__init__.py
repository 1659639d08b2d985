"""The cache that all projects share: where things are, how they are read, and how they are made."""
