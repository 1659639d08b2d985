"""What authors write, manifests and recipes, parsed strictly into frozen data."""
