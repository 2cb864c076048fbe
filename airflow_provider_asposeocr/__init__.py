"""Apache Airflow provider for the Aspose.OCR Cloud REST API. Importing the package costs nothing."""

from __future__ import annotations

__version__ = "0.1.0"
