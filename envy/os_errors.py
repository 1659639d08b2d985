"""Errors of the operating system in words. Pure: raises and reads nothing else."""

import errno

_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)


def os_error_text(error: OSError) -> str:
    """Return the system's reason, followed by the path if the error has one."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


def os_error_hint(error: BaseException) -> str:
    """Return what to do about an error that only the limits of the system explain, or ""."""
    number = getattr(error, "errno", None)
    if number not in _TOO_MANY_FILES:
        return ""
    limit = "" if number == errno.ENFILE else _open_files()
    which = f"the limit of open files, {limit}," if limit else "the limit of open files"
    return f"{which} is reached: raise it (ulimit -n), or lower --jobs and --fetch-jobs"


def _open_files() -> str:
    try:
        import resource
    except ImportError:  # not on Windows
        return ""
    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
