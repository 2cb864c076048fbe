"""Who may see the page: each route, by no login, by a viewer of another DAG, by a viewer of this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugin.served_page import DAG, OTHER_DAG, QUERY


@pytest.fixture
def page(leave: Any, letter: str, out: Path) -> str:
    """The page of a text that was read."""
    (out / "01-apples.txt").write_text("Apples, a dozen")
    xcom = {
        "ocr_task_id": "0ffd6e0a-1e04-4a3c-b1de-df4be0163fee",
        "endpoint": "RecognizeImage",
        "text": "Apples, a dozen",
        "results": [{"type": "Text", "text": "Apples, a dozen", "file": str(out / "01-apples.txt")}],
        "file": str(out / "01-apples.txt"),
        "files": [str(out / "01-apples.txt")],
        "warnings": [],
    }
    return leave(xcom=xcom, fields={"image": letter, "output_path": str(out), "storage_conn_id": None})


ROUTES = {
    "/aspose-ocr/dags/{dag_id}/tasks/{task_id}/result": {},
    "/aspose-ocr/dags/{dag_id}/tasks/{task_id}/picture": {},
    "/aspose-ocr/dags/{dag_id}/tasks/{task_id}/file": {"index": "0"},
    "/aspose-ocr/dags/{dag_id}/static/{name}": {},
}
every_route = pytest.mark.parametrize("route", ROUTES)


def address(route: str, dag_id: str = DAG) -> str:
    return route.format(dag_id=dag_id, task_id="read", name="page.css")


def test_the_routes_are_these():
    """A new route gets its tests here."""
    from airflow_provider_asposeocr.plugin.routes import app

    assert {f"/aspose-ocr{route.path}" for route in app.routes} == set(ROUTES)


@every_route
def test_who_is_not_logged_in_gets_401_and_nothing_else(client, page, route):
    answer = client.get(address(route), params={**QUERY, **ROUTES[route]})
    assert answer.status_code == 401
    assert "Apples" not in answer.text


@every_route
def test_a_viewer_of_another_dag_gets_403_and_nothing_else(client, login, page, route):
    answer = client.get(address(route), params={**QUERY, **ROUTES[route]}, headers=login(OTHER_DAG))
    assert answer.status_code == 403
    assert "Apples" not in answer.text


@every_route
def test_a_viewer_of_this_dag_sees_it(viewer, page, route):
    answer = viewer.get(address(route), params={**QUERY, **ROUTES[route]})
    assert answer.status_code == 200
    assert answer.content


@every_route
def test_a_login_by_cookie_counts_as_in_the_browser(client, login, page, route):
    client.cookies.set("_token", login(DAG)["Authorization"].removeprefix("Bearer "))
    assert client.get(address(route), params={**QUERY, **ROUTES[route]}).status_code == 200


@every_route
def test_a_forged_login_gets_403(client, page, route):
    headers = {"Authorization": "Bearer not-a-token"}
    assert client.get(address(route), params={**QUERY, **ROUTES[route]}, headers=headers).status_code == 403


@every_route
def test_nothing_can_be_changed(viewer, page, route):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert viewer.request(method, address(route), params=QUERY).status_code == 405


@pytest.mark.parametrize("name", ["dag_id", "DAG_ID"])
def test_the_dag_whose_rights_are_checked_is_the_one_that_is_read(client, login, page, name):
    """Another DAG in the query changes neither: who may read `payroll` does not read `scans` by naming both."""
    path = f"{page}/result"
    assert client.get(path, params={**QUERY, name: OTHER_DAG}, headers=login(OTHER_DAG)).status_code == 403
    shown = client.get(path, params={**QUERY, name: OTHER_DAG}, headers=login(DAG))
    assert "Apples" in shown.text


def test_airflows_sign_for_all_dags_is_no_dag(client, login, page):
    answer = client.get("/aspose-ocr/dags/~/tasks/read/result", params=QUERY, headers=login(DAG, "~"))
    assert answer.status_code in (403, 404)


def test_the_other_dags_task_instance_of_the_same_name_is_not_shown(client, login, page, leave):
    leave(dag_id=OTHER_DAG, xcom={"endpoint": "RecognizeImage", "text": "Salaries", "results": []})
    shown = client.get(f"{page}/result", params=QUERY, headers=login(DAG)).text
    assert "Apples" in shown
    assert "Salaries" not in shown


@every_route
def test_each_answer_says_what_a_browser_may_do_with_it(viewer, client, page, route):
    for answer in (
        viewer.get(address(route), params={**QUERY, **ROUTES[route]}),
        viewer.get(address(route), params={**QUERY, "run_id": "another"} | ROUTES[route]),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "script-src 'unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_there_is_no_list_of_the_routes_for_strangers(client):
    for path in ("docs", "redoc", "openapi.json"):
        assert client.get(f"/aspose-ocr/{path}").status_code == 404
