"""The coordination core: nodes, phases, gates, pools and workers. It knows no recipe."""
