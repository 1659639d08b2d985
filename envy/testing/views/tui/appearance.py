"""The arrangement and colours of the terminal view, as Textual has them."""

from __future__ import annotations

APPEARANCE = """
#header { height: 1; background: $primary; color: $text; padding: 0 1; }
#header.passed { background: $success; }
#header.failed, #header.error { background: $error; }
#header.stopped { background: $warning; }
#keys { height: 1; padding: 0 1; background: $surface; color: $text-muted; }
#notice { height: 1; padding: 0 1; color: $text-muted; }
#main { height: 1fr; }
#tree, #log { width: 1fr; height: 1fr; }
.beside #log { border-left: vkey $primary; }
#entry { display: none; height: 1; border: none; padding: 0 1; }
"""
