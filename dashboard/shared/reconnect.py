"""A page runs again after its connection was lost, so that server and browser agree on what is on screen.

Streamlit does that only for some pages. On the others the session of a server that has restarted would be empty, and a
click within a fragment would ask for a part of the page that the new server has never drawn. A connection that is lost
for a moment can also swallow a whole run of the page; parts that ask the server each second find that out. A page that
Streamlit has emptied is loaded again.
"""

from uuid import uuid4

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

_RUN = "page_run"  # where the session keeps the word of the last run of the whole page
# Each run of the page brings a new word; until it has come after a loss, the browser asks for a run. The same where the
# word at the end of the page is not the one that the server had begun with last, at most twice for a word.
_SCRIPT = (
    ONE_AT_A_TIME
    + """
const AGAIN = 2500, TIMES = 2, RELOADED = 'overread.reloaded', PAUSE = 10000;
// Streamlit leaves an empty page behind where a part arrives before the place it belongs to ("Cannot set a node at
// a delta path"). This timer is outside of the page's parts, so it outlives them; the address has all that was chosen.
globalThis.overreadAlive ??= setInterval(() => {
  if (document.getElementById('root')?.childElementCount !== 0) return;
  if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < PAUSE) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}, 500);
export default function ({ data, setTriggerValue }) {
  const kept = (globalThis.overreadConnection ??= { run: '', lost: false, asked: 0 });
  kept.missed ??= { word: '', since: 0, times: 0 };
  if (kept.run !== data.run) Object.assign(kept, { run: data.run, lost: false });
  const look = () => {
    const { testConnectionState: connection, testScriptState: script } =
      document.querySelector('[data-testid=stApp]')?.dataset ?? {};
    if (connection !== 'CONNECTED') {
      kept.lost = true;
      kept.asked = 0;
    } else if (kept.lost && script === 'notRunning' && Date.now() - kept.asked > AGAIN) {
      kept.asked = Date.now();
      setTriggerValue('again', data.run);
    }
    const wanted = document.querySelector('[data-expected]')?.dataset.expected ?? '';
    const drawn = document.querySelector('[data-drawn]')?.dataset.drawn ?? '';
    if (wanted !== kept.missed.word) kept.missed = { word: wanted, since: Date.now(), times: 0 };
    if (!wanted || wanted === drawn || script !== 'notRunning' || connection !== 'CONNECTED') {
      kept.missed.since = Date.now();
    } else if (Date.now() - kept.missed.since > AGAIN && kept.missed.times < TIMES) {
      kept.missed.since = Date.now();
      kept.missed.times += 1;
      setTriggerValue('again', wanted);
    }
  };
  return oneAtATime('reconnect', () => {
    const timer = setInterval(look, 250);
    return () => clearInterval(timer);
  });
}
"""
)


def run_again_after_loss() -> None:
    """Watch the connection of this page. Draws nothing visible; call it outside of every fragment."""
    watch = st.components.v2.component("overread.reconnect", js=_SCRIPT)
    run = st.session_state[_RUN] = uuid4().hex
    with st.container(key="silent_reconnect"):
        watch(key="reconnect", height=0, data={"run": run}, on_again_change=lambda: None)


def mark_end() -> None:
    """Mark the end of the page in the browser: all of this run has arrived. Draws nothing visible."""
    with st.container(key="silent_drawn"):
        st.html(f'<i data-drawn="{st.session_state.get(_RUN, "")}"></i>')


def expected() -> str:
    """An attribute for HTML of a part that asks the server again and again: the run that the browser should show."""
    return f'data-expected="{st.session_state.get(_RUN, "")}"'
