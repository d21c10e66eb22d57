"""Uploads on disk: one name for one visitor, bounded, and nothing left of one that failed."""

import os

import pytest

from core.data import uploads
from core.data.index import build_index, write_dataset
from core.data.uploads import UploadLimits, discard_upload, packed_upload, store_upload, upload_folder
from tests.refusals import refused


@pytest.fixture
def files(workspace):
    """Files that have arrived, on the disk of the workspace."""

    def arrived(*names: str, content: bytes = b"1"):
        folder = workspace / "uploads" / ".arriving"
        folder.mkdir(parents=True, exist_ok=True)
        for place in range(len(names)):
            (folder / f"{place}.part").write_bytes(content)
        return [(name, folder / f"{place}.part") for place, name in enumerate(names)]

    return arrived


def left(workspace) -> list[str]:
    found = (path.name for path in (workspace / "uploads").iterdir() if path.suffix != ".lock")
    return sorted(name for name in found if name != ".arriving")


def test_several_files_become_a_folder_and_a_zip_stays_one(workspace, files):
    folder = store_upload("mine", files("labels.csv", "images/a.png"))
    assert folder == upload_folder("mine") and (folder / "images/a.png").read_bytes() == b"1"
    packed = store_upload("other", files("x.bin", content=b"PK\x03\x04rest"))
    assert packed == packed_upload("other") and packed.read_bytes() == b"PK\x03\x04rest"
    assert left(workspace) == [".other.zip", "mine"]


def test_a_name_belongs_to_one_visitor(workspace, files, mura):
    store_upload("mine", files("a.png"))
    with refused("name-busy", "mine"):
        store_upload("mine", files("b.png"))
    write_dataset("tree", build_index(mura, folds=4))
    with refused("name-taken", "tree"):
        store_upload("tree", files("b.png"))
    with refused("name-invalid"):
        store_upload("../x", files("b.png"))


def test_a_second_visitor_at_the_same_moment_is_refused(workspace, files, monkeypatch):
    place = os.replace

    def slow(source, target):
        with refused("name-busy", "mine"):
            store_upload("mine", files("b.png", content=b"first"))
        return place(source, target)

    monkeypatch.setattr(uploads.os, "replace", slow)
    store_upload("mine", files("a.png", content=b"first"))
    assert (upload_folder("mine") / "a.png").read_bytes() == b"first"


@pytest.mark.parametrize("names", [("a.png", "A.png"), ("x/a.png", "x//a.png")])
def test_two_files_of_one_name_are_refused(workspace, files, names):
    with refused("upload-name-twice"):
        store_upload("mine", files(*names))
    assert left(workspace) == []


def test_a_name_that_leads_elsewhere_is_refused(workspace, files):
    with refused("zip-unsafe-name", ".."):
        store_upload("mine", files("../a.png", "b.png"))
    assert left(workspace) == []


def test_an_upload_is_bounded(workspace, files):
    with refused("upload-too-many-files", 3, 2):
        store_upload("mine", files("a", "b", "c"), UploadLimits(files=2))
    with refused("upload-too-large", "3.0 kB", "2.0 kB"):
        store_upload("mine", files("a", "b", "c", content=b"1" * 1000), UploadLimits(bytes=2000))
    with refused("no-file"):
        store_upload("mine", [])


def test_a_full_disk_leaves_nothing_and_the_name_is_free_again(workspace, files, monkeypatch):
    def full(*arguments):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(uploads.os, "replace", full)
        with refused("disk-full"):
            store_upload("mine", files("a.png", "b.png"))
    assert left(workspace) == []
    store_upload("mine", files("a.png"))


def test_a_workspace_without_rights_is_one_sentence(workspace, files, monkeypatch):
    def denied(*arguments, **options):
        raise PermissionError(13, os.strerror(13))

    arrived = files("a.png")
    monkeypatch.setattr(uploads.Path, "mkdir", denied)
    with refused("folder-no-rights", workspace):
        store_upload("mine", arrived)


def test_an_upload_is_discarded_unless_it_is_a_data_set(workspace, files, mura):
    store_upload("mine", files("a.png"))
    discard_upload("mine")
    assert left(workspace) == []
    write_dataset("tree", build_index(mura, folds=4))
    with refused("name-taken", "tree"):
        discard_upload("tree")
