"""The reader of outside tables: the same rows however a table is written, and a sentence where it is no table."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data import cells
from core.data.manifest import read_manifest
from core.data.tables import read_table
from tests.refusals import refused

FRAME = pd.DataFrame(
    {"path": ["a.png", "b, c.png", "d;e.png"], "bone": ["Wrist", "hand", "hand"], "label": ["1", "0", ""]}
)


def written(folder, content, name="table.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_the_same_with_any_delimiter_encoding_and_line_end(tmp_path, delimiter, encoding, end):
    text = FRAME.to_csv(sep=delimiter, index=False, lineterminator=end)
    table = read_table(written(tmp_path, text.encode(encoding)))
    assert table.frame.equals(FRAME.astype("str")) and table.delimiter == delimiter
    assert [note.code for note in table.notes] == ([] if delimiter == "," else ["table-delimiter"])
    assert list(table.lines) == [2, 3, 4]


@pytest.mark.parametrize("kind", [".gz", ".zip", "sep"])
def test_a_compressed_table_and_one_that_names_its_delimiter_are_read(tmp_path, kind):
    text = FRAME.to_csv(sep=";", index=False)
    content = io.BytesIO()
    if kind == ".gz":
        content.write(gzip.compress(text.encode()))
    elif kind == ".zip":
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("inner.csv", text)
    else:
        content.write(b"sep=;\r\n" + text.encode())
    table = read_table(written(tmp_path, content.getvalue(), f"t.csv{kind}" if kind != "sep" else "t.csv"))
    assert table.frame.equals(FRAME.astype("str"))
    assert list(table.lines) == ([3, 4, 5] if kind == "sep" else [2, 3, 4])


def test_text_with_commas_does_not_make_a_table_of_semicolons_one_of_commas(tmp_path):
    text = "path;note, free;label\n" + "".join(f"{n}.png;one, two, three;{n % 2}\n" for n in range(9))
    assert list(read_table(written(tmp_path, text)).frame.columns) == ["path", "note, free", "label"]


def test_names_of_columns_are_found_in_any_case_and_with_spaces(tmp_path):
    table = read_table(written(tmp_path, " Path , BODY PART,Label\nx.png, Hip ,1\n"))
    assert (table.find("path"), table.find("bone", "body_part"), table.find("split")) == ("Path", "BODY PART", None)
    table = read_table(written(tmp_path, "label,Label,LABEL\n1,0,1\n"))
    assert table.find("label") == "label"
    with refused("column-ambiguous", "LaBel", "label, Label, LABEL"):
        table.find("LaBel")


def test_a_space_before_a_quote_does_not_split_the_cell_and_exact_reading_keeps_spaces(tmp_path):
    file = written(tmp_path, 'path, note\na.png, "x, y"\n')
    assert read_table(file).frame["note"].tolist() == ["x, y"]
    file = written(tmp_path, "path,note\na.png, x\n")
    assert read_table(file, exact=True).frame["note"].tolist() == [" x"]


def test_a_parquet_has_its_index_and_its_categories_as_columns(tmp_path):
    frame = pd.DataFrame(
        {"label": pd.Categorical(["yes", None, "no"]), "grade": pd.Categorical([1, 2, 1]), "site": [b"A", b"B", b"C"]},
        index=pd.Index(["a.png", "b.png", "c.png"], name="path"),
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet").frame
    assert list(table.columns) == ["path", "label", "grade", "site"]
    assert table["path"].tolist() == ["a.png", "b.png", "c.png"] and table["site"].tolist() == ["A", "B", "C"]
    assert cells.text_of(table["label"]).tolist() == ["yes", "", "no"] and table["grade"].tolist() == [1, 2, 1]
    frame.reset_index(drop=True).iloc[[2, 0]].to_parquet(tmp_path / "t.parquet")
    assert "index" not in read_table(tmp_path / "t.parquet").frame


def test_a_repeated_column_is_dropped_where_it_is_the_same_and_refused_where_not(tmp_path):
    assert list(read_table(written(tmp_path, "a,b,a\n1,2,1\n")).frame.columns) == ["a", "b"]
    with refused("column-twice", "a"):
        read_table(written(tmp_path, "a,b,a\n1,2,3\n"))


# ---- cells


def numbers(folder, text):
    notes = []
    table = read_table(written(folder, text))
    return cells.numbers(table, "p", notes).tolist(), [note.code for note in notes]


def test_decimal_commas_are_read_only_where_they_can_be_nothing_else(tmp_path):
    assert numbers(tmp_path, "y;p\n0;0,25\n1;1\n1;,5\n") == ([0.25, 1.0, 0.5], ["decimal-commas"])
    assert numbers(tmp_path, "y\tp\n0\t-0,250\n1\t1e-3\n1\t2,5e-3\n")[0] == [-0.25, 0.001, 0.0025]
    for text in ("y;p\n0;0,25\n1;0.5\n", "y;p\n0;1,250\n1;2,500\n", 'y,p\n0,"0,25"\n1,"0,5"\n', "y;p\n0;1.234,5\n"):
        with refused("rows-invalid", "column p", "point, not a comma"):
            numbers(tmp_path, text)


@pytest.mark.parametrize(
    ("yes", "no"), [("positive", "negative"), ("Abnormal", "NORMAL"), ("True", "False"), ("yes", "no"), ("1.0", "0.0")]
)
def test_words_for_labels_are_read_and_stated(tmp_path, yes, no):
    notes = []
    table = read_table(written(tmp_path, f"y,z\n{yes},a\n {no},a\nN/A,a\n"))
    assert cells.labels(table, "y", notes).tolist()[:2] == [1.0, 0.0]
    assert np.isnan(cells.labels(table, "y", [])[2])
    assert [note.code for note in notes] == ([] if yes == "1.0" else ["labels-from-words"])
    assert not notes or (yes.lower() in notes[0] and no.lower() in notes[0])


def test_a_word_that_is_no_label_is_refused_with_its_rows(tmp_path):
    with refused("rows-invalid", "2 of 4 rows", "row 3: 'fracture'", "row 5: '2'", "abnormal / normal"):
        cells.labels(read_table(written(tmp_path, "y,z\n1,a\nfracture,a\n0,a\n2,a\n")), "y", [])


def splits(folder, *words):
    table = read_table(written(folder, "split,z\n" + "".join(f"{word},a\n" for word in words)))
    return cells.read_splits(cells.text_of(table.frame["split"]), ("train", "valid", "test"), "split", table)


def test_words_for_splits(tmp_path):
    found, bad = splits(tmp_path, "Train", "VAL", "validation", "test", "training")
    assert found.tolist() == ["train", "valid", "valid", "test", "train"] and not bad.any()
    found, bad = splits(tmp_path, *["train"] * 30, "trian")
    assert bad.tolist() == [False] * 30 + [True]


LOST = [["a", "b"], ["train", "train", "dev", "dev"], ["", "NA"], ["train"] * 20 + ["x"] * 3]


@pytest.mark.parametrize("words", LOST)
def test_a_split_that_would_be_lost_whole_is_refused(tmp_path, words):
    with refused("split-lost", len(words), "train, valid, test"):
        splits(tmp_path, *words)
    if "dev" in words:
        with refused("split-lost", "'dev' may mean either"):
            splits(tmp_path, *words)


# ---- the same table in another form

CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@st.composite
def manifests(draw):
    count = draw(st.integers(2, 12))
    paths = draw(st.lists(CELL, min_size=count, max_size=count, unique=True))
    frame = pd.DataFrame({"path": [f"x{place}{path}.png".replace("\\", "") for place, path in enumerate(paths)]})
    for name, options in {
        "bone": ["wrist", "hand"], "label": ["0", "1", ""], "patient": ["007", "7", "p, q", ""], "study": ["s1", "s;2"],
        "split": ["train", "valid", "test"], "site": ["A", "B|C", '"x"'],
    }.items():  # fmt: skip
        frame[name] = draw(st.lists(st.sampled_from(options), min_size=count, max_size=count))
    return frame


@settings(settings.get_profile("many"), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    manifests(), st.randoms(), st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "parquet"]),
    st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(),
)  # fmt: skip
def test_a_shuffled_reencoded_or_redelimited_manifest_gives_the_same_rows(
    tmp_path, frame, random, delimiter, encoding, end, shout
):
    plain = read_manifest(written(tmp_path, frame.to_csv(index=False)), {})
    names, rows = list(frame.columns), list(frame.index)
    random.shuffle(names)
    random.shuffle(rows)
    changed = frame.loc[rows, names]
    if shout:
        changed = changed.rename(columns=str.upper)
    if encoding == "parquet":
        file = tmp_path / "table.parquet"
        changed.astype({name: "category" for name in changed.columns[:3]}).to_parquet(file)
    else:
        text = changed.to_csv(index=False, sep=delimiter, lineterminator=end)
        file = written(tmp_path, text.encode(encoding), "other.csv")
    other = read_manifest(file, {})
    order = [name for name in plain.frame.columns]
    found = other.frame.rename(columns={"SITE": "site"})[order].sort_values("image_id", ignore_index=True)
    pd.testing.assert_frame_equal(found, plain.frame.sort_values("image_id", ignore_index=True), check_dtype=False)
    assert not plain.rejected and not other.rejected
