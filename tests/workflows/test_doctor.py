"""Doctor finds what is damaged, says what belongs to nothing, and makes again what can be made."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from core.audit.audit import audit_file, run_audit
from core.checksums import checksum_file
from core.data import pixel_store
from core.data.cache import pixel_cache
from core.data.decode import decode, pixels_folder
from core.data.index import build_index, read_dataset, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.thumbnails import thumbnail, thumbnail_file
from core.workflows.doctor import examine, repair
from core.workflows.make_again import can_be_made_again, make_again
from core.workflows.workspace import shares
from tests.refusals import refused

SPEC = InputSpec(32)


@pytest.fixture
def tree(mura, workspace):
    """A data set with its pixels, thumbnails, measures and audit."""
    dataset = write_dataset("tree", build_index(mura))
    decode(dataset, read_index("tree"), SPEC, thumbnail=True, measures=True)
    run_audit(dataset)
    workspace.chmod(0o700)
    return dataset


def spoil(file, place=-20, many=1):
    content = bytearray(file.read_bytes())
    content[place:][:many]
    for at in range(many):
        content[place + at] ^= 0x41
    file.write_bytes(bytes(content))


def kinds(examination) -> list[tuple[str, str]]:
    return [(finding.kind, os.path.basename(finding.path)) for finding in examination.findings]


def test_a_workspace_as_it_was_written_has_no_findings(tree):
    found = examine()
    assert kinds(found) == [] and found.checked["thumbnails"] == 60 and found.checked["pixel caches"] == 1
    sizes = {share.kind.name: share.bytes for share in shares()}
    assert sizes["decoded pixels, thumbnails and measures"] > 60 * 32**2 and sizes["indexes of the data sets"] > 0
    json.dumps(found.to_dict())


def test_a_radiograph_that_is_missing_or_has_another_size_is_named(mura, workspace, tmp_path):
    own = shutil.copytree(mura, tmp_path / "own")
    write_dataset("own", build_index(own))
    first, second, *_ = sorted(own.rglob("*.png"))
    assert not [one for one in examine().findings if one.kind == "damaged"] and examine().checked["radiographs"] == 60
    first.unlink()
    second.write_bytes(b"junk")
    (found,) = [one for one in examine().findings if one.kind == "damaged"]
    assert "own: 2 of 60 radiographs are not as indexed" in found.problem and not found.repairable
    assert first.name in found.problem and "Restore" in found.problem


def test_what_is_derived_is_made_again(tree, workspace):
    store = pixel_store.load(pixels_folder(tree, SPEC), 32)
    before = np.array(store.pixels)
    pixels, index = store.file, read_index("tree")
    small = thumbnail_file(tree, index["sha1"].iloc[3])
    jpeg = thumbnail(tree, index["path"].iloc[3], index["sha1"].iloc[3])
    measures = next((workspace / "cache" / "tree").glob("measures-*/*.parquet"))
    for file in (small, measures, audit_file(tree)):
        spoil(file, place=len(file.read_bytes()) // 2)
    content = bytearray(pixels.read_bytes())
    content[128 + 5 * 32**2 : 128 + 6 * 32**2] = bytes(32**2)
    pixels.write_bytes(bytes(content))
    left = workspace / "datasets" / "tree" / ".index.parquet.4194304.1.tmp"
    left.write_bytes(b"half")
    pixel_store._compared.clear()
    found = examine()
    assert sorted(kinds(found)) == sorted(
        [("damaged", file.name) for file in (small, measures, audit_file(tree), pixels)] + [("stale", left.name)]
    )
    done, failed = repair(found)
    assert len(done) == 5 and not failed and kinds(examine()) == []
    again = pixel_cache(tree, index, SPEC)
    hashes = dict(zip(store.hashes, before))
    rows = again.rows_of(index["image_id"])
    assert all((again.pixels[row] == hashes[sha1]).all() for row, sha1 in zip(rows, index["sha1"]))
    assert thumbnail(tree, index["path"].iloc[3], index["sha1"].iloc[3]) == jpeg


def test_pixels_that_were_altered_are_refused_and_the_command_makes_them_again(tree, monkeypatch):
    folder, index = pixels_folder(tree, SPEC), read_index("tree")
    file = pixel_store.load(folder, 32).file
    pixel_store._compared.clear()
    spoil(file, place=128 + 7 * 32**2 + 11)
    with refused("pixels-altered", "1 radiograph", "pixels.npy", "cache tree --size 32") as caught:
        pixel_cache(tree, index, SPEC)
    assert can_be_made_again(caught.value.file)
    make_again(caught.value.file)
    assert not pixel_cache(tree, index, SPEC).failed


def test_rows_of_an_earlier_version_get_a_checksum_from_the_command(tree):
    folder = pixels_folder(tree, SPEC)
    journal = folder / "g0001" / "rows.txt"
    journal.write_text("".join(line.split(" ")[0] + "\n" if line[8:9] != " " else line + "\n"
                               for line in journal.read_text().splitlines()))  # fmt: skip
    assert (pixel_store.load(folder, 32).sums == -1).all() and not pixel_cache(tree, read_index("tree"), SPEC).failed
    assert pixel_store.mend(folder, 32) == (0, 60) and (pixel_store.load(folder, 32).sums >= 0).all()


def test_what_people_made_is_not_made_again(tree, workspace):
    index = tree.folder / "index.parquet"
    spoil(index)
    found = examine()
    assert ("damaged", "index.parquet") in kinds(found) and not repair(found)[0]
    with refused("not-derived", "index.parquet"):
        make_again(index)
    assert checksum_file(index).exists() and read_dataset("tree").name == "tree"


def test_what_belongs_to_no_data_set_is_named_and_kept(tree, workspace):
    shutil.copytree(workspace / "cache" / "tree", workspace / "cache" / "gone")
    found = examine()
    assert (
        kinds(found) == [("orphan", "gone")] and repair(found) == ([], []) and (workspace / "cache" / "gone").exists()
    )


def test_the_command_ends_with_1_where_something_is_damaged(tree, workspace):
    command = [sys.executable, "-m", "core", "doctor", "--json"]
    spoil(thumbnail_file(tree, read_index("tree")["sha1"].iloc[0]), place=100)
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 1 and json.loads(first.stdout)["damaged"] == 1
    second = subprocess.run([*command, "--repair"], capture_output=True, text=True)
    facts = json.loads(second.stdout)
    assert second.returncode == 0 and facts["damaged"] == 0 and len(facts["repaired"]) == 1
    assert {"kind", "files", "bytes", "may_be_deleted", "made_again"} == set(facts["sizes"][0])
