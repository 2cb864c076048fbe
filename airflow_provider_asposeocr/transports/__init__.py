"""The two ways onto the wire, one file each. They carry what :mod:`airflow_provider_asposeocr.api` says."""
