"""
Aspose.OCR Cloud as pure Python: what to send, what an answer means, when to ask again.

Nothing in here does any I/O, and nothing imports Airflow (but for the base classes in
:mod:`airflow_provider_asposeocr.exceptions`) or an HTTP library. The transports in
:mod:`airflow_provider_asposeocr.hooks` drive it, once synchronously and once asynchronously.
"""
