"""The help of each page: what it answers, how to read it, and a link into the manual."""

from functools import cache
from pathlib import Path

import streamlit as st

from dashboard.page_list import PAGES

DASHBOARD = Path(__file__).resolve().parents[1]


def draw_help(title: str) -> None:
    """Draw the help button of the page with this title; nothing where the title is not that of a page."""
    page = next((page for page in PAGES if page.title == title), None)
    if page is None:
        return
    with st.popover("Help", icon=":material/help:", type="tertiary", key="help"):
        st.markdown(help_text(page.name))


@cache
def help_text(name: str) -> str:
    """The help of a page, as Markdown."""
    return (DASHBOARD / name / "help.md").read_text(encoding="utf-8")
