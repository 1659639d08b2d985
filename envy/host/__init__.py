"""The machine: its properties and processes, and running programs and scripts on it."""
