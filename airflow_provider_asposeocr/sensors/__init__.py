"""Sensors that follow a job of Aspose.OCR Cloud."""
