"""Which documents a batch has, and where their results go: none is missed, taken twice, or written over."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach

from airflow_provider_asposeocr.batches.chunks import chunks
from airflow_provider_asposeocr.batches.listing import Listing, listed
from airflow_provider_asposeocr.batches.names import canonical, common_root, result_names
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError, AsposeOcrStorageError
from airflow_provider_asposeocr.storage.documents import storage_path
from tests.unit.storage.outputs import QUIET
from tests.unit.storage.storages import ClientError, Moody


def found(images: Any, output: Path | str, **kwargs: Any) -> Listing:
    return listed(images, None, storage_path(str(output)), **kwargs)


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


class TestFolder:
    def test_results_never_become_documents(self, tmp_path: Path) -> None:
        touched(tmp_path / "in" / "a.png", tmp_path / "in" / "out" / "a.png", tmp_path / "in" / "out" / "b" / "c.jpg")
        assert found(tmp_path / "in", tmp_path / "in" / "out").images == [f"{tmp_path}/in/a.png"]
        assert found(f"{tmp_path}/in/**/*.png", tmp_path / "in" / "out").images == [f"{tmp_path}/in/a.png"]

    def test_what_a_preview_drew_is_no_document(self, tmp_path: Path) -> None:
        """Other tasks may have left their pictures beside the scans."""
        touched(tmp_path / "in" / "a.png", tmp_path / "in" / "a.preview.png")
        assert found(tmp_path / "in", tmp_path / "out").images == [f"{tmp_path}/in/a.png"]
        assert found(f"{tmp_path}/in/*.png", tmp_path / "out").images == [f"{tmp_path}/in/a.png"]

    def test_a_name_may_hold_what_a_glob_is_made_of(self, tmp_path: Path) -> None:
        touched(tmp_path / "[2024] scans" / "a.png")
        assert found(str(tmp_path / "[2024] scans"), tmp_path / "out").images == [f"{tmp_path}/[2024] scans/a.png"]

    def test_a_hidden_folder_above_hides_nothing(self, tmp_path: Path) -> None:
        touched(tmp_path / ".cache" / "in" / "a.png", tmp_path / ".cache" / "in" / ".thumbs" / "a.png")
        assert found(tmp_path / ".cache" / "in", tmp_path / "out").images == [f"{tmp_path}/.cache/in/a.png"]

    def test_a_glob_in_a_folder(self, tmp_path: Path) -> None:
        """A glob may stand for folders too; the results keep the structure below its fixed part."""
        touched(tmp_path / "in" / "2023" / "a.png", tmp_path / "in" / "2024" / "b.png", tmp_path / "in" / "2024" / "c")
        listing = found(f"{tmp_path}/in/*/[ab].png", tmp_path / "out")
        assert listing.images == [f"{tmp_path}/in/2023/a.png", f"{tmp_path}/in/2024/b.png"]
        assert listing.root == f"{tmp_path}/in"

    def test_a_named_pipe_is_no_document(self, tmp_path: Path) -> None:
        touched(tmp_path / "in" / "a.png")
        os.mkfifo(tmp_path / "in" / "b.png")
        assert found(tmp_path / "in", tmp_path / "out").images == [f"{tmp_path}/in/a.png"]

    def test_include_and_exclude(self, tmp_path: Path) -> None:
        """Patterns of names, or of paths below the folder."""
        touched(*(tmp_path / "in" / name for name in ("2023/a.png", "2023/b.tif", "2024/a.png", "2024/draft.png")))
        names = found(tmp_path / "in", tmp_path / "out", include=["*.png"], exclude=["draft.*", "2023/*"]).images
        assert names == [f"{tmp_path}/in/2024/a.png"]

    def test_a_connection_in_the_uri_stays(self) -> None:
        bucket = uuid.uuid4().hex
        for conn_id in ("conn", None):
            attach("memory", conn_id=conn_id, fs=MemoryFileSystem())
        with ObjectStoragePath(f"memory://conn@{bucket}/in/a.png").open("wb") as file:
            file.write(b"x")
        for images in (f"memory://conn@{bucket}/in", f"memory://conn@{bucket}/in/*.png"):
            assert found(images, "/out").images == [f"memory://conn@{bucket}/in/a.png"]

    @pytest.mark.parametrize("form", [str, Path, ObjectStoragePath])
    def test_a_folder_may_be_text_or_a_path(self, tmp_path: Path, form: Any) -> None:
        touched(tmp_path / "in" / "a.png")
        assert found(form(str(tmp_path / "in")), tmp_path / "out").images == [f"{tmp_path}/in/a.png"]

    def test_chunks_of_a_folder_are_the_folder(self, tmp_path: Path) -> None:
        """Each document is in one of them, also one that comes later."""
        names = [f"{year}/{number}.png" for year in (2023, 2024) for number in range(5)]
        touched(*(tmp_path / "in" / name for name in names))
        folder = str(tmp_path / "in")
        parts = [
            {"folder": folder, "until": "2023/3.png"},
            {"folder": folder, "after": "2023/3.png", "until": "2024/1.png"},
            {"folder": folder, "after": "2024/1.png"},
        ]
        listings = [found(part, tmp_path / "out") for part in parts]
        assert [image for each in listings for image in each.images] == [f"{folder}/{name}" for name in names]
        assert {each.root for each in listings} == {folder}


class TestElsewhere:
    """On a storage that is no folder of this machine."""

    pytestmark = QUIET

    @pytest.fixture
    def inbox(self, moody: Moody, monkeypatch: pytest.MonkeyPatch) -> str:
        """A folder of a storage that answers from what it has listed before, as the clients of object stores do.

        As with SFTP, its `ls` cannot be told to ask anew. Folders of the name "locked" cannot be listed.
        """
        listed_before: dict[tuple[str, bool], Any] = {}
        ls = Moody.ls

        def remembering(self: Moody, path: str, detail: bool = True) -> Any:
            if path.rstrip("/").endswith("locked"):
                raise PermissionError(13, "Access Denied")
            key = path.strip("/"), detail
            if key not in listed_before:
                listed_before[key] = ls(self, path, detail)
            return listed_before[key]

        monkeypatch.setattr(Moody, "ls", remembering)
        monkeypatch.setattr(Moody, "invalidate_cache", lambda *_: listed_before.clear())
        self.put("moody://bucket/in", "a.png", "2023/a.png", "2024/sub/a.png")
        return "moody://bucket/in"

    def put(self, inbox: str, *names: str) -> None:
        for name in names:
            with ObjectStoragePath(f"{inbox}/{name}").open("wb") as file:
                file.write(b"x")

    @pytest.mark.parametrize("form", ["{}", "{}/**/*.png", {"folder": "{}", "after": None, "until": None}])
    def test_a_folder_that_cannot_be_listed_is_not_left_out(self, inbox: str, form: Any) -> None:
        """The list is frozen: what is missing in it would never be read, and the batch be a success."""
        images = form.format(inbox) if isinstance(form, str) else {**form, "folder": inbox}
        assert len(found(images, "/out").images) == 3
        self.put(inbox, "2024/locked/b.png")
        with pytest.raises(AsposeOcrError, match="cannot be listed") as refused:
            found(images, "/out")
        assert "Nothing was sent" in str(refused.value)
        with pytest.raises(AsposeOcrError, match="cannot be listed"):
            chunks(inbox, size=10)

    @pytest.mark.parametrize("form", ["{}", "{}/**/*.png", {"folder": "{}", "after": None, "until": None}])
    def test_it_is_listed_anew_each_time(self, inbox: str, form: Any) -> None:
        """Whatever a process has listed before, such as an earlier run in it."""
        images = form.format(inbox) if isinstance(form, str) else {**form, "folder": inbox}
        ObjectStoragePath(inbox).fs.ls(ObjectStoragePath(f"{inbox}/2024").path, detail=True)
        assert len(found(images, "/out").images) == len(chunks(inbox, size=1)) == 3
        self.put(inbox, "2024/new.png", "2025/new.png")
        assert len(found(images, "/out").images) == len(chunks(inbox, size=1)) == 5

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("*.png", ["a.png"]),
            ("*", ["a.png"]),
            ("*/*.png", ["2023/a.png"]),
            ("202[4-9]/**", ["2024/sub/a.png"]),
            ("**/sub/?.png", ["2024/sub/a.png"]),
            ("**/a.png", ["2023/a.png", "2024/sub/a.png", "a.png"]),
            ("none/*.png", []),
        ],
    )
    def test_a_glob_means_what_it_means_here(self, inbox: str, tmp_path: Path, pattern: str, names: list[str]) -> None:
        touched(*(tmp_path / "in" / name for name in ("a.png", "2023/a.png", "2024/sub/a.png")))
        for root in (inbox, f"{tmp_path}/in"):
            assert found(f"{root}/{pattern}", "/out").images == [f"{root}/{name}" for name in names]

    @pytest.mark.parametrize("is_chunks", [False, True])
    def test_a_storage_that_cannot_find_out_for_a_moment_what_there_is_ends_a_try_and_not_the_task(
        self, moody: Moody, is_chunks: bool
    ) -> None:
        """To say that there is no such folder would leave no retry."""
        moody.put("in/a.png", b"x")
        moody.fails["info"] = ClientError("SlowDown")
        with pytest.raises(AsposeOcrStorageError, match="SlowDown"):
            chunks("moody://in") if is_chunks else found("moody://in", "/out")


class TestList:
    def test_a_rendered_list_is_a_list(self, tmp_path: Path) -> None:
        images = [f"{tmp_path}/it's.png", f"{tmp_path}/b.png"]
        assert found(str(images), tmp_path / "out").images == images
        assert found(f'["{tmp_path}/a.png"]', tmp_path / "out").images == [f"{tmp_path}/a.png"]

    def test_one_file_under_two_spellings_is_one_document(self, tmp_path: Path) -> None:
        spellings = [f"{tmp_path}/in/a.png", f"{tmp_path}/in/../in/a.png", f"file://{tmp_path}/in/a.png"]
        assert found(spellings, tmp_path / "out").images == spellings[:1]

    @pytest.mark.parametrize("images", [[5], [""], b"a.png", 5, [None]])
    def test_what_is_no_path_is_refused(self, tmp_path: Path, images: Any) -> None:
        with pytest.raises(AsposeOcrInputError, match="Nothing was sent"):
            found(images, tmp_path / "out")


class TestNames:
    def test_no_two_documents_share_a_name(self) -> None:
        images = ["/in/a.jpg", "/in/a.png", "/in/a.jpg.png", "/in/b.png"]
        assert result_names(images, "/in") == ["a.jpg", "a.png", "a.jpg.png", "b"]

    def test_no_name_leads_out_of_the_output_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        images = [canonical(image) for image in ("in/a.png", "../elsewhere/b.png", "in/../../c.png")]
        names = result_names(images, common_root(images))
        assert not [name for name in names if ".." in name.split("/") or name.startswith("/")]
        assert len(set(names)) == 3
