"""A popover opened by a key gets the focus, and Tab leaves it to its button.

Streamlit draws its contents at the end of the page, where Tab would arrive only after everything else.
"""

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

_SCRIPT = (
    ONE_AT_A_TIME
    + """
const FOCUSABLE = 'input, textarea, select, button, a[href], [tabindex="0"]';
export default function () {
  let opener = null;
  const focusable = (body) => [...body.querySelectorAll(FOCUSABLE)].filter(
    (one) => !one.disabled && one.tabIndex >= 0 && one.getClientRects().length);
  const enter = () => {
    const until = Date.now() + 3000;
    const timer = setInterval(() => {
      const body = document.querySelector('[data-testid=stPopoverBody]');
      const [first] = body ? focusable(body) : [];
      if (first) first.focus();
      if (first || Date.now() > until) clearInterval(timer);
    }, 50);
  };
  const listen = (event) => {
    const button = event.target.closest?.('[data-testid=stPopoverButton]');
    if (button && (event.key === 'Enter' || event.key === ' ') && button.getAttribute('aria-expanded') !== 'true') {
      opener = button;
      enter();
    }
    const body = event.target.closest?.('[data-testid=stPopoverBody]');
    if (!body || event.key !== 'Tab' || !opener?.isConnected) return;
    const all = focusable(body), end = event.shiftKey ? all[0] : all[all.length - 1];
    if (event.target !== end) return;
    event.preventDefault();
    opener.focus();
  };
  return oneAtATime('popover focus', () => {
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  });
}
"""
)


def follow_keys() -> None:
    """Listen on this page. Draws nothing visible."""
    listen = st.components.v2.component("overread.popover_focus", js=_SCRIPT)
    with st.container(key="silent_popover"):
        listen(key="popover_focus", height=0)
