"""The vendor's SDK as its documentation uses it: what a user would write into a PythonOperator today."""

from __future__ import annotations

import base64
import time
from functools import cache
from pathlib import Path
from typing import Any


@cache
def client(service_url: str) -> Any:
    """
    Return a client of the SDK; its users fetch the token themselves.

    :param service_url: where.
    """
    import aspose_ocr_cloud
    import requests

    form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "no secret"}
    token = requests.post(f"{service_url}/connect/token", data=form, timeout=60).json()["access_token"]
    return aspose_ocr_cloud.ApiClient(aspose_ocr_cloud.Configuration(host=service_url, access_token=token))


def submit(service_url: str, document: str) -> str:
    """
    Enqueue a document and return the job's id.

    :param service_url: where.
    :param document: its path.
    """
    import aspose_ocr_cloud

    api = aspose_ocr_cloud.RecognizeImageApi(client(service_url))
    settings = aspose_ocr_cloud.OCRSettingsRecognizeImage(language="English", resultType="Text")
    image = base64.b64encode(Path(document).read_bytes()).decode()
    job: str = api.post_recognize_image(aspose_ocr_cloud.OCRRecognizeImageBody(image=image, settings=settings))
    return job


def write_results(service_url: str, job: str, target: str) -> bool:
    """
    Write a job's results into a file, and say whether there were any.

    :param service_url: where.
    :param job: its id.
    :param target: the file.
    """
    import aspose_ocr_cloud

    answer = aspose_ocr_cloud.RecognizeImageApi(client(service_url)).get_recognize_image(job)
    if answer.task_status != "Completed":
        return False
    with Path(target).open("wb") as file:
        for result in answer.results:
            file.write(base64.b64decode(result.data))
    return True


def recognize(service_url: str, document: str, target: str) -> None:
    """
    Do the whole job, asking every second.

    :param service_url: where.
    :param document: its path.
    :param target: the file for its results.
    """
    job = submit(service_url, document)
    while not write_results(service_url, job, target):
        time.sleep(1)
