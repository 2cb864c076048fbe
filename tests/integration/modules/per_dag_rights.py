"""An auth manager whose user "stranger" sees all DAGs, but the XComs of none: as one with fewer rights per DAG."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class PerDagRights(SimpleAuthManager):
    """Airflow's simple manager, and that."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        if user.username == "stranger" and access_entity is DagAccessEntity.XCOM:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
