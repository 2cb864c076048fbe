"""The tree of errors: what Airflow does with each, and that facts are named once."""

from __future__ import annotations

import copy
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_asposeocr import exceptions
from airflow_provider_asposeocr.exceptions import AsposeOcrError, because_of
from tests.unit.api.exchanges import JOB

CLASSES = {
    name: kind for name, kind in vars(exceptions).items() if isinstance(kind, type) and issubclass(kind, AsposeOcrError)
}
PERMANENT = {
    "AsposeOcrInputError",
    "AsposeOcrConnectionNotFoundError",
    "AsposeOcrAuthError",
    "AsposeOcrRequestError",
    "AsposeOcrAmbiguousSubmissionError",
    "AsposeOcrCancelledError",
    "AsposeOcrBatchRefusedError",
    "AsposeOcrTaskRefusedError",
}
every_class = pytest.mark.parametrize("kind", CLASSES.values())
ABOUT = {"image": "s3://scans/page.png", "endpoint": "DetectRegions", "ocr_task_id": JOB}


def test_which_are_permanent():
    """These errors, and no others, fail a task without a retry."""
    assert {name for name, kind in CLASSES.items() if issubclass(kind, AirflowFailException)} == PERMANENT


def test_which_are_sensor_timeouts():
    """One error is a time-out of a sensor to Airflow."""
    assert [name for name, kind in CLASSES.items() if issubclass(kind, AirflowSensorTimeout)] == [
        "AsposeOcrSensorTimeoutError"
    ]


@every_class
def test_is_named_in_the_docstring_of_the_tree(kind):
    """Every error is one of Airflow's, and stands in the tree of the docstring."""
    assert issubclass(kind, AirflowException)
    assert kind.__name__ in exceptions.__doc__


@every_class
def test_names_its_facts_once(kind):
    """An error names each fact once, and none that it does not know."""
    error = kind("It broke.", **ABOUT)
    assert str(error) == f"It broke. [image=s3://scans/page.png, endpoint=DetectRegions, ocr_task_id={JOB}]"
    assert str(kind(f"DetectRegions job {JOB} broke.", **ABOUT)).count(JOB) == 1
    assert str(kind("It broke.")) == "It broke."


@every_class
def test_about_adds_what_a_deeper_layer_did_not_know(kind):
    error = kind("It broke.", endpoint="RecognizeImage")
    assert error.about(**ABOUT) is error
    assert (error.image, error.endpoint, error.ocr_task_id) == ("s3://scans/page.png", "RecognizeImage", JOB)


@every_class
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_survives_a_copy_and_a_pickle(kind, again):
    """A copy or a pickle of an error says and knows the same."""
    error = kind("It broke.", **ABOUT)
    assert type(again(error)) is kind
    assert str(again(error)) == str(error)
    assert vars(again(error)) == vars(error)


def test_no_error_becomes_its_own_cause():
    """Airflow 3.0 to 3.2 follow the causes of an error for ever where they end in a ring."""
    error, other = AsposeOcrError("It broke."), ValueError("because of this")
    assert because_of(error, error).__cause__ is None
    assert because_of(error, other).__cause__ is other
    assert because_of(other, error).__cause__ is None
    assert because_of(error, None).__cause__ is None
