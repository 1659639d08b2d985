"""The engine: who runs what, when, and what they wait for."""
