"""The options of `envy test`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOptions:
    """The checked options of `envy test`; durations are in seconds."""

    patterns: tuple[str, ...] = ()
    run: str = ""
    skip: str = ""
    failed: bool = False
    filter: str = ""
    partition: str = ""
    durations: tuple[str, ...] = ()  # files that a partition goes by
    save_durations: str = ""
    list_matching: str | None = None
    build_only: bool = False
    build_jobs: int | None = None
    max_fails: int = 0
    isolate: bool = False
    timeout: float = 600.0
    total_timeout: float = 0.0
    slow: float = 0.0
    retries: int = 0
    flaky: str = "pass"
    count: int | None = None
    no_cache: bool = False
    rerun: bool = False
    explain: bool = False
    stop_on_build_error: bool = False
    tui: str = "auto"
    json: str = ""
    junit: str = ""
    load: str = ""
    history: bool = False
    show_output: str = "failed"
    slowest: int = 0
    profile: bool = False
    coverage: str = ""  # formats; "" does not measure
    min_coverage: float = 0.0
    merge_coverage: bool = False
    sanitize: str = ""
    remote_exec: bool = False
    remote_jobs: int = 16
    changed: str = ""  # a revision of git
    watch: bool = False
    legacy: bool = False
    go_flags: tuple[tuple[str, str | None], ...] = ()
    arguments: tuple[str, ...] = field(default=())
    words: tuple[str, ...] | None = None  # of the whole command; None if others preceded them

    __test__ = False
