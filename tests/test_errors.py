import errno

import pytest

from envy.errors import EnvyError, InternalError, os_error_text, wrap_unknown_error


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


def test_any_other_exception_is_a_bug_with_its_traceback():
    """The message names the exception, the line that raised it, and where to report it."""
    error = wrap_unknown_error(raised(ZeroDivisionError("by zero")))
    assert isinstance(error, InternalError)
    assert error.message.startswith("ZeroDivisionError: by zero\nTraceback")
    assert "test_errors.py" in error.message
    assert "report it" in error.hint
