"""How long recipes have worked, without what they waited for: slots, dependencies and locks."""


class WorkTimes:
    """Adds up the time of each recipe's phases, by key."""

    def __init__(self) -> None:
        self._done: dict[str, float] = {}  # seconds of phases that have ended
        self._in_phase: dict[str, float] = {}  # seconds of the current phase before its last wait
        self._since: dict[str, float] = {}  # when the work that is running began

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def begin_phase(self, key: str, now: float) -> float:
        """Begin a phase; return when the recipe would have begun without any wait."""
        self._done.setdefault(key, 0.0)
        self._in_phase[key] = 0.0
        return self.resume(key, now)

    def resume(self, key: str, now: float) -> float:
        """Continue after a wait; return when the recipe would have begun without any wait."""
        self._since[key] = now
        return now - self._worked(key)

    def pause(self, key: str, now: float) -> None:
        """Wait from now on, inside of a phase."""
        since = self._since.pop(key, None)
        if since is not None:
            self._in_phase[key] += now - since

    def end_phase(self, key: str, seconds: float) -> None:
        """End a phase that has worked for so long, as its event says."""
        if key in self._done:
            self._since.pop(key, None)
            self._in_phase[key] = 0.0
            self._done[key] += seconds

    def end(self, key: str, now: float) -> float | None:
        """Forget a recipe; return the seconds that it has worked, or None if it never began."""
        if key not in self._done:
            return None
        self.pause(key, now)
        worked = self._worked(key)
        del self._done[key], self._in_phase[key]
        return worked

    def _worked(self, key: str) -> float:
        return self._done[key] + self._in_phase[key]
