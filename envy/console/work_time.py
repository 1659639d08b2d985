"""How long recipes have worked, without what they waited for: slots, dependencies and locks."""


class WorkTimes:
    """Adds up the time of each recipe's phases, by key."""

    def __init__(self) -> None:
        self._done: dict[str, float] = {}  # seconds of phases that have ended
        self._since: dict[str, float] = {}  # when the work that is running began

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def begin(self, key: str, now: float) -> float:
        """Begin or continue work; return when it would have begun without any wait."""
        done = self._done.setdefault(key, 0.0)
        self._since[key] = now
        return now - done

    def pause(self, key: str, now: float) -> None:
        """Work waits from now on."""
        since = self._since.pop(key, None)
        if since is not None:
            self._done[key] += now - since

    def end(self, key: str, now: float) -> float | None:
        """Forget a recipe; return the seconds that it has worked, or None if it never began."""
        self.pause(key, now)
        return self._done.pop(key, None)
