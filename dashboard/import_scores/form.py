"""The form of an import: the columns of the table, guessed and changed by hand, and how they are read."""

import hashlib
import re
from dataclasses import astuple, dataclass
from pathlib import Path

import streamlit as st

from core.data.index import list_datasets
from core.data.joins import DIFFERENCES
from core.data.label_levels import LabelRule
from core.plural import count_text
from core.scores.import_frame import NAMED, Columns
from core.scores.import_guess import BY_NAME, Guess
from core.scores.import_join import JoinOptions
from core.scores.imports import list_imported
from dashboard.import_scores import loader
from dashboard.import_scores.words import FIELDS, LEVELS, RULES, SCALES
from dashboard.shared import widgets
from dashboard.shared.cache import FileStamp

NONE = "(none)"
SHOWN = 3  # rows of the table
WIDE = 180


@dataclass(frozen=True)
class ImportRequest:
    """The arguments of `core.workflows.import_scores`, as chosen on the page."""

    file: FileStamp
    name: str
    columns: Columns
    scale: str
    data: str
    labels: LabelRule
    options: JoinOptions


def draw_form(file: FileStamp) -> ImportRequest | None:
    """Draw the table's first rows and the choices. Returns None until a score and a name are chosen."""
    table = loader.table_of(file)
    widgets.caption(
        Path(file.path).name, f"{count_text(len(table.frame), 'row')}, {count_text(table.frame.shape[1], 'column')}"
    )
    widgets.draw_table(table.frame.head(SHOWN).astype("str"), key="scores_head")
    guesses = loader.column_guesses(file)
    named = _draw_columns(file, list(map(str, table.frame.columns)), {guess.option: guess.value for guess in guesses})
    score = named["score"]
    if not score:
        widgets.note("Choose the column of scores.")
        return None
    guesses = [*guesses, *loader.scale_guesses(file, score)]
    data = _draw_dataset(file, named, guesses)
    scale, invert, percent = _draw_scale(file, score, {guess.option: guess.value for guess in guesses})
    widgets.note(guess_sentence(guesses))
    labels, options = _draw_more(file)
    name = st.text_input(
        FIELDS["name"],
        free_name(Path(file.path).name),
        key=_key(file, "name"),
        max_chars=100,
        width=2 * WIDE,
        help="The scores appear under this name beside the models.",
    ).strip()
    if not name:
        return None
    columns = Columns(**named, invert=invert, percent=percent)
    return ImportRequest(file, name, columns, scale, data, labels, options)


def free_name(file: str) -> str:
    """A name from that of a file, which no imported scores have: `Run 3.csv` gives `run-3`, then `run-3-2`."""
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq|gz|bz2|xz|zip))+$", "", file, flags=re.IGNORECASE)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._").lower()[:60] or "scores"
    taken = {found.name for found in list_imported()}
    numbers = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return stem if stem not in taken else next(name for name in numbers if name not in taken)


def _draw_columns(file: FileStamp, columns: list[str], guessed: dict[str, str]) -> dict[str, str]:
    """One selector for each of NAMED; '' where no column is chosen."""
    chosen = {}
    with st.container(horizontal=True):
        for option in ("score", "label", *[name for name in NAMED if name not in ("score", "label")]):
            options = columns if option == "score" else [NONE, *columns]
            first = guessed.get(option)
            index = options.index(first) if first in options else None if option == "score" else 0
            found = st.selectbox(
                FIELDS[option],
                options,
                index=index,
                key=_key(file, option),
                placeholder="Choose a column",
                width=WIDE,
                help=HELP[option],
            )
            chosen[option] = "" if found in (None, NONE) else found
    return chosen


def _draw_dataset(file: FileStamp, named: dict[str, str], guesses: list[Guess]) -> str:
    """The data set that the rows are matched to, or ''. The guess is added to `guesses`."""
    guess = loader.dataset_guess(file, named["image"], named["study"])
    guesses += [guess] if guess else []
    options = [NONE, *[dataset.name for dataset in list_datasets()]]
    found = st.selectbox(
        FIELDS["data"],
        options,
        index=options.index(guess.value) if guess else 0,
        key=_key(file, f"data_{named['image']}_{named['study']}"),
        width=WIDE,
        help="Rows are matched to its radiographs by their ids, so that pages can show the images. Bones, "
        "patients, splits and labels that the table lacks come from the data set.",
    )
    return "" if found == NONE else found


def _draw_scale(file: FileStamp, score: str, guessed: dict[str, str]) -> tuple[str, bool, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = st.segmented_control(
            "Scores are",
            list(SCALES),
            default=guessed.get("scale", "probability"),
            required=True,
            format_func=SCALES.get,
            key=_key(file, f"scale_{score}"),
            help="A probability is from 0 to 1. A logit is the log-odds before the sigmoid. With 'Order only' the "
            "scores become ranks, and calibration has no meaning.",
        )
        invert = st.checkbox(FIELDS["invert"], key=_key(file, f"invert_{score}"), help="High scores mean normal.")
        percent = st.checkbox(
            FIELDS["percent"],
            "percent" in guessed,
            key=_key(file, f"percent_{score}"),
            help="The scores are from 0 to 100.",
        )
    return scale, invert, percent


def _draw_more(file: FileStamp) -> tuple[LabelRule, JoinOptions]:
    """Choices that most tables do not need, folded away."""
    with st.expander("Level of the labels, and ids that differ"), st.container(horizontal=True):
        level = st.selectbox(
            FIELDS["label-level"],
            list(LEVELS),
            format_func=LEVELS.get,
            key=_key(file, "level"),
            width=WIDE,
            help="Whether each radiograph has a label of its own, or the label belongs to its study.",
        )
        rule = st.selectbox(
            FIELDS["study-rule"], list(RULES), format_func=RULES.get, key=_key(file, "rule"), width=WIDE
        )
        ignoring = st.multiselect(
            FIELDS["match-ignoring"],
            list(DIFFERENCES),
            format_func=lambda name: DIFFERENCES[name][0].capitalize(),
            key=_key(file, "ignoring"),
            width=WIDE,
            help="Ids match even if they differ in the chosen way.",
        )
        unmatched = st.checkbox(FIELDS["allow-unmatched"], key=_key(file, "unmatched"))
        lost = st.checkbox(FIELDS["allow-lost-labels"], key=_key(file, "lost"))
    return LabelRule(level, rule), JoinOptions(tuple(ignoring), unmatched, lost)


def guess_sentence(guesses: list[Guess]) -> str:
    """All guesses in one sentence, those by a column's name first."""
    if not guesses:
        return "Nothing could be guessed; choose the columns."
    values = {"scale": SCALES, "percent": {"percentages": "yes"}}
    parts = {
        guess: f"{FIELDS.get(guess.option, 'Scores are')}: {values.get(guess.option, {}).get(guess.value, guess.value)}"
        for guess in guesses
    }
    named = [text for guess, text in parts.items() if guess.reason == BY_NAME]
    others = [f"{text}, since {guess.reason}" for guess, text in parts.items() if guess.reason != BY_NAME]
    by_name = [f"{', '.join(named)} ({BY_NAME})"] if named else []
    return f"Guessed, please check: {'; '.join([*by_name, *others])}."


def _key(file: FileStamp, name: str) -> str:
    """A widget's key, which changes with the file so that each file gets its own guesses."""
    stamp = hashlib.sha1(repr(astuple(file)).encode()).hexdigest()[:10]
    return f"scores_{name}_{stamp}"


HELP = {
    "score": "The score of your model, higher for abnormal.",
    "label": "1 abnormal, 0 normal, empty unknown, or words such as positive and negative. Not needed with a data set.",
    "image": "The id or the path of each radiograph. Without it each row is a study.",
    "study": "The study of each radiograph. Without it each radiograph is a study of its own.",
    "patient": "Intervals count patients where they are named.",
    "bone": "The body part, such as wrist.",
    "split": "train, tune, valid or test. Without it all rows are valid.",
}
