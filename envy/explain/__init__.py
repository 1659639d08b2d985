"""The resolved graph, and what is to be done, as data and as pictures; nothing here prints."""
