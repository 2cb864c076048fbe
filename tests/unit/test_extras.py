"""What an extra brings is loaded when it is needed, and named where it is missing."""

from __future__ import annotations

import json

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.extras import module_of_extra


def test_an_installed_module_is_returned():
    assert module_of_extra("json", "parquet", "A table") is json


def test_a_missing_one_names_the_extra_and_the_purpose():
    with pytest.raises(AsposeOcrInputError, match=r"results='parquet' needs the package absent_arrow.*\[parquet\]"):
        module_of_extra("absent_arrow.parquet", "parquet", "results='parquet'")
