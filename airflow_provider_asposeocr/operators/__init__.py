"""Operators: one per endpoint of Aspose.OCR Cloud."""
