"""Importing scores: exact to the last digit, and one sentence where a table cannot be interpreted."""

import json
import os
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from core.data.index import build_index, read_index, write_dataset
from core.data.label_levels import LabelRule
from core.metrics.counts import counts_at, counts_of, counts_table
from core.metrics.evaluation import evaluate
from core.metrics.ranking import auroc
from core.metrics.studies import study_table
from core.metrics.thresholds import choose
from core.schema import PREDICTIONS, check
from core.scores.halves import split_for_choosing
from core.scores.import_frame import Columns
from core.scores.import_join import JoinOptions
from core.scores.imports import imported_predictions, list_imported, read_imported, threshold_in_file
from core.scores.loading import find_scores, split_scores
from core.scores.source import find_source, list_sources
from core.workflows.import_scores import import_scores
from tests.metrics.examples import P, Y
from tests.refusals import refused

PLAIN = Columns("y", "p")
ALL = Columns("y", "p", "study", "image", "patient", "bone", "split")


@pytest.fixture
def table():
    """Two patients, two studies each, two radiographs per study; study numbers count per patient, as in MURA."""
    rows = [(patient, study, view) for patient in "ab" for study in (1, 2) for view in (1, 2)]
    frame = pd.DataFrame(rows, columns=["patient", "study", "view"])
    frame["image"] = frame["patient"] + frame["study"].astype(str) + frame["view"].astype(str)
    frame["bone"] = np.where(frame["study"] == 1, "Wrist", "ELBOW")
    frame["split"] = np.where(frame["patient"] == "a", "tune", "test")
    frame["y"] = [0, 0, 1, 1, 0, 0, 1, 1]
    frame["p"] = [0.1, 0.2, 0.6, 0.8, 0.3, 0.3, 0.45, 0.45]
    return frame


def kept(tmp_path, frame, columns=PLAIN, name="other", **more):
    file = tmp_path / "scores.csv"
    frame.to_csv(file, index=False)
    return imported_predictions(import_scores(file, name, columns, **more))


def test_a_whole_table(tmp_path, workspace, table):
    frame = kept(tmp_path, table, ALL)
    check(frame, PREDICTIONS, "imported")
    studies = study_table(frame)
    assert list(studies["study_id"]) == ["a/wrist/1", "a/elbow/2", "b/wrist/1", "b/elbow/2"]
    assert list(studies["score"]) == pytest.approx([0.15, 0.7, 0.3, 0.45], abs=1e-15)
    assert list(studies["n_views"]) == [2] * 4 and list(studies["group_id"]) == ["a", "a", "b", "b"]
    assert split_scores(find_scores("other"), default=split_for_choosing)[1] == "tune"
    with refused("split-unknown", "test, tune", "valid"):
        split_scores(find_scores("other"))
    about = read_imported("other")
    assert (about.rows, about.studies, about.abnormal, about.patients) == (8, 4, 2, 2)
    assert about.bones == {"wrist": 4, "elbow": 4} and "2 study ids belong to more than one patient" in about.notes[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_probabilities_are_kept_to_the_last_digit(tmp_path, workspace, suffix):
    file = tmp_path / f"scores{suffix}"
    p = np.r_[P, 0.0, 1.0, 1e-300, 0.1 + 0.2, np.nextafter(1, 0)]
    frame = pd.DataFrame({"y": np.r_[Y, 0, 1, 0, 1, 1].astype(int), "p": p})
    frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    read = imported_predictions(import_scores(file, "other", PLAIN))
    assert (study_table(read)["score"] == p).all() and np.isfinite(read["logit"]).all()
    # Through the logit and back, a score of .45 would no longer be at or above .45.
    for threshold in p:
        at = counts_at(counts_of(study_table(read)), threshold)
        assert at["tp"] + at["fp"] == (p >= threshold).sum()


def test_t20_through_the_import(tmp_path, workspace):
    found = evaluate(kept(tmp_path, pd.DataFrame({"y": Y.astype(int), "p": P})))
    assert found["auroc"] == pytest.approx(0.838383838383838, abs=1e-14)
    assert [found[name] for name in ("tp", "fn", "fp", "tn")] == [6, 3, 2, 9]


def test_logits_are_kept_unchanged(tmp_path, workspace):
    logits = np.array([-3.5, 0.0, 0.25, 12.0])
    frame = kept(tmp_path, pd.DataFrame({"y": [0, 0, 1, 1], "p": logits}), scale="logit")
    assert (frame["logit"] == logits).all() and "probability" not in frame
    assert (study_table(frame)["score"] == expit(logits)).all()


def test_without_ids_each_row_is_a_study(tmp_path, workspace):
    frame = kept(tmp_path, pd.DataFrame({"y": [0, 1], "p": [0.1, 0.9]}))
    assert list(frame["study_id"]) == ["row 2", "row 3"] and set(frame["split"]) == {"valid"}
    assert set(frame["bone"]) == {"unknown"} and frame["patient_id"].isna().all()
    assert "no patient is named" in " ".join(read_imported("other").notes)


def test_ids_keep_their_zeros_and_are_the_same_from_both_formats(tmp_path, workspace):
    frame = kept(
        tmp_path, pd.DataFrame({"y": [0, 1], "p": [0.1, 0.9], "image": ["007", "07"]}), Columns("y", "p", image="image")
    )
    assert list(frame["image_id"]) == ["007", "07"]
    file = tmp_path / "scores.parquet"
    pd.DataFrame({"y": [0.0, None], "p": [0.1, 0.9], "patient": [7.0, 8.0]}).to_parquet(file)
    frame = imported_predictions(import_scores(file, "numbers", Columns("y", "p", patient="patient")))
    assert list(frame["patient_id"]) == ["7", "8"] and frame["label"].isna().tolist() == [False, True]


@pytest.mark.parametrize("word", ["", "NaN", "unknown", "NA", "None"])
def test_an_unknown_label_is_unknown(tmp_path, workspace, word):
    frame = kept(tmp_path, pd.DataFrame({"y": ["0", "1.0", word], "p": [0.1, 0.9, 0.4]}))
    assert frame["label"].fillna(-1).tolist() == [0, 1, -1]


# A change in a good table, and the word that the message must have.
BAD = {
    "nan": ({"p": [0.1, np.nan, 0.2]}, "1 of 3 rows", "column p", "row 3: ''"),
    "inf": ({"p": ["0.1", "inf", "-inf"]}, "2 of 3 rows", "column p", "row 3: 'inf', row 4: '-inf'"),
    "underscore": ({"p": ["0.1", "1_0", "0.2"]}, "row 3: '1_0'"),
    "words": ({"p": ["0.1", "high", "0.2"]}, "row 3: 'high'"),
    "comma": ({"p": ["0.1", "0,5", "0.2"]}, "row 3: '0,5'", "a point, not a comma"),
    "logit": ({"p": [0.1, -2.0, 4.0]}, "2 of 3 rows", "0 to 1", "row 3: '-2.0', row 4: '4.0'"),
    "label": ({"y": [0, 2, -1]}, "2 of 3 rows", "column y", "row 3: '2', row 4: '-1'"),
    "label word": ({"y": ["0", "1", "fracture"]}, "row 4: 'fracture'"),
    "image": ({"image": ["a", "b", "a"]}, "2 of 3 rows", "row 2: 'a', row 4"),
    "no image": ({"image": ["a", "", "c"]}, "column image", "row 3"),
    "study": ({"study": ["s", "s", "t"], "image": None}, "--image"),
    "split": ({"split": ["valid", "fold1", "valid"]}, "column split", "row 3: 'fold1'"),
    "bone": ({"bone": ["wrist", "", "wrist"]}, "column bone"),
    "two splits": ({"study": ["s", "s", "t"], "split": ["tune", "test", "test"]}, "1 study"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_row_that_cannot_be_interpreted_is_named(tmp_path, workspace, case):
    changed, *figures = BAD[case]
    frame = pd.DataFrame({"y": [0, 1, 1], "p": [0.1, 0.9, 0.8], "image": list("abc")} | changed).dropna(
        axis=1, how="all"
    )
    given = {name: name for name in ("study", "image", "bone", "split") if name in frame}
    with refused("study-in-two-splits" if case == "two splits" else "rows-invalid", *figures):
        kept(tmp_path, frame, Columns("y", "p", **given))
    assert list_imported() == []


def test_a_missing_column_lists_the_columns_of_the_table(tmp_path, workspace, table):
    with refused("column-missing", "'truth'", "--label", "patient, study, view, image"):
        kept(tmp_path, table, Columns("truth", "p"))
    with refused("column-missing", "'person'", "--patient"):
        kept(tmp_path, table, Columns("y", "p", patient="person"))


# The bytes of a file, the code of the error, and what the message must name.
FILES = {
    "empty": (b"", "table-empty"),
    "header only": (b"y,p\n", "table-empty", "y, p"),
    "cp1252": ("y,p,\u00e9\n0,0.1,x\n".encode("cp1252"), "table-not-utf8", "0xe9", 4),
    "utf-16": ("y,p\n0,0.1\n".encode("utf-16-le"), "table-not-utf8", "UTF-16"),
    "spreadsheet": (b"PK\x03\x04" + bytes(40), "table-not-text"),
    "broken parquet": (b"PAR1" + bytes(40), "table-unreadable"),
    "ragged": (b"y,p\n0,0.1\n1,0.2,7,8\n", "table-cells", "row 3 has 4 cells"),
    "decimal commas": (b"y,p\n1,0,5\n0,0,2\n", "table-cells", "row 2 has 3 cells", "2 columns"),
    "one cell more": (b"y,p\n1,0.5,x\n0,0.2\n", "table-cells", "row 2 has 3 cells"),
    "cut off": (b"p,y\n0.5,1\n0.25", "table-cells", "row 3 has 1 cell", "2 columns", "'0.25'"),
    "cut off, quoted": (b'p,y,image\n0.5,1,"a,b"\n0.25,0\n', "table-cells", "row 3 has 2 cells", "3 columns"),
    "twice": (b"y,p,p\n0,0.1,0.2\n", "column-twice", "p"),
    "quotes": (b'y,p\n0,"0.1\n', "table-unreadable"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_not_a_table_is_refused(tmp_path, workspace, case):
    content, code, *figures = FILES[case]
    (tmp_path / "scores.csv").write_bytes(content)
    with refused(code, *figures):
        import_scores(tmp_path / "scores.csv", "other", PLAIN)
    with refused("table-missing", "none.csv"):
        import_scores(tmp_path / "none.csv", "other", PLAIN)


def test_a_byte_order_mark_and_quoted_commas_are_read(tmp_path, workspace):
    (tmp_path / "scores.csv").write_bytes(b'\xef\xbb\xbfy,p,image\r\n0,0.1,"a,b"\r\n1,0.9,c\r\n')
    frame = imported_predictions(import_scores(tmp_path / "scores.csv", "other", Columns("y", "p", image="image")))
    assert list(frame["image_id"]) == ["a,b", "c"]


@pytest.mark.parametrize("content", ["y,p\n0,0.1,\n1,0.9,\n", "y,p\n0,0.1\n\n1,0.9", "y,p\r\n0,0.1\r\n1,0.9\r\n\r\n"])
def test_empty_cells_at_the_end_and_blank_lines_are_ignored(tmp_path, workspace, content):
    (tmp_path / "scores.csv").write_bytes(content.encode())
    frame = imported_predictions(import_scores(tmp_path / "scores.csv", "other", PLAIN))
    assert frame["probability"].tolist() == [0.1, 0.9] and frame["label"].tolist() == [0, 1]


def test_doubts_are_noted_and_nothing_is_changed(tmp_path, workspace, table):
    kept(tmp_path, table, ALL, scale="logit")
    assert "every value of p is between 0 and 1" in " ".join(read_imported("other").notes)
    both = table.assign(y=[0, 1, 1, 1, 0, 0, 1, 1], split=np.where(table["study"] == 1, "tune", "test"))
    accept = JoinOptions(allow_lost_labels=True)
    kept(tmp_path, both, ALL, labels=LabelRule("study"), options=accept)
    notes = " ".join(read_imported("other").notes)
    assert "1 study has both labels" in notes and "2 patients are in more than one split (first: 'a')" in notes
    kept(tmp_path, table.assign(y=1, p=0.5), ALL, options=accept)
    notes = " ".join(read_imported("other").notes)
    assert "every known label is the same" in notes and "every score is the same" in notes
    facts = evaluate(split_scores(find_scores("other"), split="test")[0])
    assert facts["auroc"] is None and "no normal studies" in facts["why"]


def test_numbers_that_are_not_logits_would_lose_their_order(tmp_path, workspace):
    frame = pd.DataFrame({"y": [0, 1, 1], "p": [3.0, 120.5, 419.2]})
    with refused("logits-saturated", "from 3 to 419.2", "1 of its 3", "--raw"):
        kept(tmp_path, frame, scale="logit")
    read = kept(tmp_path, frame, scale="raw")
    assert list(read["given"]) == [3.0, 120.5, 419.2] and list(study_table(read)["score"]) == [0.25, 0.5, 0.75]
    assert "only the order of p is used" in " ".join(read_imported("other").notes)
    with refused("scale-unknown", "odds", "raw"):
        kept(tmp_path, frame, scale="odds")


def test_a_few_saturated_logits_are_noted(tmp_path, workspace):
    logits = np.r_[np.linspace(-60, 20, 400), 45.0, 46.0]
    read = kept(tmp_path, pd.DataFrame({"y": np.arange(402) % 2, "p": logits}), scale="logit")
    assert (read["logit"] == logits).all() and len(read["logit"].unique()) == 402
    assert "1 of the 402 distinct logits become the same probability" in " ".join(read_imported("other").notes)


@pytest.mark.parametrize("seed", range(3))
def test_a_raw_marker_keeps_its_order_and_its_thresholds(tmp_path, workspace, seed):
    """Scores like a tumour marker: any numbers, with ties."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, 300)
    marker = np.round(np.exp(random.normal(3 + label, 2)), 1)
    read = kept(tmp_path, pd.DataFrame({"y": label, "p": marker}), scale="raw")
    assert evaluate(read)["auroc"] == auroc(marker, label).value
    studies = study_table(read)
    for rule in ("youden", "sensitivity>=0.8", "cost=3"):
        direct = choose(counts_table(marker, label), rule).threshold
        assert threshold_in_file(read, studies, choose(studies, rule).threshold) == direct


def test_names(tmp_path, workspace, table):
    kept(tmp_path, table, ALL, name="one")
    kept(tmp_path, table, ALL, name="two")
    assert [found.name for found in list_imported()] == ["one", "two"] == [found.name for found in list_sources()]
    assert find_source("one").kind == "imported" and not find_source("one").has_images
    with refused("source-unknown", "'three'", "one, two"):
        find_source("three")
    with refused("no-imported-scores", "'three'", "one, two"):
        read_imported("three")
    (tmp_path / "checkpoints" / "four").mkdir(parents=True)
    with refused("name-taken", "'four'"):
        kept(tmp_path, table, ALL, name="four")
    with refused("name-invalid", "'../up'"):
        kept(tmp_path, table, ALL, name="../up")
    (tmp_path / "checkpoints" / "one").mkdir()
    with refused("source-ambiguous", "'one'"):
        find_source("one")


@pytest.mark.parametrize("step", range(5))
def test_an_interrupted_import_leaves_the_older_scores_or_the_new_ones(tmp_path, workspace, table, step, monkeypatch):
    kept(tmp_path, table, ALL)
    older = read_imported("other")
    count, replace = iter(range(99)), os.replace

    def cut(*arguments):
        if next(count) == step:
            raise KeyboardInterrupt
        return replace(*arguments)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyboardInterrupt) if step < 4 else nullcontext():
        kept(tmp_path, table.assign(p=0.5), ALL)
    monkeypatch.undo()
    monkeypatch.setenv("OVERREAD_HOME", str(workspace))
    now = read_imported("other")
    scores = imported_predictions(now)["probability"]
    assert (now == older) == (step < 3) and (scores == 0.5).all() == (step >= 3)
    kept(tmp_path, table, ALL)
    assert read_imported("other").predictions_hash == older.predictions_hash


def test_altered_or_damaged_sets_are_named(tmp_path, workspace, table):
    kept(tmp_path, table, ALL)
    found = read_imported("other")
    frame = pd.read_parquet(found.folder / "predictions.parquet")
    frame.assign(label=1 - frame["label"]).to_parquet(found.folder / "predictions.parquet")
    with refused("imported-scores-altered", "imported.json"):
        split_scores(find_scores("other"), split="test")
    (found.folder / "imported.json").write_text(json.dumps({"name": "other"}))
    with refused("import-damaged"):
        read_imported("other")
    assert list_imported() == []


# ---- matched to radiographs


def test_rows_are_matched_to_the_radiographs_of_a_data_set(tmp_path, workspace, mura):
    tree = write_dataset("tree", build_index(mura, folds=4))
    index = read_index("tree")
    table = pd.DataFrame({"image": index["image_id"], "y": index["label"].astype(int), "p": 0.5})
    table.loc[3, "y"] = 1 - table.loc[3, "y"]
    table = pd.concat([table, pd.DataFrame({"image": ["elsewhere.png"], "y": [0], "p": [0.5]})])
    frame = kept(tmp_path, table, Columns("y", "p", image="image"), data="tree")
    about = read_imported("other")
    assert len(frame) == 60 and about.dataset == f"tree@{tree.index_hash[:8]}" and find_source("other").has_images
    assert "1 of 61 rows matches none of the radiographs of tree; left out (first: elsewhere.png)" in about.notes
    assert "1 label differs from those of tree; the labels of the file are used" in about.notes
    joined = frame.merge(index, on="image_id", suffixes=("", "_index"))
    for name in ("study_id", "group_id", "bone", "split", "path"):
        assert (joined[name] == joined[f"{name}_index"]).all()
    assert len(split_scores(find_scores("other", "tree"), "valid")[0]) == 16
    with refused("scores-of-other-dataset", "tree@", "somewhere"):
        split_scores(find_scores("other", "somewhere"))
    with refused("no-radiograph-matched", "1 row", "'elsewhere.png'"):
        kept(tmp_path, table.tail(1), Columns("y", "p", image="image"), data="tree")
    with refused("image-column-needed", "--image"):
        kept(tmp_path, table, Columns("y", "p"), data="tree")


# ---- published


# The other four are read from the same table by the same steps.
EXACT = ("Cardiomegaly",)
EXACT += tuple(
    pytest.param(finding, marks=pytest.mark.slow)
    for finding in ("Fibrosis", "Pneumothorax", "Consolidation", "Edema", "Pleural_Thickening")
)


@pytest.mark.parametrize("finding", EXACT)
def test_published_areas_through_the_import(shared, workspace, finding):
    folder = shared / "data" / "predictions" / "nih_chexnet"
    columns = Columns(f"y_{finding}", f"p_{finding}", study="image", image="image", patient="patient_id")
    about = import_scores(folder / "predictions.csv", "chest", columns)
    assert (about.rows, about.studies, about.patients) == (22433, 22433, 6187)
    found = evaluate(split_scores(find_scores("chest"))[0])
    published = pd.read_csv(folder / "published_aucs.csv").set_index("label").loc[finding]
    assert found["auroc"] == pytest.approx(published["published_auc"], abs=2e-15)
    assert found["n"] == 22433 and found["n_abnormal"] == published["positives"]
