"""Where the page of a task's OCR result is inside Airflow's UI, and the button that leads there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

PAGE_PREFIX = "/aspose-ocr"
"""Below which Airflow's API server serves the page."""
PAGE_ADDRESS = f"{PAGE_PREFIX[1:]}/dags/{{DAG_ID}}/tasks/{{TASK_ID}}/result?run_id={{RUN_ID}}&map_index={{MAP_INDEX}}"
"""Relative to the UI's own address, whatever path ``[api] base_url`` has. Airflow fills in the names in braces."""


class AsposeOcrResultLink(BaseOperatorLink):
    """The button "OCR result" of a task instance, for Airflow 3.1+."""

    name = "OCR result"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Return the address of the page.

        :param operator: Airflow's operator.
        :param ti_key: which task instance.
        """
        named = {
            "DAG_ID": ti_key.dag_id,
            "TASK_ID": ti_key.task_id,
            "RUN_ID": ti_key.run_id,
            "MAP_INDEX": getattr(ti_key, "map_index", -1),
        }
        return PAGE_ADDRESS.format(**{name: quote(str(value), safe="") for name, value in named.items()})


RESULT_LINKS = (AsposeOcrResultLink(),) if AIRFLOW_V_3_1_PLUS else ()
"""What our operators have: nothing where there is no such page."""
