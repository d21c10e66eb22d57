"""The Read a study page: the answer of the service on a page, bad files named, and nothing kept unasked."""

import pytest

from core.data.index import read_index
from core.models.checkpoint import read_checkpoint
from core.serving.decoding import Upload
from core.serving.reader import load
from core.workflows.keep_case import NAME
from tests.dashboard.conftest import open_page, words
from tests.reading import read_as
from tests.serving.conftest import png


def read(app, *files):
    uploader = app.file_uploader(key="read_files")
    for name, content in files:
        uploader.upload(name, content, "image/png")
    return app.run()


@pytest.fixture
def app(house):
    return open_page("read_study", data="demo", model="alpha")


def test_without_files_the_page_says_what_to_do(app):
    assert "Drop PNG, JPEG or DICOM files" in words(app)


def test_a_study_is_answered_as_the_service_answers_it(app, house):
    shown = words(read(app, ("1.png", png(1)), ("2.png", png(2))))
    folder = read_checkpoint(house.checkpoints / "alpha").folder
    answer = load(folder).read([Upload("1", png(1)), Upload("2", png(2))])
    assert f"{answer.score:.3f}" in shown and answer.why in shown and "No decision" in shown
    for view in answer.views:
        assert f"{view.score:.3f}" in shown


def test_a_file_that_is_not_used_is_named_and_escaped(app):
    shown = words(read(app, ("1.png", png()), ("<b>.png", b"text")))
    assert "Not used" in shown and "not recognised" in shown and "<b>.png" not in shown


def test_maps_come_with_their_verdict(app):
    read(app, ("1.png", png()))
    shown = words(app.toggle(key="read_maps").set_value(True).run())
    assert "Map:" in shown and ("do not trust" in shown or "holds up" in shown)


def test_nothing_is_kept_until_it_is_asked_for(app, house):
    read(app, ("1.png", png()))
    assert not (house.home / NAME).exists()
    assert app.button(key="read_keep").disabled
    app.selectbox(key="read_bone").select("wrist")
    read_as(app, "Ada")
    app.button(key="read_keep").click().run()
    assert "Kept as" in app.success[0].value and list(read_index(NAME)["bone"]) == ["wrist"]
