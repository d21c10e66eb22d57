"""The only router: the shared selectors, then the page that is asked for."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """One run of the app."""
    # `streamlit run dashboard/Home.py` puts only dashboard/ on the path.
    if str(HERE.parent) not in sys.path:
        sys.path.insert(0, str(HERE.parent))
    import streamlit as st

    from dashboard import loaders, selection, widgets
    from dashboard.parts import first_start, login

    st.set_page_config(page_title="Overread", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large")
    widgets.style()
    page = st.navigation(
        expanded=True,
        pages={
            "": [st.Page("app_pages/overview.py", title="Overview", icon=":material/home:", default=True)],
            "Data": [
                st.Page("app_pages/dataset.py", title="Dataset", icon=":material/bar_chart:"),
                st.Page("app_pages/audit.py", title="Audit", icon=":material/fact_check:"),
                st.Page("app_pages/augmentation.py", title="Augmentation", icon=":material/tune:"),
            ],
            "Model": [
                st.Page("app_pages/runs.py", title="Runs", icon=":material/show_chart:"),
                st.Page("app_pages/threshold.py", title="Threshold", icon=":material/linear_scale:"),
                st.Page("app_pages/bones.py", title="Bones", icon=":material/orthopedics:"),
                st.Page("app_pages/calibration.py", title="Calibration", icon=":material/balance:"),
                st.Page("app_pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
            ],
            "Reading": [
                st.Page("app_pages/errors.py", title="Errors", icon=":material/search:"),
                st.Page("app_pages/walkthroughs.py", title="Walkthroughs", icon=":material/groups:"),
                st.Page("app_pages/labels.py", title="Labels", icon=":material/rule:"),
                st.Page("app_pages/agreement.py", title="Agreement", icon=":material/balance:"),
                st.Page("app_pages/saliency.py", title="Saliency", icon=":material/local_fire_department:"),
            ],
        },
    )
    if not login.passed():
        return
    with widgets.guarded():
        if not loaders.choosable():
            first_start.make_demo()
        with loaders.one_look():
            with st.sidebar:
                selection.draw(page)
            if why := selection.unavailable(page.title):
                widgets.heading(page.title, None)
                widgets.empty("Not for these scores", why)
            else:
                page.run()


# Drawing phantoms starts processes, and each of them imports this file under another name: they must not run the app.
if __name__ == "__main__":
    main()
