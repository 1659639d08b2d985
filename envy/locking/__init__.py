"""`envy.lock`: what a manifest resolved to, as data and as text."""
