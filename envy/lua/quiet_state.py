"""Lua states for reading a file outside of a run: what the file prints and logs is dropped."""

from collections.abc import Mapping
from pathlib import Path

from envy.host.platform import Platform, host_platform
from envy.lua.runtime import LuaState, SandboxSettings


def quiet_state(
    base_dir: Path,
    *,
    environment: Mapping[str, str],
    platform: Platform | None = None,
    shared_dir: Path | None = None,
) -> LuaState:
    """Return a new state for files in a folder, by default on the platform of the host."""
    settings = SandboxSettings(
        platform=platform or host_platform(),
        environment=environment,
        should_stop=lambda: False,
        on_log=lambda _level, _message: None,
        on_stdout=lambda _text: None,
    )
    return LuaState(settings, base_dir=base_dir, shared_dir=shared_dir)
