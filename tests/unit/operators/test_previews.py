"""preview: a picture of what was read stands beside the results, and never costs them."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from PIL import Image, ImageChops

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators import aspose_ocr
from tests.unit.operators.recognizing import QUICK, recognize
from tests.unit.storage.outputs import QUIET
from tests.unit.task_stubs import Clock, event_of

pytestmark = QUIET

WITH_PLACES = {"resultType": "TextAndHocr"}


@pytest.fixture
def scan(letter: str, tmp_path: Path) -> Path:
    """A document that tests may change."""
    return Path(shutil.copy(letter, tmp_path / "scan.jpg"))


def run(name: str, context: Any, out: Path, **arguments: Any) -> dict[str, Any]:
    operator = getattr(aspose_ocr, f"AsposeOcr{name}Operator")
    arguments = {"durable": False, "preview": True, "output_path": f"{out}/", **QUICK, **arguments}
    xcom: dict[str, Any] = operator(task_id=name, **arguments).execute(context)
    return xcom


def read(image: Any, out: Path, **arguments: Any) -> Any:
    arguments = {"preview": True, "output_path": f"{out}/", "settings": WITH_PLACES, **arguments}
    return recognize(image, **arguments)


def opened(path: str | Path) -> Image.Image:
    """An image, read whole."""
    return Image.open(io.BytesIO(Path(path).read_bytes()))


def marked(preview: str, image: Path | Image.Image) -> tuple[int, int, int, int]:
    """The part of an image in which its picture differs from it, in pixels of the image."""
    original = image if isinstance(image, Image.Image) else opened(image)
    picture = opened(preview)
    scale = original.width / picture.width
    plain = original.convert("RGB").resize(picture.size)
    # Far from what scaling down changes.
    red, green, blue = ImageChops.difference(picture.convert("RGB"), plain).split()
    difference = ImageChops.lighter(red, ImageChops.lighter(green, blue))
    box = difference.point(lambda value: 255 if value > 110 else 0).getbbox()
    assert box is not None
    left, top, right, bottom = (round(edge * scale) for edge in box)
    return left, top, right, bottom


class TestPictures:
    def test_regions_that_are_recognized(self, connection: str, context: Any, scans: Path, tmp_path: Path) -> None:
        """The box is where the region is."""
        image = scans / "id-card-form.jpg"
        xcom = run("RecognizeRegions", context, tmp_path, image=str(image), regions=[[388, 360, 960, 402]])
        assert xcom["preview"] == str(tmp_path / "id-card-form.preview.png")
        left, top, right, bottom = marked(xcom["preview"], image)
        # The number stands above the box.
        assert abs(left - 388) < 8
        assert 360 - 50 < top < 368
        assert abs(right - 960) < 8
        assert abs(bottom - 402) < 8
        assert xcom["preview"] not in xcom["files"]

    def test_regions_that_are_detected(self, connection: str, context: Any, scans: Path, tmp_path: Path) -> None:
        """A large page is scaled down."""
        image = scans / "two-columns.jpg"
        xcom = run("DetectRegions", context, tmp_path, image=str(image))
        assert max(opened(xcom["preview"]).size) <= 1600
        left, _, _, bottom = marked(xcom["preview"], image)
        assert abs(left - min(region[0] for region in xcom["regions"])) < 20
        assert abs(bottom - max(region[3] for region in xcom["regions"])) < 20

    @pytest.mark.parametrize("kind", ["TextAndHocr", "JSON"])
    def test_blocks_of_a_page(self, connection: str, context: Any, scan: Path, tmp_path: Path, kind: str) -> None:
        """The boxes are those of the blocks that an hOCR or JSON result tells."""
        xcom = read(str(scan), tmp_path / "out", settings={"resultType": kind}).execute(context)
        left, _, _, bottom = marked(xcom["preview"], scan)
        assert abs(left - min(block["rect"][0] for block in xcom["blocks"])) < 20
        assert abs(bottom - max(block["rect"][3] for block in xcom["blocks"])) < 20

    def test_the_first_page_of_a_pdf(self, connection: str, context: Any, scans: Path, tmp_path: Path) -> None:
        """Its boxes are placed on the page as it is drawn, whatever resolution it was read at."""
        pdfium = pytest.importorskip("pypdfium2")
        image = scans / "huckleberry-finn-page-29.pdf"
        xcom = run("RecognizePdf", context, tmp_path, image=str(image), settings=WITH_PLACES)
        picture = opened(xcom["preview"])
        with pdfium.PdfDocument(image) as pdf:
            plain = pdf[0].render(scale=1600 / max(pdf[0].get_size())).to_pil()
        left, _, right, bottom = marked(xcom["preview"], plain)
        assert max(picture.size) == 1600
        assert 0 < left < picture.width / 4 < picture.width * 3 / 4 < right < picture.width
        assert bottom > picture.height * 3 / 4

    def test_the_users_file_name(self, connection: str, context: Any, scan: Path, tmp_path: Path) -> None:
        """Where output_path is a file, the picture has its name."""
        xcom = run("DetectRegions", context, tmp_path, image=str(scan), output_path=str(tmp_path / "boxes.json"))
        assert Path(xcom["preview"]).name == "boxes.preview.png"

    @pytest.mark.parametrize("size", [(300, 200), (1800, 1200)])
    @pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
    def test_gray_of_sixteen_bits_is_gray(
        self, connection: str, context: Any, tmp_path: Path, mode: str, size: tuple[int, int]
    ) -> None:
        Image.new(mode, size, 0x8000).save(tmp_path / "scan.tif")
        image = str(tmp_path / "scan.tif")
        xcom = run("RecognizeRegions", context, tmp_path, image=image, regions=[[0, 0, 90, 90]])
        assert opened(xcom["preview"]).getpixel((290, 190)) == (128, 128, 128)

    def test_transparent_images_are_white(self, connection: str, context: Any, scan: Path, tmp_path: Path) -> None:
        page = opened(scan).convert("RGBA")
        page.putalpha(page.convert("L").point(lambda value: 0 if value > 128 else 255))
        page.save(tmp_path / "scan.png")
        xcom = run("DetectRegions", context, tmp_path, image=str(tmp_path / "scan.png"))
        assert opened(xcom["preview"]).getpixel((2, 2)) == (255, 255, 255)


class TestBeforeTheBill:
    def test_without_output_path_it_is_refused_when_the_dag_is_parsed(self, letter: str) -> None:
        with pytest.raises(AsposeOcrInputError, match=r"preview=True.*output_path"):
            recognize(letter, preview=True, settings=WITH_PLACES)

    def test_without_waiting_it_is_refused_when_the_dag_is_parsed(self, letter: str, tmp_path: Path) -> None:
        with pytest.raises(AsposeOcrInputError, match="wait_for_completion"):
            read(letter, tmp_path, wait_for_completion=False)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"settings": {"resultType": "Text"}}, "TextAndHocr"),
            ({"output_path": "None"}, "rendered to nothing"),
        ],
    )
    def test_what_makes_no_picture_costs_nothing(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        letter: str,
        tmp_path: Path,
        arguments: dict[str, Any],
        message: str,
    ) -> None:
        with pytest.raises(AsposeOcrInputError, match=f"{message}.*Nothing was sent"):
            read(letter, tmp_path, **arguments).execute(context)
        assert emulator.calls().total == 0

    def test_a_missing_extra_is_named(
        self,
        connection: str,
        emulator: EmulatorServer,
        context: Any,
        letter: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        with pytest.raises(AsposeOcrInputError, match=r"asposeocr\[preview\].*Nothing was sent"):
            read(letter, tmp_path).execute(context)
        assert emulator.calls().total == 0

    def test_a_file_of_the_pictures_name_is_in_the_way(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
    ) -> None:
        (tmp_path / "01-apples.preview.png").write_text("of somebody else")
        with pytest.raises(AsposeOcrInputError, match=r"01-apples\.preview\.png exists already"):
            read(letter, tmp_path).execute(context)
        assert emulator.calls().accepted == 0
        assert read(letter, tmp_path, overwrite=True).execute(context)["preview"]


class TestAfterTheBill:
    def test_a_clear_replaces_its_own_picture(
        self, connection: str, emulator: EmulatorServer, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """The picture is the task's own, also where it looks otherwise by now."""
        first = read(letter, tmp_path).execute(context)
        Path(first["preview"]).write_bytes(b"of an older release")
        context["ti"].max_tries += 1
        again = read(letter, tmp_path).execute(context)
        assert {**again, "cost": None} == {**first, "cost": None}
        assert opened(first["preview"]).format == "PNG"
        assert emulator.calls().accepted == 1

    @pytest.mark.parametrize("lost", ["document", "extra"])
    def test_what_a_picture_needs_is_lost(
        self,
        slow_emulator: EmulatorServer,
        clock: Clock,
        context: Any,
        scan: Path,
        tmp_path: Path,
        lost: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """An archived document, or a worker without Pillow: the result is delivered, and a warning says why."""
        with pytest.raises(TaskDeferred):
            read(str(scan), tmp_path / "out", deferrable=True, defer_after=0).execute(context)
        if lost == "document":
            scan.unlink()
        else:
            monkeypatch.setitem(sys.modules, "PIL.Image", None)
        clock.now += 120
        xcom = read(str(scan), tmp_path / "out").execute(context)
        assert "Odette" in xcom["text"]
        assert xcom["preview"] is None
        (warning,) = xcom["warnings"]
        assert "no picture" in warning
        assert ("There is no file" if lost == "document" else "[preview]") in warning
        assert "Nothing was sent" not in warning
        assert slow_emulator.calls().accepted == 1

    def test_a_document_that_was_replaced_gets_no_boxes_of_the_one_before(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, scan: Path, tmp_path: Path
    ) -> None:
        """As where the next scan takes its name while the job runs: the result is delivered, and a warning says why."""
        operator = read(str(scan), tmp_path / "out", deferrable=True, defer_after=0)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        Image.new("L", (300, 200), "white").save(scan)
        clock.now += 120
        event = event_of(deferred.value.trigger)
        xcom = read(str(scan), tmp_path / "out", deferrable=True).execute_complete(context, event)
        assert "Odette" in xcom["text"]
        assert xcom["preview"] is None
        assert "has changed since it was submitted" in xcom["warnings"][0]

    def test_a_file_that_came_into_the_way_stays(
        self, slow_emulator: EmulatorServer, clock: Clock, context: Any, letter: str, tmp_path: Path
    ) -> None:
        """Another picture of that name is left; this one stands beside it, under the job's name."""
        with pytest.raises(TaskDeferred):
            read(letter, tmp_path, deferrable=True, defer_after=0).execute(context)
        (tmp_path / "01-apples.preview.png").write_text("of somebody else")
        clock.now += 120
        xcom = read(letter, tmp_path).execute(context)
        assert Path(xcom["preview"]).name == f"01-apples.{xcom['ocr_task_id'][:8]}.preview.png"
        assert (tmp_path / "01-apples.preview.png").read_text() == "of somebody else"

    def test_an_image_that_is_too_large_is_not_decoded(
        self, connection: str, context: Any, tmp_path: Path, logged: Callable[[], str]
    ) -> None:
        """Its results are delivered, and the warning tells its size."""
        page = io.BytesIO()
        Image.new("1", (9000, 6000), 1).save(page, "PNG")
        (tmp_path / "poster.png").write_bytes(page.getvalue())
        xcom = run("RecognizeRegions", context, tmp_path, image=str(tmp_path / "poster.png"), regions=[[0, 0, 90, 90]])
        assert xcom["preview"] is None
        assert "9000 x 6000 pixels" in xcom["warnings"][-1]
        assert "Nothing was" not in xcom["warnings"][-1]
        assert xcom["warnings"][-1] in logged()
