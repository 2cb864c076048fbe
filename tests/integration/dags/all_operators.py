"""
All operators, the sensor and the decorator, in every mode. No task logs or returns what was read, so that a test can
look for it.

One retry, because Airflow 3.3.2 itself sometimes fails a task that is queued again within a second ("executor reported
success, but state is queued"). For the same reason the sensor is not rescheduled sooner than after some seconds.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_asposeocr.operators.aspose_ocr import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizeRegionsOperator,
)
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor

SCANS = os.environ["TEST_SCANS"]
OUTPUT = os.environ["TEST_OUTPUT"]
LETTERS = ["01-apples", "02-order", "03-notice", "04-thanks"]
CARD_FIELDS = [
    [388, 212, 960, 254],
    [388, 286, 960, 328],
    [388, 360, 960, 402],
    [388, 434, 960, 476],
    [388, 508, 960, 550],
]


@task
def count_words(text: str) -> int:
    return len(text.split())


for mode, waiting in (
    ("synchronous", {"deferrable": False}),
    ("deferrable", {"deferrable": True, "defer_after": 0}),
):
    with DAG(
        f"read_{mode}", default_args={"aspose_ocr_conn_id": f"ocr_{mode}", "poll_interval": 1, "retries": 1, **waiting}
    ):
        page = AsposeOcrRecognizeImageOperator(task_id="page", image=f"{SCANS}/huckleberry-finn-page-29.jpg")
        count_words(page.output["text"])
        AsposeOcrRecognizeImageOperator(task_id="trial", image=f"{SCANS}/id-card-form.jpg", trial=True)
        detect = AsposeOcrDetectRegionsOperator(task_id="detect", image=f"{SCANS}/two-columns.jpg")
        AsposeOcrRecognizeRegionsOperator(
            task_id="columns", image=f"{SCANS}/two-columns.jpg", regions=detect.output["regions"]
        )
        AsposeOcrRecognizeRegionsOperator(task_id="card", image=f"{SCANS}/id-card-form.jpg", regions=CARD_FIELDS)
        AsposeOcrRecognizeImageOperator.partial(task_id="letters").expand(
            image=[f"{SCANS}/letters/{letter}.jpg" for letter in LETTERS]
        )
        AsposeOcrRecognizeImageOperator(
            task_id="pdf",
            image=f"{SCANS}/receipt.jpg",
            settings={"resultType": "Pdf"},
            output_path=f"{OUTPUT}/{mode}/",
        )

with DAG("submit_and_sense", default_args={"aspose_ocr_conn_id": "ocr_sensed", "retries": 1}):
    submit = AsposeOcrRecognizeImageOperator(
        task_id="submit", image=f"{SCANS}/letters/02-order.jpg", wait_for_completion=False
    )
    AsposeOcrTaskSensor(task_id="poke", ocr_task_id=submit.output, poke_interval=1)
    AsposeOcrTaskSensor(
        task_id="reschedule",
        ocr_task_id=submit.output["ocr_task_id"],
        endpoint="RecognizeImage",
        mode="reschedule",
        poke_interval=4,
    )
    sensed = AsposeOcrTaskSensor(
        task_id="deferred", ocr_task_id=submit.output, deferrable=True, defer_after=0, poll_interval=1
    )
    count_words(sensed.output["text"])

with DAG("taskflow", default_args={"aspose_ocr_conn_id": "ocr_taskflow", "retries": 1}):

    @task.aspose_ocr(deferrable=True, defer_after=0, poll_interval=1)
    def letter(name: str) -> dict[str, object]:
        return {"image": f"{SCANS}/letters/{name}.jpg", "settings": {"language": "English"}}

    @task
    def count_all_words(texts: list[str]) -> int:
        return sum(len(text.split()) for text in texts)

    count_all_words(letter.expand(name=LETTERS)["text"])

with DAG("quick_job", default_args={"retries": 0}):
    AsposeOcrRecognizeImageOperator(
        task_id="read", aspose_ocr_conn_id="ocr_quick", image=f"{SCANS}/letters/03-notice.jpg", deferrable=True
    )

with DAG(
    "bad_input",
    default_args={"aspose_ocr_conn_id": "ocr_untouched", "retries": 2, "retry_delay": timedelta(0)},
):
    apples = f"{SCANS}/letters/01-apples.jpg"
    AsposeOcrRecognizeImageOperator(task_id="missing_file", image=f"{SCANS}/no-such-file.jpg")
    AsposeOcrRecognizeImageOperator(task_id="text_as_image", image=f"{OUTPUT}/text.png")
    AsposeOcrRecognizeImageOperator(task_id="unknown_setting", image=apples, settings={"colour": "red"})
    AsposeOcrRecognizeImageOperator(task_id="no_output_path", image=apples, settings={"resultType": "Pdf"})
    AsposeOcrRecognizeRegionsOperator(task_id="region_outside", image=apples, regions=[[5000, 0, 6000, 50]])
    AsposeOcrRecognizeImageOperator(task_id="no_connection", image=apples, aspose_ocr_conn_id="no_such_connection")
