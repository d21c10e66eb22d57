"""The four faults are found by measures alone, on phantoms whose faults are known."""

import numpy as np
import pandas as pd
import pytest

from core.audit.audit import measured_rows
from core.data.faults import FAULTS, highest_tenth, with_shapes
from core.data.index import build_index, write_dataset
from core.phantom import write_phantoms

# Half of the objects of a phantom's overlap are faint and broad; `measures.lines` is tested on a wire of its own.
KNOWN = {"Several films": "two_on_one_film", "Dark": "dark", "Stretched": "stretched"}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Radiographs with their measures, and the known defects of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(tmp_path_factory.mktemp("home")))
        folder = write_phantoms(tmp_path_factory.mktemp("set"), 60, 30, processes=1).folder
        rows = with_shapes(measured_rows(write_dataset("ph", build_index(folder))))
        truth = pd.read_parquet(folder / "truth.parquet").set_index("image_id")
    return rows, truth["defects"].reindex(rows["image_id"]).to_numpy()


@pytest.mark.parametrize("fault", KNOWN)
def test_a_list_holds_more_of_its_fault_than_chance(phantoms, fault):
    rows, defects = phantoms
    known = np.array([KNOWN[fault] in names for names in defects])
    listed = FAULTS[fault].passes(rows).to_numpy()
    assert known.any() and (known & listed).sum() > 2 * known.sum() * listed.mean()


def test_the_share_of_a_shape_counts_the_other_radiographs_of_the_bone():
    rows = pd.DataFrame({"bone": ["wrist"] * 4 + ["hand"], "width": [100, 104, 100, 300, 300], "height": 100})
    assert with_shapes(rows)["shape share"].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0, 0])


def test_the_highest_tenth_leaves_out_zeros():
    rows = pd.DataFrame({"lines": [0.0] * 19 + [3.0]})
    assert highest_tenth(rows, "lines").sum() == 1
    assert not highest_tenth(rows.assign(lines=0.0), "lines").any()
