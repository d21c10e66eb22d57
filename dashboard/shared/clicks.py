"""Clicks on the cards of a gallery, without a reload of the page.

A card is a plain link, so it works without this script and can be opened in a new tab. The script catches left clicks
and sends the card's study. No text of a data set goes into the script.
"""

from collections.abc import Callable

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

_SCRIPT = (
    ONE_AT_A_TIME
    + """
export default function ({ setTriggerValue }) {
  const take = (event) => {
    const card = event.target.closest('a[data-study]');
    if (!card || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    setTriggerValue('study', card.dataset.study);
  };
  return oneAtATime('clicks', () => {
    document.addEventListener('click', take);
    return () => document.removeEventListener('click', take);
  });
}
"""
)


def on_card(opened: Callable[[str], None], key: str = "card_clicks") -> None:
    """Call `opened(study_id)` when a card is clicked, before the next run."""
    listen = st.components.v2.component("overread.clicks", js=_SCRIPT)
    listen(key=key, height=0, on_study_change=lambda: _sent(opened, key))


def _sent(opened: Callable[[str], None], key: str) -> None:
    study = st.session_state[key].get("study")
    if study:
        opened(study)
