"""Functions that create small graphs for the tests."""

from envy.explain.view import EdgeView, GraphView, PackageView, State


def edge(target, **fields):
    """Return an edge with default fields."""
    usual = {
        "kind": "strong",
        "of_source": False,
        "needed_by": "check",
        "use": "run",
        "product": "",
        "looked_for": "",
        "by_fallback": False,
        "origin": "envy.lua:1",
    }
    return EdgeView(target=target, **{**usual, **fields})


def package(key, *edges, **fields):
    """Return a package with default fields; an edge may be just the key of its target."""
    usual = {
        "identity": key.partition("{")[0],
        "options": {},
        "aliases": (),
        "state": State.MISSING,
        "phase": "recipe_fetch",
        "user_managed": False,
        "custom_source": False,
        "bundle": "",
        "is_root": False,
        "entry_key": "",
        "asset_dir": "",
        "products": (),
        "origin": "envy.lua:1",
        "reason": "",
    }
    made = tuple(edge(one) if isinstance(one, str) else one for one in edges)
    return PackageView(key=key, edges=made, **{**usual, **fields})


def graph(*packages, roots):
    """Return a graph of these packages."""
    return GraphView(
        platform="linux-x86_64",
        manifest="envy.lua",
        roots=tuple(roots),
        packages={one.key: one for one in sorted(packages, key=lambda one: one.key)},
    )
