"""The only router: the shared selectors, then the page of the address."""

import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """One run of the app."""
    # `streamlit run dashboard/Home.py` puts only dashboard/ on the import path.
    if str(HERE.parent) not in sys.path:
        sys.path.insert(0, str(HERE.parent))
    import streamlit as st

    from dashboard.page_list import PAGES, page_named
    from dashboard.shared import (
        address,
        colour_scheme,
        exposure,
        first_start,
        leave_field,
        loaders,
        login,
        pending,
        popover_focus,
        reconnect,
        roles,
        selection,
        visitor,
        widgets,
    )
    from dashboard.shared.case import reader_name

    st.set_page_config(page_title="Overread", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large")
    widgets.style()
    sections: dict[str, list] = {}
    for record in PAGES:
        first = record is PAGES[0]
        drawn = st.Page(
            # The first page is at the root of the address; its own name leads there.
            record.path,
            title=record.title,
            icon=record.icon,
            url_path="first" if first else record.name,
            default=first,
        )
        sections.setdefault(record.section, []).append(drawn)
    top = sections[PAGES[0].section][0]

    def open_first() -> None:
        st.switch_page(top, query_params={name: st.query_params.get_all(name) for name in st.query_params})

    sections[PAGES[0].section].append(
        st.Page(open_first, title=PAGES[0].title, url_path=PAGES[0].name, visibility="hidden")
    )
    page = st.navigation(sections, expanded=True)
    roles.install()
    if not login.passed():
        return
    address.begin(page)
    if page.url_path == PAGES[0].name:
        page.run()
    address.check_path([record.name for record in PAGES])
    pending.reapply()
    reconnect.run_again_after_loss()
    popover_focus.follow_keys()
    reader_name.recall_reader()
    with widgets.guarded():
        wanted = page_named(page.title)
        if wanted.needs_data and not loaders.choosable():
            first_start.make_demo()
        with loaders.one_look():
            view = selection.draw(page) if loaders.choosable() else selection.begin_without_data()
            address.draw_notes()
            if page is top:
                exposure.draw_warning()
            if view and (why := selection.unavailable(wanted, view)):
                widgets.heading(page.title, None)
                widgets.empty("Not for these scores", why)
            else:
                page.run()
    visitor.remember_browser()
    leave_field.on_enter()
    colour_scheme.for_overlays()
    reconnect.mark_end()


# Making phantoms starts processes that import this file under another name; they must not run the app.
if __name__ == "__main__":
    main()
elif __name__ == "Home":
    # `streamlit run` imports this file under its own name to serve it, and runs it as a script for each page.
    import streamlit as st

    sys.path.insert(0, str(HERE.parent))
    from core.paths import home
    from core.temporaries import keep_private, remove_stale
    from dashboard import own_address
    from dashboard.policy import MIDDLEWARE
    from dashboard.shared import exposure
    from dashboard.shared.upload.routes import removing_abandoned, upload_routes

    keep_private()
    own_address.ask_no_other_host()
    own_address.print_addresses()
    threading.Thread(target=remove_stale, args=(home(),), daemon=True).start()  # left by killed processes
    if warning := exposure.warning():
        print(f"Warning: {warning}", file=sys.stderr, flush=True)
    app = st.App(HERE / "Home.py", routes=upload_routes(), middleware=MIDDLEWARE, lifespan=removing_abandoned)
