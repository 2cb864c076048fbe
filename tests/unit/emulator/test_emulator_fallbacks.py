"""Where a wheel is missing, Debian's program does the work; where that is missing too, the job says so."""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

SPOKEN = "RIFF of a voice"


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("djvu_rs", "espeakng_loader"):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all programs that there are: none, at first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, source: str) -> None:
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport sys\n{source}\n")
    program.chmod(0o755)


def spoken(reading: Any, text: str) -> dict[str, Any]:
    sent = reading.call("POST", "/v5.0/ocr/ConvertTextToSpeech", json={"text": text, "settings": {}})
    answer: dict[str, Any] = reading.answer("ConvertTextToSpeech", sent.text)
    return answer


@pytest.fixture
def djvu(scans: Path) -> bytes:
    return (scans / "page.djvu").read_bytes()


@pytest.mark.usefixtures("no_wheels")
def test_djvulibre_makes_the_pdf_where_the_wheel_is_missing(reading: Any, programs: Path, djvu: bytes) -> None:
    """``ddjvu`` gets the document as a file, and its file is the result."""
    install(
        programs,
        "ddjvu",
        "source, target = sys.argv[-2:]\n"
        "assert '-format=pdf' in sys.argv\n"
        "open(target, 'wb').write(b'%PDF-' + open(source, 'rb').read()[:8])",
    )
    assert reading.results("DjVu2PDF", djvu) == [("Pdf", b"%PDF-" + djvu[:8])]


@pytest.mark.skipif(shutil.which("ddjvu") is None, reason="djvulibre-bin is not installed")
@pytest.mark.usefixtures("no_wheels")
def test_the_real_djvulibre_makes_a_pdf_that_is_read(reading: Any, djvu: bytes) -> None:
    ((_, data),) = reading.results("DjVu2PDF", djvu)
    assert reading.text("RecognizePdf", data) == "A page in DjVu"


@pytest.mark.usefixtures("no_wheels")
def test_a_document_that_djvulibre_cannot_read_is_broken(reading: Any, programs: Path, djvu: bytes) -> None:
    install(programs, "ddjvu", "sys.exit(10)")
    answer = reading.answer("DjVu2PDF", reading.submit("DjVu2PDF", djvu))
    assert answer["error"]["messages"] == ["The DjVu file cannot be read: it is broken."]


@pytest.mark.usefixtures("no_wheels")
def test_espeak_ng_speaks_where_the_wheel_is_missing(reading: Any, programs: Path) -> None:
    """``espeak-ng`` gets the text by its standard input, where no list of processes shows it."""
    install(
        programs,
        "espeak-ng",
        "assert sys.argv[1:3] == ['--stdin', '--stdout']\n"
        f"sys.stdout.write({SPOKEN!r} + ' saying ' + sys.stdin.read())",
    )
    (entry,) = spoken(reading, "Hello.")["results"]
    assert entry["type"] == "WavFile"
    assert base64.b64decode(entry["data"]).decode() == f"{SPOKEN} saying Hello."


@pytest.mark.usefixtures("no_wheels")
def test_a_voice_that_fails_ends_the_job_as_error(reading: Any, programs: Path) -> None:
    install(programs, "espeak-ng", "sys.exit(1)")
    answer = spoken(reading, "Hello.")
    assert answer["error"]["messages"] == ["The text cannot be spoken."]


@pytest.mark.usefixtures("no_wheels", "programs")
def test_without_wheel_and_program_the_job_names_both(reading: Any, djvu: bytes) -> None:
    """The error names the package, the extra, and Debian's package."""
    converted = reading.answer("DjVu2PDF", reading.submit("DjVu2PDF", djvu))
    for answer, names in (
        (converted, ("djvu-rs", "djvulibre-bin")),
        (spoken(reading, "Hello."), ("espeakng-loader", "espeak-ng")),
    ):
        assert answer["taskStatus"] == "Error"
        assert all(name in answer["error"]["messages"][0] for name in (*names, "[emulator]"))
