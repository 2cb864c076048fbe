"""What a finished task tells the platform: asset events, and the facets of OpenLineage."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias, ObjectStoragePath, TaskDeferred
from airflow.providers.openlineage.extractors import ExtractorManager
from openlineage.client.naming.dataset import GCS, HDFS, S3, LocalFileSystem
from openlineage.client.serde import Serde

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrTaskError
from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrRecognizeRegionsOperator,
)
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from airflow_provider_asposeocr.storage.lineage import asset_uri, dataset_name
from tests.unit.operators.recognizing import QUICK, recognize
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock, event_of

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:  # Airflow 2.11
    from airflow.utils.context import OutletEventAccessors

pytestmark = QUIET

ALIAS = "texts"
FACET = "asposeOcr_job"


@pytest.fixture
def context(context: dict[str, Any]) -> dict[str, Any]:
    context["ti"].__dict__.update(dag_id="d", task_id="t", run_id="r", map_index=-1)
    context["outlet_events"] = OutletEventAccessors()
    return context


def asset_events(context: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The asset events of the alias: URIs with what goes with them."""
    accessor = context["outlet_events"][AssetAlias(ALIAS)]
    events = getattr(accessor, "asset_alias_events", None)
    if events is None:  # Airflow 2.11
        return {event["dest_dataset_uri"]: event["extra"] for event in accessor.dataset_alias_events}
    return {event.dest_asset_key.uri: event.extra for event in events}


def told(operator: Any, of_state: str = "complete") -> dict[str, Any]:
    """What OpenLineage's extractor gets of an operator, as plain JSON."""
    extractor = ExtractorManager()._get_extractor(operator)
    lineage = extractor.extract() if of_state == "start" else extractor.extract_on_complete(None)
    return {
        "inputs": [(each.namespace, each.name) for each in lineage.inputs],
        "outputs": [(each.namespace, each.name) for each in lineage.outputs],
        "facet": Serde.to_dict(lineage.run_facets[FACET]),
    }


class TestAssets:
    def test_each_file_is_an_event_with_counts(
        self, connection: str, context: Any, letter: str, letter_text: str, tmp_path: Path
    ) -> None:
        """Each result file is an asset event of the alias, with ids and counts, and without the text."""
        xcom = recognize(
            letter, settings={"resultType": "TextAndPdf"}, output_path=f"{tmp_path}/ä 1/", outlets=[AssetAlias(ALIAS)]
        ).execute(context)
        events = asset_events(context)
        assert list(events) == [f"file://{tmp_path}/%C3%A4%201/01-apples.{extension}" for extension in ("txt", "pdf")]
        for file, extra in zip(xcom["files"], events.values(), strict=True):
            assert extra == {
                "endpoint": "RecognizeImage",
                "ocr_task_id": xcom["ocr_task_id"],
                "file": file,
                "pages": 1,
                "characters": len(letter_text),
                **xcom["cost"],
            }
        assert not any(word in json.dumps(events) for word in ("Odette", letter_text))

    def test_after_a_deferral(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """They are made where the task ends, after a deferral too."""
        arguments: Any = {"output_path": f"{tmp_path}/", "outlets": [AssetAlias(ALIAS)], "deferrable": True}
        with pytest.raises(TaskDeferred) as deferred:
            recognize(letter, defer_after=0, **arguments).execute(context)
        assert asset_events(context) == {}
        clock.now += 120
        recognize(letter, **arguments).execute_complete(context, event_of(deferred.value.trigger))
        assert list(asset_events(context)) == [f"file://{tmp_path}/01-apples.txt"]

    def test_a_plain_asset_gets_the_counts(self, connection: str, context: Any, letter: str) -> None:
        """The event that Airflow makes of a plain outlet has the counts."""
        outlet = Asset("s3://bucket/letters")
        xcom = recognize(letter, outlets=[outlet]).execute(context)
        assert context["outlet_events"][outlet].extra["ocr_task_id"] == xcom["ocr_task_id"]

    def test_a_context_without_assets(self, connection: str, context: Any, letter: str) -> None:
        """What is paid for is not lost where there is nobody to tell of it."""
        del context["outlet_events"]
        assert recognize(letter, outlets=[AssetAlias(ALIAS)]).execute(context)["text"]

    def test_a_batch_is_one_event(
        self, connection: str, emulator: EmulatorServer, context: Any, scans: Path, tmp_path: Path
    ) -> None:
        """A batch is one event, its manifest, with the counts of the whole."""
        xcom = batch(scans, tmp_path, outlets=[AssetAlias(ALIAS)]).execute(context)
        assert asset_events(context) == {
            f"file://{tmp_path}/out/manifest.jsonl": {
                "endpoint": "RecognizeImage",
                "file": xcom["manifest"],
                "documents": 2,
                "completed": 2,
                "skipped": 0,
                "failed": 0,
                "submissions": 2,
                "calls": xcom["calls"],
            }
        }


class TestOpenLineage:
    def test_a_document(self, connection: str, context: Any, letter: str, letter_text: str, tmp_path: Path) -> None:
        """Before it runs a task tells its document, after it its files, and a facet of ids and counts."""
        operator = recognize(letter, output_path=f"{tmp_path}/")
        start = told(operator, "start")
        assert (start["inputs"], start["outputs"], start["facet"]["endpoint"]) == (
            [("file", letter)],
            [],
            "RecognizeImage",
        )
        xcom = operator.execute(context)
        end = told(operator)
        assert (end["inputs"], end["outputs"]) == ([("file", letter)], [("file", f"{tmp_path}/01-apples.txt")])
        facet = {name: value for name, value in end["facet"].items() if not name.startswith("_")}
        assert facet == {
            "endpoint": "RecognizeImage",
            "ocrTaskId": xcom["ocr_task_id"],
            "pages": 1,
            "characters": len(letter_text),
            **xcom["cost"],
        }

    def test_the_facet_keeps_to_its_schema(self, connection: str, context: Any, letter: str) -> None:
        """The facet names its schema, whose properties are all that it has."""
        operator = recognize(letter)
        operator.execute(context)
        facet = told(operator)["facet"]
        schema = json.loads(
            (resources.files("airflow_provider_asposeocr.jobs") / "AsposeOcrJobRunFacet.json").read_text()
        )
        definition = schema["$defs"]["AsposeOcrJobRunFacet"]["allOf"][1]
        kinds = {"string": str, "integer": int, "number": float}
        assert facet["_schemaURL"].endswith("/AsposeOcrJobRunFacet.json#/$defs/AsposeOcrJobRunFacet")
        assert re.fullmatch(r"https://github\.com/\S+", facet["_producer"])
        for name, value in facet.items():
            if not name.startswith("_"):
                assert isinstance(value, kinds[definition["properties"][name]["type"]])

    def test_regions(self, connection: str, context: Any, scans: Path) -> None:
        """Regions are counted, found or read."""
        image = str(scans / "two-columns.jpg")
        detect = AsposeOcrDetectRegionsOperator(task_id="detect", image=image, **QUICK)
        regions = detect.execute(context)["regions"]
        assert told(detect)["facet"]["regions"] == len(regions)
        del context["task_state_store"]
        read = AsposeOcrRecognizeRegionsOperator(task_id="read", image=image, regions=regions, **QUICK)
        text = read.execute(context)["regions"]
        facet = told(read)["facet"]
        assert facet["regions"] == len(regions)
        assert facet["characters"] == sum(len(region["text"]) for region in text)

    def test_after_a_deferral(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """The instance that ends a deferred task tells all of it."""
        with pytest.raises(TaskDeferred) as deferred:
            recognize(letter, deferrable=True, defer_after=0).execute(context)
        clock.now += 120
        resumed = recognize(letter, output_path=f"{tmp_path}/")
        xcom = resumed.execute_complete(context, event_of(deferred.value.trigger))
        end = told(resumed)
        assert end["outputs"] == [("file", f"{tmp_path}/01-apples.txt")]
        assert end["facet"]["submissions"] == 1
        assert end["facet"]["calls"] == xcom["cost"]["calls"]

    def test_a_failure(self, connection: str, emulator: EmulatorServer, context: Any, letter: str) -> None:
        """A failed task tells its document and its endpoint."""
        emulator.add_faults([{"kind": "error", "messages": ["Too dark"], "method": "POST"}])
        operator = recognize(letter)
        with pytest.raises(AsposeOcrTaskError):
            operator.execute(context)
        end = told(operator)
        assert (end["inputs"], end["outputs"], end["facet"]["endpoint"]) == ([("file", letter)], [], "RecognizeImage")

    def test_the_sensor(self, connection: str, context: Any, letter: str, tmp_path: Path) -> None:
        """The sensor tells its job and its files; the document is another task's."""
        submitted = recognize(letter, wait_for_completion=False).execute(context)
        sensor = AsposeOcrTaskSensor(
            task_id="sense", ocr_task_id=submitted, output_path=f"{tmp_path}/", deferrable=False, **QUICK
        )
        assert told(sensor, "start")["inputs"] == []
        sensor.execute(context)
        end = told(sensor)
        assert (end["inputs"], end["outputs"]) == ([], [("file", f"{tmp_path}/{submitted['ocr_task_id']}.txt")])
        assert end["facet"]["ocrTaskId"] == submitted["ocr_task_id"]

    def test_a_batch(self, connection: str, context: Any, scans: Path, tmp_path: Path) -> None:
        """A batch tells its folder, its manifest, and the counts of the whole."""
        operator = batch(scans, tmp_path)
        operator.execute(context)
        end = told(operator)
        assert end["inputs"] == [("file", str(scans / "letters"))]
        assert end["outputs"] == [("file", f"{tmp_path}/out/manifest.jsonl")]
        assert (end["facet"]["documents"], end["facet"]["submissions"]) == (2, 2)

    @pytest.mark.parametrize(
        ("images", "names"),
        [
            ("s3://conn@scans/2024/", ["2024/"]),
            ("s3://scans/2024/*/a?.png", ["2024"]),
            ({"folder": "s3://scans/2024", "after": None, "until": "b"}, ["2024"]),
            ([f"s3://scans/{number}.png" for number in range(1000)], [f"{number}.png" for number in range(100)]),
        ],
    )
    def test_the_documents_of_a_batch(self, images: Any, names: list[str], tmp_path: Path) -> None:
        """A folder stands for its documents, and of a list not more are told than an event should hold."""
        operator = AsposeOcrBatchOperator(task_id="t", images=images, output_path=f"{tmp_path}/out")
        assert told(operator, "start")["inputs"] == [("s3://scans", name) for name in names]


def batch(scans: Path, tmp_path: Path, **kwargs: Any) -> AsposeOcrBatchOperator:
    return AsposeOcrBatchOperator(
        task_id="t",
        images=str(scans / "letters"),
        include=["01-*.jpg", "02-*.jpg"],
        output_path=f"{tmp_path}/out",
        **{**QUICK, **kwargs},
    )


@pytest.mark.parametrize(
    ("place", "naming"),
    [
        ("/scans/page 1.png", LocalFileSystem("/scans/page 1.png")),
        ("file:///scans/page#1.png", LocalFileSystem("/scans/page#1.png")),
        ("s3://scans/2024/page?.png", S3("scans", "2024/page?.png")),
        ("s3a://my_conn@scans/page.png", S3("scans", "page.png")),
        ("gcs://scans/page.png", GCS("scans", "page.png")),
        ("hdfs://namenode:8020/scans/page.png", HDFS("namenode", "8020", "/scans/page.png")),
    ],
)
def test_names_of_datasets(place: str, naming: Any) -> None:
    """Files have the names that OpenLineage's own rules give them."""
    assert dataset_name(place) == (naming.get_namespace(), naming.get_name())


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ("/texts/ä b.txt", "file:///texts/%C3%A4%20b.txt"),
        ("file:///texts/100%#1?.txt", "file:///texts/100%25%231%3F.txt"),
        ("s3://my_conn@bucket/a b.txt", "s3://bucket/a%20b.txt"),
        ("gcs://bucket/a.txt", "gs://bucket/a.txt"),
        ("/texts/\udcff.txt", "file:///texts/%FF.txt"),
    ],
)
def test_uris_of_assets(place: str, uri: str) -> None:
    """A file's asset URI is ASCII, is taken by Airflow as it is, and holds no id of a connection."""
    assert asset_uri(place) == uri
    if uri.startswith("file"):
        assert Asset(uri=uri).uri == uri


def test_a_place_is_whatever_storage_says(tmp_path: Path) -> None:
    """A path object and its text have one name."""
    assert asset_uri(str(ObjectStoragePath(f"file://{tmp_path}/a.txt"))) == f"file://{tmp_path}/a.txt"
