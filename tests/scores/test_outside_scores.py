"""Scores as other programs write them: MURA's paths, per study, the wrong way round, percentages, other delimiters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.index import build_index, read_index, write_dataset
from core.metrics.evaluation import evaluate
from core.metrics.ranking import auroc
from core.scores.import_frame import Columns
from core.scores.import_join import JoinOptions
from core.scores.imports import imported_predictions, read_imported
from core.scores.loading import find_scores, split_scores
from core.workflows.import_scores import import_scores
from tests.refusals import refused

PREFIXES = ["", "MURA-v1.1/", "/home/x/MURA-v1.1/", "C:\\sets\\MURA-v1.1\\"]


def imported(tmp_path, content, columns, name="other", **more):
    file = tmp_path / "scores.csv"
    if isinstance(content, pd.DataFrame):
        content.to_csv(file, index=False)
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    about = import_scores(file, name, columns, **more)
    return about, imported_predictions(about)


def codes(about) -> set[str]:
    return {note.code for note in about.notes}


@pytest.fixture
def tree(mura, workspace):
    """The indexed tree, with a random score for each radiograph."""
    write_dataset("tree", build_index(mura, folds=4))
    index = read_index("tree")
    return index.assign(score=np.random.default_rng(4).random(len(index)).round(4))


def prefixed(ids: pd.Series, prefix: str) -> pd.Series:
    return prefix + (ids.str.replace("/", "\\") if "\\" in prefix else ids)


# ---- MURA's paths


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("header", [True, False])
def test_mura_paths_give_bone_patient_study_label_and_split(tmp_path, tree, prefix, header):
    table = pd.DataFrame({"path": prefixed(tree["image_id"], prefix), "score": tree["score"]})
    _, frame = imported(tmp_path, table.to_csv(index=False, header=header), Columns("", "score", image="path"))
    for name in ("image_id", "study_id", "patient_id", "bone", "label", "split"):
        assert frame[name].tolist() == tree[name].tolist(), name
    _, matched = imported(
        tmp_path, table.to_csv(index=False, header=header), Columns("", "score", image="path"), data="tree"
    )
    assert matched["image_id"].tolist() == tree["image_id"].tolist()
    assert matched["label"].tolist() == tree["label"].tolist()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("option", ["study", "image"])
def test_scores_per_study_need_only_the_study(tmp_path, tree, prefix, option):
    studies = tree.drop_duplicates("study_id")
    folder = studies["image_id"].str.rpartition("/")[0] + "/"
    table = pd.DataFrame({"s": prefixed(folder, prefix), "score": studies["score"]})
    _, frame = imported(tmp_path, table, Columns("", "score", **{option: "s"}))
    assert frame["study_id"].tolist() == studies["study_id"].tolist()
    assert frame["label"].tolist() == studies["label"].tolist()
    about, matched = imported(tmp_path, table, Columns("", "score", **{option: "s"}), data="tree")
    assert len(matched) == len(tree) and "scores-per-study" in codes(about) and about.studies == len(studies)
    of_study = matched.drop_duplicates("study_id").set_index("study_id")["probability"]
    assert of_study[studies["study_id"]].tolist() == pytest.approx(studies["score"].tolist(), abs=1e-15)


def test_a_list_without_splits_matches_the_tree_and_labels_are_optional(tmp_path, tree):
    table = pd.DataFrame({"p": tree["image_id"].str.partition("/")[2], "score": tree["score"], "y": tree["label"]})
    _, matched = imported(tmp_path, table, Columns("y", "score", image="p"), data="tree")
    assert matched["image_id"].tolist() == tree["image_id"].tolist()
    with refused("label-column-needed", "p, score, y"):
        imported(tmp_path, table.assign(p=range(len(table))), Columns("", "score", image="p"))
    about, frame = imported(tmp_path, table.assign(y=1 - tree["label"]), Columns("y", "score", image="p"))
    assert "labels-contradict-paths" in codes(about) and (frame["label"] == 1 - tree["label"]).all()


def test_study_numbers_of_different_patients_are_different_studies(tmp_path, tree):
    study = tree["image_id"].str.split("/").str[3]
    table = pd.DataFrame({"p": tree["image_id"], "study": study, "score": tree["score"]})
    _, frame = imported(tmp_path, table, Columns("", "score", image="p", study="study"))
    assert frame["study_id"].tolist() == tree["study_id"].tolist()


def test_radiographs_without_a_study_are_counted(tmp_path, workspace):
    about, _ = imported(tmp_path, "i,y,p\na,0,.1\nb,1,.9\nc,1,.7\n", Columns("y", "p", image="i"))
    assert "3 radiographs, each taken as its own study" in about.notes


@pytest.mark.parametrize("case", ["01-mura-prefix"])
def test_the_case_of_a_prefix(shared, workspace, case):
    about = import_scores(
        shared / "data" / "cases" / case / "preds.csv", "c", Columns("label", "score", image="image_path")
    )
    frame = imported_predictions(about)
    assert about.rows == 117 and about.studies < 117 and "unknown" not in about.bones and about.patients > 1
    assert about.splits == {"train": 90, "valid": 27} and set(frame["study_id"].str.count("/")) == {3}


# ---- doubtful scores


def ranked(count=60, seed=0):
    random = np.random.default_rng(seed)
    label = np.arange(count) % 2
    return pd.DataFrame(
        {"i": [f"r{n}" for n in range(count)], "y": label, "p": 0.3 * random.random(count) + 0.5 * label}
    )


PLAIN = Columns("y", "p", image="i")
TURNED = Columns("y", "p", image="i", invert=True)


@pytest.mark.parametrize("scale", [{}, {"scale": "logit"}, {"scale": "raw"}])
def test_the_wrong_way_round_is_noted_and_can_be_turned(tmp_path, workspace, scale):
    table = ranked().assign(p=lambda rows: 1 - rows["p"] if not scale else -rows["p"])
    about, _ = imported(tmp_path, table, PLAIN, **scale)
    note = next(note for note in about.notes if note.code == "scores-wrong-way")
    assert "--invert" in note and "AUROC .000 on 60 studies" in note
    about, turned = imported(tmp_path, table, TURNED, **scale)
    assert (
        evaluate(turned)["auroc"] == 1 and not codes(about) & {"scores-wrong-way"} and "scores-turned" in codes(about)
    )
    about, _ = imported(tmp_path, ranked(), TURNED)
    assert any(note.code == "scores-wrong-way" and "leave --invert out" in note for note in about.notes)


def test_the_case_of_a_negative_class(shared, workspace):
    file, columns = shared / "data" / "cases" / "10-negative-class-score" / "preds.csv", ("label", "score")
    about = import_scores(file, "c", Columns(*columns, image="image_path"))
    assert "scores-wrong-way" in codes(about)
    wrong = evaluate(split_scores(find_scores("c"))[0])["auroc"]
    about = import_scores(file, "c", Columns(*columns, image="image_path", invert=True))
    assert evaluate(split_scores(find_scores("c"))[0])["auroc"] == pytest.approx(1 - wrong, abs=1e-12)
    assert "scores-wrong-way" not in codes(about)


@pytest.mark.parametrize("seed", range(30))
def test_chance_is_not_called_the_wrong_way(tmp_path, workspace, seed):
    table = ranked(40).assign(p=np.random.default_rng(seed + 100).random(40))
    about, frame = imported(tmp_path, table, PLAIN)
    found = auroc(frame["probability"].to_numpy(), frame["label"].to_numpy())
    assert ("scores-wrong-way" in codes(about)) == (found.value < 0.4 and found.high < 0.5)


def test_decisions_constant_bones_and_copies_of_the_label_are_noted(tmp_path, workspace):
    table = ranked()
    about, _ = imported(tmp_path, table.assign(p=(np.arange(60) % 3 > 0).astype(int)), PLAIN)
    assert "scores-two-values" in codes(about) and "0 and 1" in " ".join(about.notes)
    about, _ = imported(tmp_path, table.assign(p=table["y"]), PLAIN)
    assert "score-equals-label" in codes(about) and "scores-two-values" not in codes(about)
    bones = table.assign(b=np.where(np.arange(60) < 20, "wrist", "hand"))
    bones.loc[:19, "p"] = 0.5
    about, _ = imported(tmp_path, bones, Columns("y", "p", image="i", bone="b"))
    assert any(note.code == "scores-constant-in-bone" and "wrist (20 rows)" in note for note in about.notes)
    about, _ = imported(tmp_path, table, PLAIN)
    assert not {code for code in codes(about) if code.startswith("score")}


def test_one_bone_the_wrong_way_round_is_noted(tmp_path, workspace):
    table = ranked(200).assign(b=np.where(np.arange(200) < 50, "wrist", "hand"))
    table.loc[table["b"] == "wrist", "p"] = 1 - table["p"]
    about, _ = imported(tmp_path, table, Columns("y", "p", image="i", bone="b"))
    assert any(note.code == "scores-wrong-way-in-bone" and "wrist" in note for note in about.notes)


@pytest.mark.parametrize("digits", [2, 6])
def test_two_columns_that_sum_to_one_are_noted(tmp_path, workspace, digits):
    table = ranked().rename(columns={"p": "p_abnormal"}).assign(p_normal=lambda rows: 1 - rows["p_abnormal"])
    table = table.round(digits)
    about, _ = imported(tmp_path, table, Columns("y", "p_abnormal", image="i"))
    assert any(note.code == "scores-two-columns" and "p_normal" in note for note in about.notes)
    assert "score-name-normal" not in codes(about)
    about, _ = imported(tmp_path, table, Columns("y", "p_normal", image="i"))
    assert {"scores-two-columns", "score-name-normal", "scores-wrong-way"} <= codes(about)


def test_percentages_are_offered_and_rounding_is_clipped(tmp_path, workspace):
    table = ranked()
    percent = table.assign(p=(100 * table["p"]).round(2))
    with refused("rows-invalid", "--percent", "outside 0 to 1", "row 2"):
        imported(tmp_path, percent, PLAIN)
    _, frame = imported(tmp_path, percent, Columns("y", "p", image="i", percent=True))
    assert frame["probability"].tolist() == pytest.approx(table["p"].round(4).tolist(), abs=1e-12)
    table.loc[0, "p"], table.loc[1, "p"] = -4e-8, 1 + 9e-7
    about, frame = imported(tmp_path, table, PLAIN)
    assert frame["probability"].tolist()[:2] == [0, 1]
    assert any(note.code == "scores-clipped" and "2 " in note for note in about.notes)
    with refused("rows-invalid", "1 of 60 rows", "1.00001"):
        imported(tmp_path, table.assign(p=table["p"].clip(0, 1).where(table.index != 5, 1.00001)), PLAIN)


# ---- the same table in another form


def test_notes_state_the_delimiter_the_commas_and_the_words(tmp_path, workspace):
    text = "Image ;Y;P\na;positive;0,75\nb;negative;0,25\nc;NA;1\n"
    about, frame = imported(tmp_path, text.encode("utf-16"), Columns("y", "p", image="image"))
    assert codes(about) >= {"table-delimiter", "decimal-commas", "labels-from-words"}
    assert frame["probability"].tolist() == [0.75, 0.25, 1] and frame["label"].tolist()[:2] == [1, 0]
    assert frame["image_id"].tolist() == ["a", "b", "c"] and read_imported("other").columns["image"] == "Image"


@settings(settings.get_profile("some"), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["0", "1", ""]), st.floats(0, 1), st.sampled_from(["a", "b,c"])),
        min_size=2,
        max_size=9,
    ),
    st.randoms(),
    st.sampled_from(";\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "parquet"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from([("1", "0"), ("yes", "no"), ("True", "False")]),
)
def test_a_shuffled_reencoded_or_redelimited_table_gives_the_same_scores(
    tmp_path, workspace, rows, random, delimiter, encoding, end, comma, words
):
    table = pd.DataFrame(rows, columns=["y", "p", "who"]).assign(i=[f"r{n}" for n in range(len(rows))])
    columns = Columns("y", "p", image="i", patient="who")
    plain = imported(tmp_path, table, columns, options=JoinOptions(allow_lost_labels=True))[1]
    order, names = list(table.index), list(table.columns)
    random.shuffle(order)
    random.shuffle(names)
    other = table.loc[order, names].assign(y=table["y"].map({"1": words[0], "0": words[1], "": "N/A"}))
    if encoding == "parquet":
        file = tmp_path / "other.parquet"
        other.astype({"y": "category"}).set_index("i").to_parquet(file)
    else:
        file = tmp_path / "other.csv"
        text = other.to_csv(index=False, sep=delimiter, lineterminator=end, decimal="," if comma else ".")
        file.write_bytes(text.encode(encoding))
    found = imported_predictions(import_scores(file, "again", columns, options=JoinOptions(allow_lost_labels=True)))
    found = found.set_index("image_id").loc[plain["image_id"]].reset_index()
    for name in ("label", "patient_id", "study_id", "bone", "split", "logit", "probability"):
        pd.testing.assert_series_equal(found[name], plain[name], check_exact=True, check_dtype=False)
