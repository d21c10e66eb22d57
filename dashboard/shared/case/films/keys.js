// The keys of the viewer and of the verdicts. A key pressed in a field belongs to the field, and to nothing else.
const FIELD = 'input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]';
const STEP = 0.01;

function listenToKeys({ find, look, holder, set, setWide, isWide, setBoxes, sendBoxes, visible, say, draw, parentElement, listen }) {
  // The films of the next case are loaded already: show them at once, before the page answers.
  const showNext = (key) => {
    const next = globalThis.overreadAhead;
    if (!next || next.after !== look.case || !next.keys.includes(key)) return;
    const from = look.turn, since = Date.now();
    document.body.dataset.waiting = 'true';
    draw(next);
    const timer = setInterval(() => {
      if (look.turn !== from || !parentElement.isConnected) return clearInterval(timer);
      // The page did not get the key press: show the page's case again.
      if (Date.now() - since < 3000 || !isIdle()) return;
      clearInterval(timer);
      draw(look.data);
      delete document.body.dataset.waiting;
    }, 250);
  };
  // A verdict belongs to the case on screen. While the page still has the keys of another case, a press waits.
  const verdicts = () => [...document.querySelectorAll('[class*="st-key-enter_"]')];
  const ofThisCase = (element) => element.className.includes(`st-key-enter_${look.case}_`);
  // The first run of a visit may not know the name yet that this browser stores; its keys are off.
  const awaitsName = () => verdicts().some((element) => element.querySelector('button:disabled')) && hasStoredName();
  const ready = () => verdicts().length > 0 && verdicts().every(ofThisCase) && !awaitsName();
  // One button is clicked: while the page replaces its buttons, those of the case before may still listen to the key.
  const press = (key) => (key === 'u' ? document.querySelector('.st-key-undo') : verdicts()[key - 1])?.querySelector('button:not(:disabled)')?.click();
  const isIdle = () => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning';
  // A press waits 5 s of an idle page, and 30 s in all; a busy server takes longer than an idle one.
  const wait = (key) => {
    if (look.waiting) return;
    const of = look.case, until = Date.now() + 30000;
    let idle = 0;
    look.waiting = setInterval(() => {
      idle += isIdle() ? 20 : 0;
      const left = !parentElement.isConnected || look.case !== of, late = idle > 5000 || Date.now() > until;
      if (!left && !late && !ready()) return;
      clearInterval(look.waiting);
      look.waiting = null;
      if (left) return;
      if (!late) press(key);
      else if (verdicts().length) say('The key was not taken. Press it again.');
    }, 20);
  };
  const stop = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  const step = (by) => {
    const many = look.films.length;
    set({ count: look.count || 1, first: clamp(look.first + (look.count ? by : 0), 0, many - 1) });
  };
  const newBox = () => {
    const place = visible()[0], [left, top, right, bottom] = region(look.films[place], look.whole);
    const wide = (0.1 * (right - left)) / (look.zoom / 100), tall = (0.1 * (bottom - top)) / (look.zoom / 100);
    const [x, y] = [left + look.x * (right - left), top + look.y * (bottom - top)];
    setBoxes([...look.boxes, { film: place, box: rounded([x - wide, y - tall, x + wide, y + tall]) }], look.boxes.length);
    sendBoxes();
    focusBox();
  };
  const focusBox = () => holder.querySelector(`.own[data-box="${look.selected}"]`)?.focus();
  // Keys while boxes are drawn. Returns whether the key was one of them.
  const boxKey = (event, key) => {
    const one = look.boxes[look.selected];
    if (key === 'Escape') set({ boxing: false, selected: -1 });
    else if (key === 'Enter') newBox();
    else if (one && (key === 'Delete' || key === 'Backspace')) {
      setBoxes(look.boxes.filter((_, at) => at !== look.selected), -1);
      sendBoxes();
    } else if (one && key.startsWith('Arrow')) {
      const [dx, dy] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[key];
      const box = event.shiftKey ? dragged('se', one.box, [0, 0], [dx, dy]) : moved(one.box, dx, dy);
      if (!largeEnough(box)) return true;
      setBoxes(look.boxes.map((other, at) => (at === look.selected ? { ...other, box } : other)), look.selected);
      clearTimeout(look.later);
      look.later = setTimeout(sendBoxes, 400);
    } else return false;
    return true;
  };

  const acts = {
    i: () => set({ inverted: !look.inverted }),
    '+': () => set({ zoom: look.zoom * 1.25 }),
    '=': () => set({ zoom: look.zoom * 1.25 }),
    '-': () => set({ zoom: look.zoom / 1.25 }),
    0: () => set({ ...PLAIN }),
    p: () => setWide(!isWide()),
    a: () => set(nextCount(look)),
    f: () => set({ fill: !look.fill }),
    w: () => set({ whole: !look.whole }),
    ',': () => step(-1),
    '.': () => step(1),
    '[': () => set({ window: look.window - 5 }),
    ']': () => set({ window: look.window + 5 }),
    '{': () => set({ level: look.level - 5 }),
    '}': () => set({ level: look.level + 5 }),
    '?': () => showKeys(find),
    b: () => {
      set({ boxing: !look.boxing, selected: look.boxes.length - 1 });
      if (look.boxing) focusBox();
      say(look.boxing ? 'Drag a box around the finding, or press Enter for one. Escape ends it.' : '');
    },
  };
  window.addEventListener('keydown', (event) => {
    const target = event.composedPath()[0];
    if (target.closest?.(FIELD)) return leaveField(event, target);
    if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
    // The case was changed under someone who types: the field is gone, and the rest of the word is no verdict.
    if (event.key.length === 1 && Date.now() - (globalThis.overreadTyped ?? 0) < 1000) {
      globalThis.overreadTyped = Date.now();
      return stop(event);
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const onButton = (key === 'Enter' || key === ' ') && target.closest?.('button, a, summary, [role=tab]');
    if (onButton || (target.type === 'range' && key.startsWith('Arrow'))) return undefined;
    if (look.boxing && boxKey(event, key)) return stop(event);
    if (key === 'Escape' && isWide()) {
      setWide(false);
      return stop(event);
    }
    if (event.shiftKey && key.startsWith('Arrow')) {
      const by = 0.1 / (look.zoom / 100);
      set({ x: look.x + by * ((key === 'ArrowRight') - (key === 'ArrowLeft')), y: look.y + by * ((key === 'ArrowDown') - (key === 'ArrowUp')) });
      return stop(event);
    }
    acts[key]?.();
    const isVerdict = /^[1-9u]$/.test(key);
    // A key that is held down counts once.
    if (isVerdict && event.repeat) return stop(event);
    if (isVerdict) {
      if (ready()) press(key);
      else wait(key);
      return stop(event);
    }
    showNext(key);
    return undefined;
  }, { ...listen, capture: true });
  window.addEventListener('click', (event) => {
    const verdict = event.target.closest?.('[class*="st-key-enter_"]');
    if (!verdict || !event.target.closest('button:not(:disabled)')) return;
    if (!ready()) return stop(event);
    sendBoxes(true);
    showNext(String(1 + verdicts().indexOf(verdict)));
  }, { ...listen, capture: true });
  // Who has clicked no longer types.
  window.addEventListener('pointerdown', () => { globalThis.overreadTyped = 0; }, { ...listen, capture: true });
  // A clicked switch keeps the focus, and would then get the keys instead of the case.
  document.addEventListener('pointerup', () => setTimeout(() => {
    const holds = document.activeElement;
    if (holds?.type === 'checkbox' || holds?.type === 'range') holds.blur();
  }, 60), listen);
}

function hasStoredName() {
  try {
    return Boolean(localStorage.getItem('overread.reviewer'));
  } catch (error) {
    return false;
  }
}

// Enter stores what a field of one line has and leaves it, Escape leaves any field: the next key is the case's again.
function leaveField(event, target) {
  const goesOn = event.key.length === 1 || event.key === 'Backspace' || (event.key === 'Enter' && target.matches?.('textarea'));
  globalThis.overreadTyped = goesOn ? Date.now() : 0;
  const oneLine = target.matches?.('input') && target.getAttribute('role') !== 'combobox';
  if (event.key === 'Escape') {
    target.blur();
    event.stopImmediatePropagation();
  } else if (event.key === 'Enter' && oneLine) setTimeout(() => target.blur());
}
