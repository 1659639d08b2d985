"""The engine: resolves the graph of a manifest, and decides what runs and in which order."""
