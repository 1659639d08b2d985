"""Questions about the resolved graph, answered as data, text and pictures; nothing here prints."""
