"""The page with Airflow's own authentication in front of it, and a database with task instances to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow import settings
from airflow.api_fastapi.app import _AuthManagerState, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from airflow.utils.types import DagRunType
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete, insert, text

from airflow_provider_asposeocr.plugin.airflow_plugin import AsposeOcrResultPagePlugin

DAG, OTHER_DAG, RUN = "scans", "payroll", "manual__2026-01-01T00:00:00+00:00"
QUERY = {"run_id": RUN, "map_index": "-1"}


def shown(viewer: Any, page: str, **query: Any) -> str:
    """Return a page, which must be there."""
    answer = viewer.get(f"{page}/result", params={**QUERY, **query})
    assert answer.status_code == 200
    return str(answer.text)


def xcom_of(endpoint: str = "RecognizeImage", **parts: Any) -> dict[str, Any]:
    """Return the XCom of a document of which nothing came but what is given."""
    whole = {"endpoint": endpoint, "ocr_task_id": "job-1", "text": None, "results": [], "files": [], "warnings": []}
    return {**whole, **parts}


class PerDagAuthManager(SimpleAuthManager):
    """Airflow's own manager with what larger ones have besides: a right per DAG. A user's teams are his DAGs."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        return bool(details and details.id in (user.teams or ())) and method == "GET"


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's tables, in the throw-away home of the tests."""
    import airflow.models

    airflow.models.import_all_models()
    Base.metadata.create_all(settings.engine)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, database: None) -> Iterator[TestClient]:
    """A browser without a login, in front of an API server that has the page where Airflow would put it."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret that signs the logins of these tests alone, " * 2)
    manager = PerDagAuthManager()
    monkeypatch.setattr(_AuthManagerState, "instance", manager)
    server = FastAPI()
    server.state.auth_manager = manager
    for each in AsposeOcrResultPagePlugin().fastapi_apps:
        server.mount(each["url_prefix"], each["app"])
    with TestClient(server, raise_server_exceptions=True) as browser:
        yield browser


@pytest.fixture
def login() -> Callable[..., dict[str, str]]:
    """Logs somebody in who may read some DAGs, and returns the header that says so."""

    def as_viewer_of(*dags: str) -> dict[str, str]:
        user = SimpleAuthManagerUser(username="somebody", role="VIEWER", teams=list(dags))
        return {"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}

    return as_viewer_of


@pytest.fixture
def viewer(client: TestClient, login: Callable[..., dict[str, str]]) -> TestClient:
    """The same browser, of one who may read the DAG ``scans``."""
    client.headers.update(login(DAG))
    return client


@pytest.fixture
def leave(database: None) -> Iterator[Callable[..., str]]:
    """Puts a task instance into the database with what it has left, and returns the address of its page."""

    def put(
        task_id: str = "read",
        *,
        xcom: Any = None,
        fields: dict[str, Any] | None = None,
        progress: Any = None,
        dag_id: str = DAG,
        run_id: str = RUN,
        map_index: int = -1,
        state: str = TaskInstanceState.SUCCESS,
    ) -> str:
        key = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id, "map_index": map_index}
        with create_session() as session:
            session.execute(text("PRAGMA foreign_keys=OFF"))
            dag_run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one_or_none()
            if dag_run is None:
                session.add(DagModel(dag_id=dag_id, bundle_name="dags-folder"))
                dag_run = DagRun(
                    dag_id=dag_id,
                    run_id=run_id,
                    run_type=DagRunType.MANUAL,
                    run_after=datetime(2026, 1, 1, tzinfo=UTC),
                    logical_date=datetime(2026, 1, 1, tzinfo=UTC),
                )
                session.add(dag_run)
                session.flush()
            session.execute(
                insert(TaskInstance).values(
                    **key, id=uuid4(), state=state, try_number=1, max_tries=0, pool="default_pool", pool_slots=1
                )
            )
            for name, value in {"return_value": xcom, "progress": progress}.items():
                if value is not None:
                    session.execute(insert(XComModel).values(**key, dag_run_id=dag_run.id, key=name, value=value))
            if fields is not None:
                session.execute(insert(RenderedTaskInstanceFields).values(**key, rendered_fields=fields))
        return f"/aspose-ocr/dags/{dag_id}/tasks/{task_id}"

    yield put
    with create_session() as session:
        session.execute(text("PRAGMA foreign_keys=OFF"))
        for table in (XComModel, RenderedTaskInstanceFields, TaskInstance, DagRun, DagModel):
            session.execute(delete(table))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder into which a task has written."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
