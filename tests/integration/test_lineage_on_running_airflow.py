"""
OpenLineage and assets on a really running Airflow: the example DAGs, whose events OpenLineage's own client writes into
files. It needs an Airflow of its own: the shared one tells nobody.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.conftest import SCANS
from tests.integration.connections import connection_to
from tests.integration.running_airflow import RunningAirflow
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

EXAMPLES = SCANS.parent
DAGS = ("example_recognize_image", "example_detect_then_recognize_regions", "example_batch_folder", "example_new_texts")
CONSUMER = "example_on_new_texts"
FACET = "asposeOcr_job"

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
URI = {"type": "string", "pattern": r"^https?://\S+$"}
FACETS = {"type": "object", "additionalProperties": {"$ref": "#/$defs/RunFacet"}}
DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"namespace": {"type": "string", "minLength": 1}, "name": {"type": "string", "minLength": 1}},
        "required": ["namespace", "name"],
    },
}
OPENLINEAGE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SPEC,
    "$defs": {
        "RunFacet": {
            "type": "object",
            "properties": {"_producer": URI, "_schemaURL": URI},
            "required": ["_producer", "_schemaURL"],
        },
        "RunEvent": {
            "type": "object",
            "properties": {
                "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
                "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT"},
                "producer": URI,
                "schemaURL": URI,
                "run": {
                    "type": "object",
                    "properties": {"runId": {"type": "string", "pattern": "^[0-9a-f-]{36}$"}, "facets": FACETS},
                    "required": ["runId"],
                },
                "job": {
                    "type": "object",
                    "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}, "facets": FACETS},
                    "required": ["namespace", "name"],
                },
                "inputs": DATASETS,
                "outputs": DATASETS,
            },
            "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job"],
        },
    },
}
"""What the specification asks of an event, and of every facet: https://openlineage.io/spec/2-0-2/OpenLineage.json."""


@dataclass
class Told:
    """What the runs of the example DAGs have told."""

    airflow: RunningAirflow
    runs: dict[str, str]
    events: list[dict[str, Any]]
    output: Path
    metrics: list[str]
    calls: int
    """The calls that the service has seen; those for a token are not among them."""
    seconds: float
    """How long all this took."""

    def of(self, job: str, kind: str = "COMPLETE") -> list[dict[str, Any]]:
        """The events of one task of a kind; those of mapped tasks have one job."""
        return [each for each in self.events if each["job"]["name"] == job and each["eventType"] == kind]

    def ours(self) -> list[dict[str, Any]]:
        """The events that have our facet."""
        return [each for each in self.events if FACET in each["run"]["facets"]]


@pytest.fixture(scope="module")
def told(reader: TextReader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("lineage")
    env = {
        "ASPOSE_OCR_SCANS": str(SCANS),
        "ASPOSE_OCR_TEXTS": str(folder / "texts"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(folder / "event")}),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "examples",
        "AIRFLOW__OPENLINEAGE__DISABLE_SOURCE_CODE": "False",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
    }
    dags = {f"{name}.py": (EXAMPLES / f"{name}.py").read_text() for name in DAGS}
    metrics: list[str] = []
    with EmulatorServer(latency=2.0, reader=reader) as emulator, _datagrams(metrics) as port:
        env["AIRFLOW__METRICS__STATSD_PORT"] = str(port)
        connections = {"aspose_ocr_default": connection_to(emulator)}
        with RunningAirflow(dags, connections, env, python_path=[Path(__file__).parent / "stand_ins"]) as airflow:
            started = time.monotonic()
            runs = {dag_id: airflow.trigger(dag_id) for dag_id in DAGS}
            for dag_id, run_id in runs.items():
                assert airflow.wait_for_run(dag_id, run_id) == "success", dag_id
            wait_until(lambda: _finished(airflow, CONSUMER), "the DAG that is scheduled by the alias has run", 60)
            runs[CONSUMER] = _finished(airflow, CONSUMER)[0]

            def events() -> list[dict[str, Any]]:
                return [json.loads(file.read_text()) for file in sorted(folder.glob("event*"))]

            wait_until(
                lambda: set(runs) <= {each["job"]["name"] for each in events() if each["eventType"] == "COMPLETE"},
                "the last event is written",
                30,
            )
            calls, seconds = emulator.calls().total, time.monotonic() - started
            yield Told(airflow, runs, events(), folder / "texts", metrics, calls, seconds)


@contextmanager
def _datagrams(into: list[str]) -> Iterator[int]:
    """Take what is sent to a port, as a StatsD server does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def take() -> None:
            while (datagram := server.recv(65536)) != b"end":
                into.append(datagram.decode())

        taking = threading.Thread(target=take)
        taking.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.sendto(b"end", server.getsockname())
            taking.join()


def _finished(airflow: RunningAirflow, dag_id: str) -> list[str]:
    return [
        run["dag_run_id"] for run in airflow._list(f"dags/{dag_id}/dagRuns", "dag_runs") if run["state"] == "success"
    ]


def test_events_are_of_the_schema(told: Told) -> None:
    """Each event is one by OpenLineage's schema, and our facet by its own."""
    ours = json.loads((resources.files("airflow_provider_asposeocr.jobs") / "AsposeOcrJobRunFacet.json").read_text())
    registry: Any = Registry().with_resources(
        [(SPEC, Resource.from_contents(OPENLINEAGE)), (ours["$id"], Resource.from_contents(ours))]
    )
    event = jsonschema.Draft202012Validator({"$ref": f"{SPEC}#/$defs/RunEvent"}, registry=registry)
    facet = jsonschema.Draft202012Validator({"$ref": f"{ours['$id']}#/$defs/AsposeOcrJobRunFacet"}, registry=registry)
    for each in told.events:
        event.validate(each)
    assert len(told.ours()) >= 10
    for each in told.ours():
        facet.validate(each["run"]["facets"][FACET])


def test_a_deferred_mapped_document(told: Told) -> None:
    """Each mapped document that was waited for in the triggerer tells its scan, its text and its counts."""
    completed = told.of("example_new_texts.recognize")
    run = f"{told.output}/{told.runs['example_new_texts']}"
    for name in ("01-apples", "02-order"):
        (event,) = [each for each in completed if each["inputs"][0]["name"].endswith(f"{name}.jpg")]
        assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
            ("file", f"{SCANS}/letters/{name}.jpg")
        ]
        assert [(each["namespace"], each["name"]) for each in event["outputs"]] == [("file", f"{run}/{name}.txt")]
        facet = event["run"]["facets"][FACET]
        assert facet["endpoint"] == "RecognizeImage"
        assert (facet["submissions"], facet["pages"]) == (1, 1)
        assert facet["characters"] == len(Path(run, f"{name}.txt").read_text())


def test_a_batch(told: Told) -> None:
    """A batch tells its folder, its manifest, and how many documents it had."""
    (event,) = [
        each
        for each in told.ours()
        if each["job"]["name"].startswith("example_batch_folder.") and each["eventType"] == "COMPLETE"
    ]
    facet = event["run"]["facets"][FACET]
    assert event["inputs"][0]["namespace"] == "file"
    assert event["outputs"][0]["name"].endswith("/manifest.jsonl")
    assert facet["documents"] == facet["completed"] == facet["submissions"] > 1


def test_no_word_of_the_documents(told: Told) -> None:
    """No event holds a word that stands in the documents alone."""
    written = " ".join(file.read_text() for file in told.output.rglob("*.txt"))
    words = {word for word in re.findall(r"[A-Za-z]{6,}", written) if word[0].isupper()}
    said = " ".join(json.dumps(each, ensure_ascii=False) for each in told.events)
    assert len(words) > 10
    sources = " ".join((EXAMPLES / f"{name}.py").read_text() for name in DAGS)
    found = {word for word in words if re.search(rf"\b{word}\b", said) and word not in sources}
    assert found <= {"Number", "Monday"}, found


def test_another_dag_runs_on_the_files(told: Told) -> None:
    """A DAG that is scheduled by the alias has run on the result files, and knows where they are."""
    counted = told.airflow.xcom(CONSUMER, told.runs[CONSUMER], "count_words")
    assert set(counted) <= {str(file) for file in told.output.rglob("*.txt")}
    assert counted
    assert all(words > 3 for words in counted.values())


def test_metrics(told: Told) -> None:
    """The metrics come from workers and from the triggerer: as many calls as the service has seen."""
    ours = [line for line in told.metrics if line.startswith("airflow.aspose_ocr.")]
    counted = Counter(line.partition(",")[0].partition(":")[0] for line in ours)
    assert counted["airflow.aspose_ocr.calls"] == told.calls
    assert counted["airflow.aspose_ocr.submissions"] == sum(
        each["run"]["facets"][FACET].get("submissions", 0) for each in told.ours() if each["eventType"] == "COMPLETE"
    )
    assert any(re.fullmatch(r"airflow\.aspose_ocr\.calls,endpoint=DetectRegions:1\|c", line) for line in ours)
    seconds = [float(line.rpartition(":")[2].partition("|")[0]) / 1000 for line in ours if ".job_seconds," in line]
    assert len(seconds) == counted["airflow.aspose_ocr.submissions"]
    # However slow the machine is: seconds, told in milliseconds.
    assert all(0.1 < each < told.seconds for each in seconds), seconds
