"""How Airflow's plugin manager finds the page, on each line of Airflow."""

from __future__ import annotations

import subprocess
import sys

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_asposeocr.jobs.result_link import RESULT_LINKS, AsposeOcrResultLink
from airflow_provider_asposeocr.plugin.airflow_plugin import AsposeOcrResultPagePlugin

LOADED = """
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
plugins = getattr(plugins_manager, "plugins", None) or plugins_manager._get_plugins()[0]
(plugin,) = [each for each in plugins if each.name == "aspose_ocr_result_page"]
print("loaded", [view["destination"] for view in plugin.external_views], type(plugin).__name__)
"""
NOT_IMPORTED = """
import sys
from airflow_provider_asposeocr.plugin.airflow_plugin import AsposeOcrResultPagePlugin
AsposeOcrResultPagePlugin()
print(any(name.startswith("airflow.api_fastapi.core_api") for name in sys.modules))
"""


def printed(source: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]


def test_airflow_finds_the_plugin_by_its_entry_point():
    views = ["task_instance"] if AIRFLOW_V_3_1_PLUS else []
    assert printed(LOADED) == f"loaded {views} AsposeOcrResultPagePlugin"


def test_loading_the_plugin_does_not_import_airflows_api():
    """Each worker loads it; only the API server serves the page."""
    assert printed(NOT_IMPORTED) == "False"


def test_below_airflow_3_1_there_is_nothing_and_no_error():
    plugin = AsposeOcrResultPagePlugin()
    assert bool(plugin.external_views) == bool(plugin.fastapi_apps) == bool(RESULT_LINKS) == AIRFLOW_V_3_1_PLUS
    assert AsposeOcrResultLink().name == "OCR result"
