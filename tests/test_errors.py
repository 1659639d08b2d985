import errno
import resource

import pytest

from envy.errors import EnvyError, InternalError, wrap_unknown_error
from envy.os_errors import os_error_text


def raised(error):
    """Return the exception, with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_a_mistake_of_the_user_is_not_wrapped():
    """An EnvyError is returned unchanged, since it says all that a user needs."""
    error = EnvyError("no such recipe")
    assert wrap_unknown_error(error) is error


def test_an_error_of_the_system_is_put_in_words():
    """The message is the reason and the path, without an error number or a class name."""
    error = wrap_unknown_error(FileNotFoundError(errno.ENOENT, "No such file", "/x/y"))
    assert str(error) == "No such file: /x/y"
    assert not isinstance(error, InternalError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("a reason without a number"), "a reason without a number"),
    ],
)
def test_an_error_of_the_system_without_a_path(error, text):
    """Without a path, the message is only the reason."""
    assert os_error_text(error) == text


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_has_the_limit(number):
    """The hint says what to raise; for a limit of the process, its value too."""
    limit = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    hint = wrap_unknown_error(OSError(number, "Too many open files")).hint
    assert "ulimit -n" in hint
    assert (limit in hint) is (number == errno.EMFILE)


def test_any_other_exception_is_a_bug_with_its_traceback():
    """The message names the exception, the line that raised it, and where to report it."""
    error = wrap_unknown_error(raised(ZeroDivisionError("by zero")))
    assert isinstance(error, InternalError)
    assert error.message.startswith("ZeroDivisionError: by zero\nTraceback")
    assert "test_errors.py" in error.message
    assert "report it" in error.hint
