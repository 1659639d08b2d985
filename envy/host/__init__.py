"""The machine: what it is, its processes, and how programs and scripts are run on it."""
