"""The tree of errors: what Airflow does with each, and that facts are named once."""

from __future__ import annotations

import copy
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_asposeocr import exceptions
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from tests.unit.api.exchanges import JOB

CLASSES = {
    name: kind for name, kind in vars(exceptions).items() if isinstance(kind, type) and issubclass(kind, AsposeOcrError)
}
PERMANENT = {
    "AsposeOcrInputError",
    "AsposeOcrAuthError",
    "AsposeOcrRequestError",
    "AsposeOcrAmbiguousSubmissionError",
    "AsposeOcrCancelledError",
    "AsposeOcrBatchRefusedError",
}
every_class = pytest.mark.parametrize("kind", CLASSES.values())
ABOUT = {"image": "s3://scans/page.png", "endpoint": "DetectRegions", "ocr_task_id": JOB}


def test_which_are_permanent():
    assert {name for name, kind in CLASSES.items() if issubclass(kind, AirflowFailException)} == PERMANENT


def test_which_are_sensor_timeouts():
    assert [name for name, kind in CLASSES.items() if issubclass(kind, AirflowSensorTimeout)] == [
        "AsposeOcrSensorTimeoutError"
    ]


@every_class
def test_is_named_in_the_docstring_of_the_tree(kind):
    assert issubclass(kind, AirflowException)
    assert kind.__name__ in exceptions.__doc__


@every_class
def test_names_its_facts_once(kind):
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
    error = kind("It broke.", **ABOUT)
    assert type(again(error)) is kind
    assert str(again(error)) == str(error)
    assert vars(again(error)) == vars(error)
