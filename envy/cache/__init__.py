"""The cache that all projects of a user share: its layout, and how entries are built and read."""
