"""Uploads on disk: one name for one visitor, bounded, and nothing left of one that failed."""

import io
import os

import pytest

from core.data import uploads
from core.data.index import build_index, write_dataset
from core.data.uploads import UploadLimits, discard_upload, packed_upload, store_upload, upload_folder
from tests.refusals import refused


def files(*names: str, content: bytes = b"1"):
    return [(name, io.BytesIO(content)) for name in names]


def left(workspace) -> list[str]:
    return sorted(path.name for path in (workspace / "uploads").iterdir() if path.suffix != ".lock")


def test_several_files_become_a_folder_and_a_zip_stays_one(workspace):
    folder = store_upload("mine", files("labels.csv", "images/a.png"))
    assert folder == upload_folder("mine") and (folder / "images/a.png").read_bytes() == b"1"
    packed = store_upload("other", files("x.bin", content=b"PK\x03\x04rest"))
    assert packed == packed_upload("other") and packed.read_bytes() == b"PK\x03\x04rest"
    assert left(workspace) == [".other.zip", "mine"]


def test_a_name_belongs_to_one_visitor(workspace, mura):
    store_upload("mine", files("a.png"))
    with refused("name-busy", "mine"):
        store_upload("mine", files("b.png"))
    write_dataset("tree", build_index(mura, folds=4))
    with refused("name-taken", "tree"):
        store_upload("tree", files("b.png"))
    with refused("name-invalid"):
        store_upload("../x", files("b.png"))


def test_a_second_visitor_at_the_same_moment_is_refused(workspace):
    class Slow(io.BytesIO):
        def read(self, *size):
            with refused("name-busy", "mine"):
                store_upload("mine", files("b.png"))
            return super().read(*size)

    store_upload("mine", [("a.png", Slow(b"first"))])
    assert (upload_folder("mine") / "a.png").read_bytes() == b"first"


@pytest.mark.parametrize("names", [("a.png", "A.png"), ("x/a.png", "x//a.png")])
def test_two_files_of_one_name_are_refused(workspace, names):
    with refused("upload-name-twice"):
        store_upload("mine", files(*names))
    assert left(workspace) == []


def test_a_name_that_leads_elsewhere_is_refused(workspace):
    with refused("zip-unsafe-name", ".."):
        store_upload("mine", files("../a.png", "b.png"))
    assert left(workspace) == []


def test_an_upload_is_bounded(workspace):
    with refused("upload-too-many-files", 3, 2):
        store_upload("mine", files("a", "b", "c"), UploadLimits(files=2))
    with refused("upload-too-large", "3.0 kB", "2.0 kB"):
        store_upload("mine", files("a", "b", "c", content=b"1" * 1000), UploadLimits(bytes=2000))
    with refused("no-file"):
        store_upload("mine", [])


def test_a_full_disk_leaves_nothing_and_the_name_is_free_again(workspace, monkeypatch):
    def full(*arguments):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(uploads.shutil, "copyfileobj", full)
        with refused("disk-full"):
            store_upload("mine", files("a.png", "b.png"))
    assert left(workspace) == []
    store_upload("mine", files("a.png"))


def test_a_workspace_without_rights_is_one_sentence(workspace, monkeypatch):
    def denied(*arguments, **options):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(uploads.Path, "mkdir", denied)
    with refused("folder-no-rights", workspace):
        store_upload("mine", files("a.png"))


def test_an_upload_is_discarded_unless_it_is_a_data_set(workspace, mura):
    store_upload("mine", files("a.png"))
    discard_upload("mine")
    assert left(workspace) == []
    write_dataset("tree", build_index(mura, folds=4))
    with refused("name-taken", "tree"):
        discard_upload("tree")
