"""Values: compared by what is in them, never changed, and silent about what no log may show."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest
from msgspec.structs import replace
from rich.pretty import pretty_repr

from airflow_provider_asposeocr.api.values import Value


class Login(Value, frozen=True):
    UNSAID: ClassVar[tuple[str, ...]] = ("password",)

    user: str
    password: str
    attempts: int = 0


LOGIN = Login("ann", "hunter2")


def test_what_is_unsaid_stands_in_no_repr():
    assert repr(LOGIN) == "Login(user='ann', attempts=0)"
    assert "hunter2" not in f"{LOGIN} {[LOGIN]}"


def test_what_is_unsaid_stands_in_no_traceback_with_locals():
    """Whose values ``rich`` shows by a method of its own, where they have one."""
    assert pretty_repr([LOGIN]) == "[Login(user='ann', attempts=0)]"


def test_equal_values_are_one_key():
    assert {LOGIN: 1}[Login("ann", "hunter2")] == 1
    assert Login("ann", "other") != LOGIN


def test_a_value_does_not_change():
    with pytest.raises(AttributeError):
        LOGIN.attempts = 1  # type: ignore[misc]


def test_a_changed_copy_leaves_the_value_as_it_was():
    assert (replace(LOGIN, attempts=2).attempts, LOGIN.attempts) == (2, 0)


def test_a_value_travels():
    """Airflow copies operators, with what they hold, and may pickle them."""
    assert copy.deepcopy(LOGIN) == pickle.loads(pickle.dumps(LOGIN)) == LOGIN
