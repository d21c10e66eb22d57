"""The only router: the shared selectors, then the page of the address."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """One run of the app."""
    # `streamlit run dashboard/Home.py` puts only dashboard/ on the import path.
    if str(HERE.parent) not in sys.path:
        sys.path.insert(0, str(HERE.parent))
    import streamlit as st

    from dashboard.page_list import PAGES, page_named
    from dashboard.shared import first_start, loaders, login, selection, widgets

    st.set_page_config(page_title="Overread", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large")
    widgets.style()
    sections: dict[str, list] = {}
    for record in PAGES:
        drawn = st.Page(
            record.path, title=record.title, icon=record.icon, url_path=record.name, default=record is PAGES[0]
        )
        sections.setdefault(record.section, []).append(drawn)
    page = st.navigation(sections, expanded=True)
    if not login.passed():
        return
    with widgets.guarded():
        if not loaders.choosable():
            first_start.make_demo()
        with loaders.one_look():
            with st.sidebar:
                view = selection.draw(page)
            if why := selection.unavailable(page_named(page.title), view):
                widgets.heading(page.title, None)
                widgets.empty("Not for these scores", why)
            else:
                page.run()


# Making phantoms starts processes that import this file under another name; they must not run the app.
if __name__ == "__main__":
    main()
