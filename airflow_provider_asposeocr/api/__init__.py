"""
Aspose.OCR Cloud as pure Python: what to send, what an answer means, when to ask again.

Nothing in here does any I/O, and nothing imports Airflow (but for the base classes in
:mod:`airflow_provider_asposeocr.exceptions`) or an HTTP library. The hooks drive it over the transports, once
synchronously and once asynchronously.
"""
