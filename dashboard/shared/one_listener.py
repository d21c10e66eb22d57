"""A script of the page that listens once, however often the page runs.

Streamlit calls a component's function at each run of the page and calls what it returned only when the component leaves
the page. A listener added by each call would hear each click as often as the page has run.
"""

# oneAtATime(name, start): starts the newest listener of a name after it has ended the one before. Returns its end.
ONE_AT_A_TIME = """
function oneAtATime(name, start) {
  const ends = (globalThis.overreadEnds ??= {});
  ends[name]?.();
  const stop = start();
  const end = () => { stop(); if (ends[name] === end) delete ends[name]; };
  return ends[name] = end;
}
"""
