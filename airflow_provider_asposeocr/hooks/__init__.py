"""Hooks: an Airflow connection turned into calls of Aspose.OCR Cloud."""
