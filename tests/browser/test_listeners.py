"""Scripts of a page listen once, however often the page runs, and hear keys where Streamlit leaves something behind."""

from core.data.index import read_dataset
from core.models.checkpoint import list_checkpoints
from core.review.database import open_store
from core.review.walkthroughs import ReadingPlan
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough
from tests.browser.reading import open_card, stored_verdicts, wait_for_another
from tests.browser.server import settle
from tests.browser.waiting import wait_equal, wait_until

# Counts the listeners on the document and the timers of the scripts that this program adds to a page.
COUNT = """(() => {
  const mine = { card: /data-study/, enter: /isComposing/, popover: /stPopoverBody/ };
  const nameOf = (heard) => Object.keys(mine).find((name) => mine[name].test(String(heard)));
  const live = new Set(), timers = new Set();
  const { addEventListener: add, removeEventListener: remove } = document;
  document.addEventListener = function (kind, heard, ...rest) {
    live.add(heard);
    return add.call(this, kind, heard, ...rest);
  };
  document.removeEventListener = function (kind, heard, ...rest) {
    live.delete(heard);
    return remove.call(this, kind, heard, ...rest);
  };
  const set = setInterval, clear = clearInterval;
  globalThis.setInterval = (call, ...rest) => {
    const timer = set(call, ...rest);
    if (/testConnectionState/.test(String(call))) timers.add(timer);
    return timer;
  };
  globalThis.clearInterval = (timer) => { timers.delete(timer); clear(timer); };
  globalThis.overreadCounted = () => {
    const found = { card: 0, enter: 0, popover: 0, connection: timers.size };
    for (const heard of live) if (nameOf(heard)) found[nameOf(heard)] += 1;
    return found;
  };
})()"""
ONCE = {"card": 1, "enter": 1, "popover": 1, "connection": 1}


def test_scripts_listen_once_however_often_the_page_runs(new_page, address):
    page = new_page(1440, 900, locale="en-GB")
    page.add_init_script(COUNT)
    page.goto(f"{address}/errors")
    settle(page)
    for outcome in ("False alarm", "Missed"):
        page.get_by_role("radio", name=outcome, exact=True).click()
        settle(page)
    for place in range(2):
        open_card(page, place)
        page.get_by_role("button", name="Back to the list").click()
        page.wait_for_selector(".gallery a.card")
        settle(page)
    assert page.evaluate("() => overreadCounted()") == ONCE
    # On a page without a gallery no click is taken for that of a card.
    page.get_by_role("link", name="Calibration").click()
    settle(page)
    wait_equal(page, lambda: page.evaluate("() => overreadCounted()"), {**ONCE, "card": 0})


def test_hidden_keys_of_an_earlier_case_do_not_hold_up_those_of_the_open_one(open_as, home):
    page = open_as("/errors", "Ida")
    case = open_card(page)
    # Twelve browsers on two cores brought Streamlit to leave the buttons of an earlier case in the page like this.
    page.evaluate(
        """() => document.querySelector('.st-key-verdict_keys').insertAdjacentHTML('beforeend',
            '<div class="st-key-enter_case-0_abnormal" style="display: none"><button>Abnormal</button></div>')"""
    )
    page.keyboard.press("1")
    wait_for_another(page, case)
    wait_equal(page, lambda: len(stored_verdicts(home, reviewer="Ida")), 1)


SHOWN = """() => [document.querySelector('[data-drawn]')?.dataset.drawn,
    document.querySelector('[data-expected]')?.dataset.expected]"""


def test_a_page_that_missed_a_run_of_the_server_runs_again(open_as, home, monkeypatch):
    """A connection that is lost for a moment can swallow a run; the part that asks each second finds it out."""
    monkeypatch.setenv("OVERREAD_HOME", str(home))
    view = View(source_of(list_checkpoints()[0][0], read_dataset("demo")), "valid", threshold=1.0)
    store, plan = open_store(f"sqlite:///{home}/review.sqlite"), ReadingPlan(blind=False, alone_first=False)
    make_walkthrough(store, view, "Swallowed", "Ana", candidates_of(view, "missed"), Draw(2), plan)
    page = open_as("/walkthroughs?walk=Swallowed", "Ida")
    page.wait_for_selector(".viewer .films img")
    wait_until(page, lambda: len({None, *page.evaluate(SHOWN)}) == 2)
    before = page.evaluate(SHOWN)[0]
    page.evaluate("() => { document.querySelector('[data-drawn]').dataset.drawn = 'an earlier run'; }")
    wait_until(page, lambda: len({None, before, *page.evaluate(SHOWN)}) == 3 and len(set(page.evaluate(SHOWN))) == 1)


def test_a_page_that_was_emptied_is_loaded_again_at_its_case(open_as):
    """Twelve browsers on two cores brought Streamlit to empty a page: "Cannot set a node at a delta path"."""
    page = open_as("/errors", "Ida")
    open_card(page)
    shown = page.evaluate("location.search")
    page.evaluate("() => { globalThis.before = true; document.getElementById('root').replaceChildren(); }")
    page.wait_for_function("() => !globalThis.before")
    page.wait_for_selector(".viewer .films img")
    settle(page)
    assert "study=" in shown and page.evaluate("location.search") == shown
