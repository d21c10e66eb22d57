"""The login. Where secrets.toml configures `st.login`, every page needs it; then the requested page opens."""

import streamlit as st

from dashboard.shared import widgets

# The provider sends every visitor back to the first page, so the browser tab stores the requested page.
SCRIPT = """
export default function ({ data }) {
  const wanted = sessionStorage.getItem('overread.wanted');
  if (data.waits) {
    if (!wanted) sessionStorage.setItem('overread.wanted', location.pathname + location.search);
  } else if (wanted) {
    sessionStorage.removeItem('overread.wanted');
    if (wanted !== location.pathname + location.search) location.replace(wanted);
  }
}
"""


def passed() -> bool:
    """Return whether the page may be drawn; otherwise draw the login button. True where no login is configured."""
    # Without a configured provider the user has no such attribute.
    logged_in = getattr(st.user, "is_logged_in", None)
    if logged_in is None:
        return True
    remember = st.components.v2.component("overread.login", js=SCRIPT)
    with st.container(key="silent_login"):
        remember(key="wanted", height=0, data={"waits": not logged_in})
    if not logged_in:
        widgets.heading("Log in", None)
        widgets.empty("Verdicts are stored under your name", "Log in; then the page that you requested opens.")
        st.button("Log in", type="primary", key="log_in", on_click=st.login, icon=":material/login:")
    return bool(logged_in)
