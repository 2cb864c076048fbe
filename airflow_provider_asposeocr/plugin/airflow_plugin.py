"""
What Airflow's plugin manager loads, by the entry point group ``airflow.plugins``.

Every component loads it, a worker too; only the API server asks for the applications. So the page itself, for which all
of Airflow's API must be imported, is imported then.
"""

from __future__ import annotations

import importlib
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_asposeocr.jobs.result_link import PAGE_ADDRESS, PAGE_PREFIX

NAME = "OCR result"


class AsposeOcrResultPagePlugin(AirflowPlugin):
    """A tab "OCR result" at each task instance. Below Airflow 3.1 it has nothing."""

    name = "aspose_ocr_result_page"

    def __init__(self) -> None:
        super().__init__()
        self.external_views: list[Any] = []
        if AIRFLOW_V_3_1_PLUS:
            self.external_views = [
                {
                    "name": NAME,
                    "href": PAGE_ADDRESS,
                    "url_route": "aspose-ocr-result",
                    "destination": "task_instance",
                }
            ]

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The application of the page, for the API server."""
        if not AIRFLOW_V_3_1_PLUS:
            return []
        routes = importlib.import_module("airflow_provider_asposeocr.plugin.routes")
        return [{"app": routes.app, "url_prefix": PAGE_PREFIX, "name": NAME}]
