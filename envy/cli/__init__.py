"""The `envy` command: one module per command, imported when it is the one that was asked for."""
