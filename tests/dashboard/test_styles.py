"""Style sheets arrive in the browser."""

from tests.conftest import REPOSITORY


def test_no_style_sheet_contains_a_sign_for_which_streamlit_drops_all_of_it():
    sheets = list((REPOSITORY / "dashboard").rglob("*.css"))
    assert len(sheets) > 3
    assert [sheet.name for sheet in sheets if "<" in sheet.read_text()] == []
