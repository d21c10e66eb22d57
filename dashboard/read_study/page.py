"""The Read a study page: files in, scores and a decision out, as the service gives them. Nothing is kept unless the
visitor asks for it."""

import base64
import io

import streamlit as st
from PIL import Image

from core.errors import OverreadError
from core.plural import count_text
from core.schema import MURA_BONES
from core.serving.answers import StudyAnswer
from core.serving.decoding import DecodedView, Upload
from core.workflows.keep_case import keep_case
from dashboard.read_study import loader
from dashboard.shared import loaders, scoring, selection, widgets
from dashboard.shared.case.reader_name import draw_reader_field
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

ANY_BONE = "not named"


def draw_page() -> None:
    if not loaders.choosable():
        widgets.heading("Read a study", None)
        widgets.empty("There is no model yet", "Add data first; a network is then trained on the Runs page.")
        return
    view = selection.current()
    scoring.require_model(view)
    widgets.heading("Read a study", None, view.source.name, "nothing is kept unless you keep it as a case")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        files = st.file_uploader(
            "The radiographs of one study", ["png", "jpg", "jpeg", "dcm"], accept_multiple_files=True, key="read_files"
        )
        bone = st.selectbox("Bone", [ANY_BONE, *MURA_BONES], key="read_bone", width=160)
    if not files:
        widgets.empty(
            "No radiograph yet",
            "Drop PNG, JPEG or DICOM files above. All of them are read as one study of one patient.",
        )
        return
    uploads = [Upload(file.name, file.getvalue()) for file in files]
    chosen = "" if bone == ANY_BONE else bone
    reader = loader.reader_of(view.source)
    try:
        views = loader.decoded(reader, uploads, chosen)
        answer = loader.answered(reader, views)
    except OverreadError as error:
        widgets.empty("These files cannot be read as one study", str(error))
        return
    draw_answer(answer)
    maps = None
    if answer.usable and st.toggle("Show where the score comes from", key="read_maps"):
        with st.spinner("Making the maps and checking them"):
            maps = loader.mapped(reader, views, answer)
    draw_views(maps or answer, views)
    if answer.usable:
        draw_neighbours(view.source, reader, views, chosen)
        draw_keeping(uploads, views, chosen or next((view.bone for view in views if view.bone), ""))


def draw_answer(answer: StudyAnswer) -> None:
    """The decision in words, with the score and the operating point."""
    decision = {"abnormal": "Abnormal", "normal": "Normal", "refer": "Refer to a reader", None: "No decision"}
    point = answer.thresholds.to_dict()
    score = "none" if answer.score is None else f"{answer.score:.3f}"
    cells = [("Decision", decision[answer.decision], answer.why), ("Score of the study", score, "0 normal, 1 abnormal")]
    if point:
        cells.append(("Operating point", point["id"], f"{point['rule']}, threshold {point['threshold']:.3f}"))
    widgets.facts(*cells)
    if point:
        widgets.note(point["guarantee"])


def draw_views(answer: StudyAnswer, views: list[DecodedView]) -> None:
    """Each radiograph as the network sees it, with its score, or why it was not used."""
    cards = []
    for number, (shown, decoded) in enumerate(zip(answer.views, views), 1):
        if decoded.pixels is None:
            cards.append(widgets.card([], f"<div><b>Not used</b></div><small>{loader.safe(shown.why)}</small>"))
            continue
        words = f"<div><span>Radiograph {number}</span><b>{shown.score:.3f}</b></div>"
        words += f"<small>{loader.safe(shown.file)}</small>"
        pictures = [(_uri(decoded), f"Radiograph {number}")]
        if shown.saliency:
            verdict, why = shown.saliency["verdict"], shown.saliency["why"]
            words += f"<small>Map: {loader.safe(verdict)}, {loader.safe(why)}.</small>"
            if shown.saliency["verdict"] == "holds up":
                pictures.append((_overlaid(decoded, shown.saliency["png"]), f"Map over radiograph {number}"))
        cards.append(widgets.card(pictures, words))
    widgets.caption("Radiographs", count_text(len(views), "radiograph"))
    widgets.gallery(cards, card="18rem", tall="18rem")


def draw_neighbours(source, reader, views: list[DecodedView], bone: str) -> None:
    """The most similar studies that the network learned from."""
    found = loader.nearest(source, reader, views, bone)
    if found is None:
        widgets.note("Similar training studies appear here once they are computed on the Errors page.")
        return
    sentence, cards = found
    widgets.caption("Similar training studies", sentence)
    widgets.gallery(cards, card="8.5rem", tall="6.5rem")


def draw_keeping(uploads: list[Upload], views: list[DecodedView], bone: str) -> None:
    """The form that keeps the study as a case."""
    with st.expander("Keep as a case"):
        widgets.note("The radiographs are kept as PNG files without headers, unlabelled, in the data set kept-cases.")
        if not bone:
            widgets.note("Name the bone above first.")
        reader = draw_reader_field()
        note = st.text_input("Note", key="read_note")
        if st.button("Keep as a case", key="read_keep", **gate("data", not (reader and bone))):
            usable = [upload.data for upload, view in zip(uploads, views) if view.usable]
            dataset, study = keep_case(usable, bone, reader, note)
            st.success(f"Kept as {plain(study)} in {plain(dataset.name)}.")


def _uri(view: DecodedView) -> str:
    buffer = io.BytesIO()
    Image.fromarray(view.pixels).save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _overlaid(view: DecodedView, png: str) -> str:
    film = Image.fromarray(view.pixels).convert("RGBA")
    film.alpha_composite(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"))
    buffer = io.BytesIO()
    film.convert("RGB").save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


draw_page()
