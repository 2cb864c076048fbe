"""Files of results: their names, what is refused, what never stands half written."""

from __future__ import annotations

import io
import uuid

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_asposeocr.api.checks import endpoint_named, parse_settings
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError, AsposeOcrStorageError
from airflow_provider_asposeocr.storage.outputs import expected_extensions, output_files, require_output_path
from airflow_provider_asposeocr.storage.writing import write_file
from tests.unit.storage.outputs import IMAGE, JOB, QUIET, files_in, names
from tests.unit.storage.storages import ClientError

pytestmark = QUIET


class TestNames:
    @pytest.mark.parametrize("end", ["/", ""])
    def test_folder(self, storage, end):
        """In a folder, a file has the name of its document."""
        files = output_files(f"{storage}{end}", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path) == f"{storage}/page 1.txt"

    def test_folder_that_looks_like_a_file(self, tmp_path):
        """A folder may look like a file."""
        (tmp_path / "results.d").mkdir()
        assert names(output_files(str(tmp_path / "results.d"), IMAGE, JOB, None, False), ".txt") == ["page 1.txt"]
        files = output_files(str(tmp_path / "new.d") + "/", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path).endswith("new.d/page 1.txt")

    def test_file(self, storage):
        """A file has the name that was given."""
        files = output_files(f"{storage}/my text.md", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path) == f"{storage}/my text.md"

    def test_file_for_several_results(self, storage):
        """Several results of one file name differ in their extensions."""
        files = output_files(f"{storage}/mine.txt", IMAGE, JOB, None, False)
        assert names(files, ".txt", ".pdf") == ["mine.txt", "mine.pdf"]

    def test_several_results(self, storage):
        """Several results of a document differ in their extensions."""
        assert names(files_in(storage), ".txt", ".pdf", ".hocr") == ["page 1.txt", "page 1.pdf", "page 1.hocr"]

    def test_equal_extensions_are_numbered(self, storage):
        assert names(files_in(storage), ".txt", ".txt", ".txt") == ["page 1-1.txt", "page 1-2.txt", "page 1-3.txt"]
        assert names(files_in(storage), ".txt", ".pdf", ".txt", ".pdf") == [
            "page 1-1.txt",
            "page 1-1.pdf",
            "page 1-2.txt",
            "page 1-2.pdf",
        ]

    def test_no_results(self, storage):
        """No results are no files."""
        assert names(files_in(storage)) == []

    @pytest.mark.parametrize(
        ("image", "stem"),
        [
            ("/scans/page.tar.gz.png", "page.tar.gz"),
            ("page", "page"),
            ("file:///scans/page.png", "page"),
            ("/scans/.hidden", ".hidden"),
            (None, JOB),
            ("", JOB),
        ],
    )
    def test_stem(self, storage, image, stem):
        """The name is that of the document, else the id of the job."""
        assert names(files_in(storage, image), ".txt") == [f"{stem}.txt"]

    def test_without_image_and_job(self, storage):
        """Without image and job there is still a name."""
        assert names(output_files(f"{storage}/", None, None, None, False), ".txt") == ["result.txt"]

    def test_object_storage_path(self, storage):
        """The place may be an `ObjectStoragePath`."""
        files = output_files(ObjectStoragePath(storage), IMAGE, JOB, None, False)
        assert [str(path) for path in files.named([".txt"])] == [f"{storage}/page 1.txt"]

    @pytest.mark.parametrize(
        ("endpoint", "settings", "extensions"),
        [
            ("RecognizeImage", {}, [".txt"]),
            ("RecognizeImage", {"resultType": "TextAndPdfAndHocr"}, [".txt", ".pdf", ".hocr"]),
            ("RecognizeImage", {"resultType": "JSON"}, [".json"]),
            ("RecognizeImage", {"resultType": "ImagePNG"}, [".png"]),
            ("DetectRegions", {}, [".json"]),
            ("RecognizeRegions", {"regions": [[0, 0, 5, 5]] * 2}, [".txt", ".txt"]),
            (
                "RecognizeRegions",
                {"regions": [[0, 0, 5, 5]] * 2, "resultType": "TextAndPdf"},
                [".txt", ".pdf", ".txt", ".pdf"],
            ),
        ],
    )
    def test_expected_extensions(self, endpoint, settings, extensions):
        """The extensions are known before the job, by its settings and regions."""
        row = endpoint_named(endpoint)
        assert expected_extensions(row, parse_settings(row, settings)) == extensions


class TestRefusals:
    def test_existing_file(self, storage):
        """An existing file is refused unless it may be replaced."""
        files = files_in(storage)
        files.make_ready([".txt"], IMAGE)
        write_file(io.BytesIO(b"of another job"), files.named([".txt"])[0])
        with pytest.raises(AsposeOcrInputError, match=r"page 1.txt exists already.*overwrite=True") as caught:
            files.make_ready([".txt"], IMAGE)
        assert caught.value.image == IMAGE
        assert isinstance(caught.value, AirflowFailException)
        files.make_ready([".pdf"], IMAGE)
        files_in(storage, overwrite=True).make_ready([".txt"], IMAGE)

    def test_own_file(self, storage):
        """A file that this task instance wrote before is not refused."""
        files = files_in(storage)
        write_file(io.BytesIO(b"of the job before"), files.named([".txt"])[0])
        own = replace(files, own=frozenset([f"{storage}/page 1.txt"]))
        own.make_ready([".txt"], IMAGE)
        write_file(io.BytesIO(b"of another job"), files.named([".pdf"])[0])
        with pytest.raises(AsposeOcrInputError, match=r"page 1.pdf exists already"):
            own.make_ready([".txt", ".pdf"], IMAGE)

    def test_existing_file_of_several(self, storage):
        """One existing file of several is refused."""
        files = files_in(storage)
        write_file(io.BytesIO(b"of another job"), files.named([".txt", ".pdf"])[1])
        with pytest.raises(AsposeOcrInputError, match=r"page 1.pdf exists already"):
            files.make_ready([".txt", ".pdf"], IMAGE)

    @pytest.mark.parametrize(
        ("wanted", "named"), [("Pdf", "Pdf"), ("TextAndPdf", "Pdf"), ("ImagePNG", "ImagePNG"), ("PdfAndHocr", "Pdf")]
    )
    def test_binary_results_need_a_place(self, wanted, named):
        settings = parse_settings("RecognizeImage", {"resultType": wanted})
        with pytest.raises(AsposeOcrInputError, match=f"A result of type {named} is a file.*output_path") as caught:
            require_output_path(settings, IMAGE)
        assert "Nothing was sent" in str(caught.value)

    @pytest.mark.parametrize("wanted", ["Text", "Hocr", "TextAndHocr", "JSON"])
    def test_texts_do_not(self, wanted):
        """Results that are texts need no place."""
        require_output_path(parse_settings("RecognizeImage", {"resultType": wanted}), IMAGE)

    def test_storage_that_nothing_opens(self):
        """A storage that nothing opens is refused."""
        with pytest.raises(AsposeOcrInputError, match="nosuch://bucket/ cannot be opened"):
            output_files("nosuch://bucket/", IMAGE, JOB, None, False)


class TestPlaces:
    @pytest.mark.parametrize("run_id", ["manual__2024-05-01T10:00:00.123456+00:00", "scheduled__2024-05-01T10:00:00"])
    def test_run_id(self, storage, run_id):
        """A path that ends with a run's id is a folder, whatever dots stand in it."""
        assert str(output_files(f"{storage}/{run_id}", IMAGE, JOB, None, False).folder) == f"{storage}/{run_id}"

    @pytest.mark.parametrize(
        "name", ["a.txt", "a.TXT", "a.pdf", "a.hocr", "a.html", "a.json", "a.png", "a.md", "a.bin", "v1.2.csv"]
    )
    def test_extension_of_a_result(self, storage, name):
        """A path that ends with the extension of a result is a file."""
        files = output_files(f"{storage}/{name}", IMAGE, JOB, None, False)
        assert (str(files.folder), names(files, ".txt")) == (storage, [name])

    def test_existing_folder(self, storage):
        """An existing folder is a folder, whatever its name ends with."""
        write_file(io.BytesIO(b"of another job"), ObjectStoragePath(f"{storage}/a.txt/b.txt"))
        assert str(output_files(f"{storage}/a.txt", IMAGE, JOB, None, False).folder) == f"{storage}/a.txt"

    def test_existing_file(self, storage):
        """An existing file is a file, whatever its name ends with, and refused as such."""
        write_file(io.BytesIO(b"of another job"), ObjectStoragePath(f"{storage}/a.log"))
        with pytest.raises(AsposeOcrInputError, match=r"a.log exists already"):
            output_files(f"{storage}/a.log", IMAGE, JOB, None, False).make_ready([".txt"], IMAGE)

    @pytest.mark.parametrize("rendered", [None, "", "  ", "None"])
    def test_template_that_renders_to_nothing(self, rendered):
        """A path that is none, or whose template rendered to none, is none."""
        assert output_files(rendered, IMAGE, JOB, None, False) is None

    def test_bytes_are_quoted_nowhere(self, storage, png):
        """The file of a document that is bytes has the name of the job."""
        assert names(output_files(f"{storage}/", png, JOB, None, False), ".txt") == [f"{JOB}.txt"]
        assert names(output_files(f"{storage}/", io.BytesIO(png), JOB, None, False), ".txt") == [f"{JOB}.txt"]

    def test_open_file(self, storage, tmp_path, png):
        """The file of a document that is an open file has the name of that."""
        (tmp_path / "page.png").write_bytes(png)
        with (tmp_path / "page.png").open("rb") as image:
            assert names(output_files(f"{storage}/", image, JOB, None, False), ".txt") == ["page.txt"]


class TestReadiness:
    def test_without_a_name(self, storage):
        """Where only the job's id can name the files, none can be in the way; the folder is looked at all the same."""
        write_file(io.BytesIO(b"of another job"), ObjectStoragePath(f"{storage}/result.txt"))
        output_files(f"{storage}/", b"an image", None, None, False).make_ready([".txt"], "an image of 8 bytes")

    def test_folder_of_that_name(self, storage):
        """A folder that has the name of a file is refused, also where files may be replaced."""
        write_file(io.BytesIO(b"of another job"), ObjectStoragePath(f"{storage}/page 1.txt/b.txt"))
        with pytest.raises(AsposeOcrInputError, match=r"page 1.txt is a folder.*Nothing was sent"):
            files_in(storage, overwrite=True).make_ready([".txt"], IMAGE)

    def test_name_that_is_too_long(self, tmp_path):
        """A name that no local file can have is refused."""
        files = output_files(f"{tmp_path}/", f"s3://scans/{'ä' * 130}.png", None, None, False)
        with pytest.raises(AsposeOcrInputError, match=r"is too long a name.*Nothing was sent"):
            files.make_ready([".txt"], IMAGE)

    def test_folder_that_cannot_be_made(self, tmp_path):
        """A folder that cannot be made is refused, and nothing was sent."""
        (tmp_path / "file").write_text("of another")
        files = output_files(f"{tmp_path}/file/out/", IMAGE, None, None, False)
        with pytest.raises(AsposeOcrInputError, match=r"cannot be written to .*/file/out.*Nothing was sent") as caught:
            files.make_ready([".txt"], IMAGE)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.image == IMAGE

    @pytest.mark.parametrize("call", ["exists", "mkdir", "open"])
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (PermissionError("AccessDenied"), AsposeOcrInputError),
            (FileNotFoundError("NoSuchBucket"), AsposeOcrInputError),
            (ClientError("SlowDown"), AsposeOcrStorageError),
            (TimeoutError(), AsposeOcrStorageError),
        ],
    )
    def test_storage_that_cannot_be_written_to(self, moody, call, error, kind):
        """Rights and buckets that lack are for the user to mend; a storage that is not well may be well again later."""
        moody.fails[call] = error
        files = output_files(f"moody://{uuid.uuid4().hex}/", IMAGE, None, None, False)
        with pytest.raises(AsposeOcrError, match=r"cannot be written to moody://.*Nothing was sent") as caught:
            files.make_ready([".txt"], IMAGE)
        assert type(caught.value) is kind
        assert (caught.value.__cause__, caught.value.image) == (error, IMAGE)
        assert moody.files() == {}
