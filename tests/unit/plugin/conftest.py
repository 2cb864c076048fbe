"""The page needs Airflow 3.1+; below, there is only to see that the plugin has nothing, and how the page looks."""

from __future__ import annotations

from pathlib import Path

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

_WITHOUT_THE_PAGE = {"test_on_each_airflow.py", "test_style.py"}

if AIRFLOW_V_3_1_PLUS:
    from tests.unit.plugin.served_page import client, database, leave, login, out, viewer  # noqa: F401
else:
    collect_ignore = [
        file.name for file in Path(__file__).parent.glob("test_*.py") if file.name not in _WITHOUT_THE_PAGE
    ]
