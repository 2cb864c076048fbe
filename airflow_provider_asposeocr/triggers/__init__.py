"""Triggers that follow a job of Aspose.OCR Cloud while its task is deferred."""
