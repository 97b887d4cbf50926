"""The error tree: one sentence with place and next step, and the operating system's refusals in our words."""

import errno

import pytest

from tradewind.errors import DataError, EnvironmentFailure, InputError, TradewindError, nearest, writing


def test_an_error_says_where_what_and_what_to_do():
    error = DataError("There is no column agee.", code="column", where="a.csv:1", hint="Did you mean age?")
    assert str(error) == "a.csv:1: There is no column agee. Did you mean age?"
    assert error.code == "data.column"


def test_every_family_has_a_code_of_its_own():
    def below(kind):
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    families = [kind.family for kind in below(TradewindError) if kind.__module__ == TradewindError.__module__]
    assert len(families) == len(set(families))


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EROFS, "read_only"), (errno.EACCES, "permission")]
)
def test_a_refusal_to_write_becomes_an_environment_failure(number, code):
    with pytest.raises(EnvironmentFailure) as caught, writing("folder"):
        raise OSError(number, "no")
    assert caught.value.code == f"environment.{code}"


def test_another_os_error_stays_what_it_is():
    with pytest.raises(FileNotFoundError), writing("folder"):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_the_nearest_word_is_offered_only_when_it_is_near():
    assert nearest("tenur", ["tenure", "plan"]) == "Did you mean tenure?"
    assert nearest("zzz", ["tenure", "plan"]) == ""


def test_input_errors_are_not_environment_failures():
    assert not issubclass(InputError, EnvironmentFailure)
