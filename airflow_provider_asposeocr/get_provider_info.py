"""
What Airflow reads about this provider: name, modules, the connection type and its form.

The form is declared here once. Airflow 3.2+ reads it from here; for older ones the hook builds the same form out of it.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr import __version__

CONNECTION_TYPE = "aspose_ocr"
CONNECTION_NAME = "Aspose.OCR Cloud"

CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "api_version": {
        "label": "API version",
        "description": "Version segment of the API's path. Another one can be set in the JSON of the extra.",
        "schema": {"type": ["string", "null"], "default": "v5.0", "enum": ["v5.0"]},
    },
    "token_url": {
        "label": "Token URL",
        "description": "Where access tokens are fetched; empty for connect/token below the host.",
        "schema": {"type": ["string", "null"], "format": "uri"},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long to wait for the service to connect and for each part of an answer.",
        "schema": {"type": ["number", "null"], "default": 60, "exclusiveMinimum": 0, "maximum": 86400},
    },
    "verify": {
        "label": "Verify TLS certificate",
        "description": "true, false, or the path of a CA bundle on all workers and triggerers.",
        "schema": {"type": ["string", "null"], "default": "true"},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'JSON object of proxies by scheme, such as {"https": "http://proxy.example.com:3128"}; '
        "empty for those of the environment.",
        "schema": {"type": ["string", "null"]},
    },
    "trial": {
        "label": "Trial",
        "description": "Use the evaluation endpoints, which need no client id and secret and mask one word in ten.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}
"""The extra fields of the connection form, and the source of the hook's defaults."""

CONNECTION_FORM_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {"host": "API root", "login": "Client ID", "password": "Client secret"},
    "placeholders": {
        "host": "https://api.aspose.cloud",
        "login": "client id of the application at dashboard.aspose.cloud",
        "password": "client secret of the same application",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``apache_airflow_provider`` entry point wants it."""
    integration = "Aspose.OCR Cloud"
    package = "airflow_provider_asposeocr"
    return {
        "package-name": "airflow-provider-asposeocr",
        "name": "Aspose.OCR Cloud",
        "description": "Asynchronous document OCR with the Aspose.OCR Cloud REST API.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.aspose.cloud/ocr/",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.operators.aspose_ocr", f"{package}.operators.batch"],
            }
        ],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors.aspose_ocr"]}],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.aspose_ocr"]}],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.triggers.aspose_ocr", f"{package}.triggers.batch"],
            }
        ],
        "task-decorators": [{"name": "aspose_ocr", "class-name": f"{package}.decorators.aspose_ocr.aspose_ocr_task"}],
        "extra-links": [f"{package}.jobs.result_link.AsposeOcrResultLink"],
        "config": {
            "aspose_ocr": {
                "description": "The page that shows OCR results inside Airflow's UI.",
                "options": {
                    "result_page_local_folders": {
                        "description": (
                            "Folders of the API server's own disk from which the page may read documents and results, "
                            "separated by commas. Empty: any that a task names as its document or its output_path. "
                            "'none': no local file. Files on other storages are not affected."
                        ),
                        "version_added": None,
                        "type": "string",
                        "example": "/data/scans,/data/texts",
                        "default": "",
                    }
                },
            }
        },
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": f"{package}.hooks.aspose_ocr.AsposeOcrHook",
                "hook-name": CONNECTION_NAME,
                "ui-field-behaviour": CONNECTION_FORM_BEHAVIOUR,
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }
