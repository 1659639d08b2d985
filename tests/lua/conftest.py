"""Lua states over a directory of files, with everything they print recorded."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from envy.host.platform import Platform
from envy.lua.runtime import LuaState, LuaValue, PhaseAccess, SandboxSettings

LINUX = Platform(os="linux", arch="x86_64", os_version="6.1", libc="gnu", libc_version="2.36")


@dataclass
class Workbench:
    """Creates states with files in `folder`; the other fields are their settings and output."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    platform: Platform = LINUX
    memory_limit: int = 512 << 20
    should_stop: object = None
    logged: list[tuple[str, str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def state(self) -> LuaState:
        return LuaState(
            SandboxSettings(
                platform=self.platform,
                environment=self.environment,
                memory_limit=self.memory_limit,
                should_stop=self.should_stop or (lambda: False),
                on_log=lambda level, message: self.logged.append((level, message)),
                on_stdout=self.written.append,
            ),
            base_dir=self.folder,
        )

    def file(self, text: str, name: str = "recipe.lua") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, text: str) -> LuaState:
        state = self.state()
        state.load_file(self.file(text))
        return state

    def evaluate(self, expression: str) -> LuaValue:
        return self.load(f"result = {expression}").user_globals().get("result")

    def access(self, run_dir: Path | None = None, **changes) -> PhaseAccess:
        run_dir = run_dir or self.folder.parent / "run"
        run_dir.mkdir(exist_ok=True)
        return PhaseAccess(
            **{
                "run_dir": run_dir,
                "environment": {},
                "recipe_dir": self.folder,
                "may_read": lambda _path: False,
                **changes,
            }
        )


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    folder = tmp_path / "project"
    folder.mkdir()
    return Workbench(folder)
