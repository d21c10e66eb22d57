"""A page runs again after its connection was lost, so that a server that has restarted knows what is on screen.

Streamlit does that only for some pages. On the others the new session would be empty, and a click within a fragment
would ask for a part of the page that the new server has never drawn.
"""

from uuid import uuid4

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

# Each run of the page brings a new word; until it has come after a loss, the browser asks for a run.
_SCRIPT = (
    ONE_AT_A_TIME
    + """
const AGAIN = 2500;
export default function ({ data, setTriggerValue }) {
  const kept = (globalThis.overreadConnection ??= { run: '', lost: false, asked: 0 });
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
    with st.container(key="silent_reconnect"):
        watch(key="reconnect", height=0, data={"run": uuid4().hex}, on_again_change=lambda: None)
