"""What Airflow reads about us, read by Airflow itself."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asposeocr.api.endpoints import API_VERSION
from airflow_provider_asposeocr.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook


def schema(name: str) -> dict[str, Any]:
    import airflow

    loaded: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text("utf-8"))
    return loaded


@pytest.fixture
def info() -> dict[str, Any]:
    return get_provider_info()


def test_provider_info_satisfies_airflows_schema(info):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(info, schema("provider_info.schema.json"))


def test_form_behaviour_of_the_hook_satisfies_airflows_schema():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(AsposeOcrHook.get_ui_field_behaviour(), schema("customized_form_field_behaviours.schema.json"))


def test_every_named_module_and_class_exists(info):
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    module, _, name = info["connection-types"][0]["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is AsposeOcrHook


def test_info_is_plain_json(info):
    assert json.loads(json.dumps(info)) == info


def test_connection_type_agrees_with_the_hooks(info):
    (declared,) = info["connection-types"]
    for hook in (AsposeOcrHook, AsposeOcrAsyncHook):
        assert (hook.conn_type, hook.hook_name) == (declared["connection-type"], declared["hook-name"])
        assert (hook.conn_name_attr, hook.default_conn_name) == ("aspose_ocr_conn_id", "aspose_ocr_default")


def test_both_forms_of_the_field_behaviour_agree(info):
    (declared,) = info["connection-types"]
    behaviour = declared["ui-field-behaviour"]
    assert AsposeOcrHook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }


def test_connection_fields_are_those_that_the_connection_takes(info):
    (declared,) = info["connection-types"]
    assert set(declared["conn-fields"]) == {"api_version", "token_url", "timeout", "verify", "proxies", "trial"}
    for field in declared["conn-fields"].values():
        assert field["label"]
        assert field["description"]
        # Airflow's form can leave any of them empty.
        assert "null" in field["schema"]["type"]
        # An extra field is not masked: secrets belong into the password.
        assert field["schema"].get("format") != "password"


def test_the_form_offers_the_version_that_the_vendor_documents(info, read):
    """The form offers the API's version to choose; a connection takes others all the same, as from its extra."""
    schema = info["connection-types"][0]["conn-fields"]["api_version"]["schema"]
    assert schema["enum"] == [schema["default"]] == [API_VERSION]
    assert read(extra='{"api_version": "v6.0"}').api_version == "v6.0"


def test_widgets_agree_with_the_connection_fields():
    pytest.importorskip("flask_appbuilder")
    wtforms = pytest.importorskip("wtforms")
    widgets = AsposeOcrHook.get_connection_form_widgets()
    form = type("Form", (wtforms.Form,), dict(widgets))()
    assert list(widgets) == list(CONNECTION_FIELDS)
    for name, field in CONNECTION_FIELDS.items():
        assert form[name].label.text == field["label"]
        assert form[name].description == field["description"]
        assert form[name].default == field["schema"].get("default")
        assert isinstance(form[name], wtforms.BooleanField) == ("boolean" in field["schema"]["type"])


@pytest.mark.filterwarnings("ignore")  # of other providers that are installed beside us
def test_the_form_of_airflow_2_has_all_fields():
    """Airflow's own manager finds our fields, our labels and placeholders, which make the form of Airflow 2."""
    pytest.importorskip("flask_appbuilder")
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    ours = [name for name in manager.connection_form_widgets if name.startswith("extra__aspose_ocr__")]
    assert ours == [f"extra__aspose_ocr__{name}" for name in CONNECTION_FIELDS]
    assert manager.field_behaviours["aspose_ocr"]["relabeling"]["login"] == "Client ID"


@pytest.mark.filterwarnings("ignore")  # of other providers that are installed beside us
def test_airflow_finds_the_connection_type():
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager().hooks["aspose_ocr"]
    assert found is not None
    assert found.hook_name == "Aspose.OCR Cloud"
    assert found.hook_class_name == "airflow_provider_asposeocr.hooks.aspose_ocr.AsposeOcrHook"
    assert found.connection_id_attribute_name == "aspose_ocr_conn_id"
    assert found.package_name == "airflow-provider-asposeocr"
    assert found.connection_testable
