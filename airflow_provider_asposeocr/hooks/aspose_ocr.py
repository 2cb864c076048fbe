"""
Hooks for Aspose.OCR Cloud: an Airflow connection in, calls of the service out.

``AsposeOcrHook`` works over ``requests``, ``AsposeOcrAsyncHook`` has the same names over ``aiohttp``.
"""

from __future__ import annotations

from airflow_provider_asposeocr.api.conversations import SubmissionJournal
from airflow_provider_asposeocr.hooks.asynchronous import AsposeOcrAsyncHook
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook

__all__ = ["AsposeOcrAsyncHook", "AsposeOcrHook", "Submission", "SubmissionJournal"]
