"""Where an operator's results go: what is found before the bill, and what becomes of a paid result."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError, AsposeOcrInputError, AsposeOcrStorageError
from tests.unit.operators.recognizing import recognize
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import ClientError, Moody
from tests.unit.task_stubs import MemoryStore

pytestmark = QUIET


class TestBeforeTheBill:
    def test_folder_that_cannot_be_made(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """A folder that cannot be made is found before anything is sent."""
        (tmp_path / "file").write_text("of another")
        with pytest.raises(AsposeOcrInputError, match="Nothing was sent"):
            recognize(letter, output_path=f"{tmp_path}/file/out/").execute(context)
        assert emulator.calls().total == 0

    def test_storage_that_is_not_well(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, moody: Moody
    ) -> None:
        """A storage that takes no file is found before anything is sent, and a retry may help."""
        moody.fails["open"] = ClientError("SlowDown")
        with pytest.raises(AsposeOcrStorageError, match="Nothing was sent"):
            recognize(letter, output_path=f"moody://{uuid.uuid4().hex}/").execute(context)
        assert emulator.calls().total == 0

    def test_second_document_of_the_same_name(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """A document whose file is there, of another document of that name, is refused before it is billed."""
        recognize(letter, output_path=f"{tmp_path}/").execute(context)
        with pytest.raises(AsposeOcrInputError, match="exists already"):
            recognize(letter, output_path=f"{tmp_path}/", durable=False).execute(context)
        assert emulator.calls().accepted == 1

    @pytest.mark.parametrize("rendered", ["None", "", " "])
    def test_template_that_rendered_to_nothing(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, rendered: str
    ) -> None:
        """A place that rendered to nothing is none, which only a binary result needs."""
        with pytest.raises(AsposeOcrInputError, match="its template rendered to nothing"):
            recognize(letter, output_path=rendered, settings={"resultType": "Pdf"}).execute(context)
        assert emulator.calls().total == 0
        assert recognize(letter, output_path=rendered).execute(context)["files"] == []


class TestAfterTheBill:
    def test_file_that_appeared_meanwhile(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, letter_text: str, moody: Moody
    ) -> None:
        """Where another document of the same name was faster, the result stands beside its file."""
        out = uuid.uuid4().hex
        moody.after_open.append(lambda: moody.put(f"{out}/01-apples.txt", b"of another document"))
        xcom = recognize(letter, output_path=f"moody://{out}/").execute(context)
        own = f"{out}/01-apples.{xcom['ocr_task_id'][:8]}.txt"
        assert xcom["files"] == [str(moody.path(own))]
        assert moody.files() == {f"{out}/01-apples.txt": b"of another document", own: letter_text.encode()}
        assert emulator.calls().accepted == 1

    def test_storage_that_fails(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, moody: Moody
    ) -> None:
        """A storage that fails once the job is paid for is an error that names the job and the document."""
        moody.after_open.append(lambda: moody.fails.update(mv=ClientError("SlowDown")))
        with pytest.raises(AsposeOcrDeliveryError, match="a retry fetches it, and nothing is billed again") as caught:
            recognize(letter, output_path=f"moody://{uuid.uuid4().hex}/").execute(context)
        assert [job.id for job in emulator.jobs()] == [caught.value.ocr_task_id]
        assert caught.value.image == letter

    def test_bytes(self, connection: str, context: Any, letter: str, tmp_path: Path) -> None:
        """A document that is bytes is quoted nowhere: its file has the name of the job."""
        xcom = recognize(Path(letter).read_bytes(), output_path=f"{tmp_path}/").execute(context)
        assert xcom["files"] == [f"{tmp_path}/{xcom['ocr_task_id']}.txt"]


@pytest.mark.parametrize("broken", [PermissionError("not for you"), ClientError("SlowDown"), ValueError("odd")])
def test_a_storage_that_cannot_be_looked_at_after_the_bill_is_a_failed_delivery(
    connection: str, emulator: EmulatorServer, context: Any, letter: str, moody: Moody, broken: Exception
) -> None:
    """Whatever the output's storage says once the job is billed, the error is mended by a retry, and names the job."""

    class ThenBroken(MemoryStore):
        """The storage breaks right after the submission."""

        def set(self, key: str, value: Any, *, retention: Any = None) -> None:
            super().set(key, value, retention=retention)
            if value["ocr_task_id"]:
                moody.fails["info"] = broken

    context["task_state_store"] = ThenBroken()
    with pytest.raises(AsposeOcrDeliveryError, match="nothing is billed again") as raised:
        recognize(letter, output_path=f"moody://{uuid.uuid4().hex}/out").execute(context)
    assert raised.value.ocr_task_id == emulator.jobs()[0].id
    assert "Nothing was sent" not in str(raised.value)
    assert not isinstance(raised.value, AirflowFailException)
