"""The wheel beside Airflow alone, in an environment without any extra: what a user has after ``pip install``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from scripts.source_tree import copy_source

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

# Runs in the bare environment. Nothing of the emulator, of pytest or of this checkout is there.
HOOKS = """
import asyncio
from pathlib import Path

import airflow_provider_asposeocr
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook

assert "site-packages" in airflow_provider_asposeocr.__file__
scan = Path(airflow_provider_asposeocr.__file__).parent / "example_dags/scans/letters/04-thanks.jpg"


async def read():
    async with AsposeOcrAsyncHook() as hook:
        return (await hook.wait("RecognizeImage", await hook.submit("RecognizeImage", scan))).text


hook = AsposeOcrHook()
assert hook.test_connection()[0], hook.test_connection()
assert hook.wait("RecognizeImage", hook.submit("RecognizeImage", scan)).text == asyncio.run(read())
"""

EXTRAS = """
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.extras import module_of_extra

for module, extra in (("pyarrow.parquet", "parquet"), ("PIL.Image", "preview")):
    try:
        module_of_extra(module, extra, "This")
    except AsposeOcrInputError as error:
        assert f"pip install 'airflow-provider-asposeocr[{extra}]'" in str(error), error
        assert "Nothing was sent" in str(error)
    else:
        raise AssertionError(f"{module} is there: this is no bare environment")

command = Path(sys.executable).with_name("aspose-ocr-emulator")
ended = subprocess.run([command], capture_output=True, text=True)
assert ended.returncode != 0
assert "airflow-provider-asposeocr[emulator]" in ended.stderr + ended.stdout, ended
"""

PROVIDER = """
import importlib
from airflow.providers_manager import ProvidersManager
from airflow_provider_asposeocr.get_provider_info import get_provider_info

assert "airflow-provider-asposeocr" in ProvidersManager().providers
assert ProvidersManager().hooks["aspose_ocr"].hook_name == "Aspose.OCR Cloud"
for kind, entries in get_provider_info().items():
    if isinstance(entries, list):
        for entry in entries:
            for module in entry.get("python-modules", ()) if isinstance(entry, dict) else ():
                importlib.import_module(module)
"""


# On either line of Airflow, by the entry point. On 3.x, Airflow's API server shows what the example has read: here to
# anybody, for who may see it has its own tests.
PLUGIN = """
from importlib.metadata import entry_points

from airflow import __version__
from airflow.models import DagRun
from airflow.utils.session import create_session

(entry,) = (each for each in entry_points(group="airflow.plugins") if each.value.startswith("airflow_provider_aspose"))
plugin = entry.load()()
assert bool(plugin.external_views) == bool(plugin.fastapi_apps) == (not __version__.startswith("2."))

if plugin.fastapi_apps:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with create_session() as session:
        (run,) = session.query(DagRun.run_id).filter(DagRun.dag_id == "example_recognize_image").one()
    with TestClient(create_app(apps="core")) as browser:
        page = "/aspose-ocr/dags/example_recognize_image/tasks/recognize/"
        query = {"run_id": run, "map_index": "-1"}
        shown = browser.get(page + "result", params=query)
        assert shown.status_code == 200, shown.text
        assert "RecognizeImage" in shown.text, shown.text
        picture = browser.get(page + "picture", params=query)
        assert picture.headers["content-type"] == "image/jpeg", picture.text
"""

# Tasks that ask for an extra that is not there: they fail before anything is billed.
WITHOUT_EXTRAS = """
import os
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

SCANS, TEXTS = os.environ["ASPOSE_OCR_SCANS"] + "/letters", os.environ["ASPOSE_OCR_TEXTS"] + "/extras"

with DAG("without_extras", start_date=datetime(2024, 1, 1), schedule=None):
    AsposeOcrBatchOperator(task_id="parquet", images=SCANS, output_path=TEXTS, results="parquet")
    AsposeOcrRecognizeImageOperator(
        task_id="preview",
        image=f"{SCANS}/04-thanks.jpg",
        settings={"resultType": "TextAndHocr"},
        output_path=TEXTS,
        preview=True,
    )
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what belongs to the project."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copy_source(source)
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", out, source], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_operators_sensor_and_hooks_work_beside_airflow_alone(
    line: str, wheel: Path, reader: TextReader, tmp_path: Path
) -> None:
    """The wheel with Airflow and nothing else runs its own example DAGs, and names the extra that is missing."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", python]
    pins = ROOT / f"requirements/airflow-{line}.txt"
    subprocess.run([*install, "--constraint", pins, wheel, "apache-airflow"], check=True)
    packaged = next((tmp_path / "venv").glob("lib/*/site-packages/airflow_provider_asposeocr/example_dags"))
    for kind in ("dags", "parsed", "scripts"):
        (tmp_path / kind).mkdir()
    names = ("example_recognize_image", "example_submit_and_sense", "example_batch_folder")
    for name in names:
        shutil.copyfile(packaged / f"{name}.py", tmp_path / "dags" / f"{name}.py")
    (tmp_path / "dags" / "without_extras.py").write_text(WITHOUT_EXTRAS)
    programs = {"hooks": HOOKS, "extras": EXTRAS, "provider": PROVIDER, "page": PLUGIN}
    for name, program in programs.items():
        (tmp_path / "scripts" / f"{name}.py").write_text(program)
    runner = shutil.copyfile(ROOT / "tests" / "unit" / "doc_runner.py", tmp_path / "runner.py")
    report = tmp_path / "report.json"
    with EmulatorServer(latency=0, reader=reader) as emulator:
        connection = {"conn_type": "aspose_ocr", "host": emulator.url, "login": "any", "password": "any-secret"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
        environment |= {
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API_AUTH__JWT_SECRET": "no secret, but as long as one has to be: " * 2,
            "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT": json.dumps(connection),
            "ASPOSE_OCR_SCANS": str(packaged / "scans"),
            "ASPOSE_OCR_TEXTS": str(tmp_path / "texts"),
        }
        ended = subprocess.run(
            [python, runner, tmp_path, report],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        accepted = emulator.calls().accepted
    assert ended.returncode == 0, ended.stdout[-6000:]
    assert json.loads(report.read_text()) == {
        **dict.fromkeys((f"{name}.py" for name in (*names, *programs)), "success"),
        "without_extras.py": json.dumps({"parquet": "failed", "preview": "failed"}),
    }, ended.stdout[-6000:]
    assert accepted == 1 + 1 + len(list((packaged / "scans").rglob("*.jpg"))) + 2
    for extra in ("parquet", "preview"):
        assert f"pip install 'airflow-provider-asposeocr[{extra}]'" in ended.stdout
    # What is only told where somebody listens is not missed.
    assert "openlineage" not in ended.stdout.lower()
