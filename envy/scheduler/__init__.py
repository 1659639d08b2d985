"""The coordination core: nodes, phases, gates, slots and workers. It knows nothing of recipes."""
