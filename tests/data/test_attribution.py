"""Whose work a data set is: in the heading of pages, and inside the pictures and maps that leave Overread."""

import io

import numpy as np
from PIL import Image

from core.data.attribution import (
    DatasetAttribution,
    attribution_line,
    read_attribution,
    with_attribution,
    write_attribution,
)
from core.data.index import build_index, read_dataset, write_dataset
from core.explain.export import npz_bytes
from dashboard.shared.widgets import attribution_html

KNOWN = DatasetAttribution(
    "Set <1>", "A. One; B. Two; C. Three", "CC BY 4.0", "https://l", "https://doi.org/1", "Cite it."
)


def test_it_is_stored_beside_the_index_and_survives_indexing_again(workspace, mura):
    write_dataset("tree", build_index(mura, folds=4))
    assert read_attribution("tree") is None and attribution_html(read_dataset("tree")) == ""
    write_attribution("tree", KNOWN)
    write_dataset("tree", build_index(mura, folds=3))
    assert read_attribution("tree") == KNOWN
    assert attribution_line("tree") == "Set <1>, A. One et al., CC BY 4.0, https://doi.org/1"
    assert read_attribution("other (scores only)") is None


def test_a_page_links_to_the_record_and_escapes_it(workspace, mura):
    dataset = write_dataset("tree", build_index(mura, folds=4))
    write_attribution("tree", KNOWN)
    html = attribution_html(dataset)
    assert 'href="https://doi.org/1"' in html and "Set &lt;1&gt;, A. One et al., CC BY 4.0" in html
    write_attribution("tree", DatasetAttribution("Set", "A. One; B. Two", "CC0", "", "javascript:alert(1)"))
    assert attribution_html(dataset) == "Set, A. One and B. Two, CC0"


def test_a_picture_says_whose_radiograph_it_shows(workspace, mura):
    write_dataset("tree", build_index(mura, folds=4))
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    plain = buffer.getvalue()
    assert with_attribution(plain, "tree") == plain
    write_attribution("tree", DatasetAttribution("Röntgen", "A. One", "CC BY 4.0", "https://l", "https://doi.org/1"))
    opened = Image.open(io.BytesIO(with_attribution(plain, "tree")))
    assert opened.text == {"Source": "Röntgen, A. One, CC BY 4.0, https://doi.org/1"}
    assert np.array_equal(np.asarray(opened), np.arange(64).reshape(8, 8))


def test_maps_say_whose_radiograph_they_explain():
    pixels = np.zeros((4, 4), np.uint8)
    stored = np.load(io.BytesIO(npz_bytes(pixels, [], None, "Set, A. One")), allow_pickle=False)
    assert bytes(stored["attribution"]).decode() == "Set, A. One"
    assert "attribution" not in np.load(io.BytesIO(npz_bytes(pixels, [])), allow_pickle=False)
