// The keys of the viewer and of the verdicts. A key pressed in a field belongs to the field, and to nothing else.
const FIELD = 'input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]';
const STEP = 0.01;
const VERDICT = /^[1-9u]$/;
const OF_VIEWER = /^([a-z0-9?[\]{}+=,.-]|Arrow.*|Escape)$/i;
const REPLACING = 5000; // ms in which keys wait for a viewer that is being replaced

function listenToKeys({ find, look, holder, set, setWide, isWide, setBoxes, sendBoxes, visible, say, draw, put, parentElement, listen }) {
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
      if (Date.now() - since < 3000 || !isIdle() || globalThis.overreadOutbox.presses.length) return;
      clearInterval(timer);
      draw(look.data);
      delete document.body.dataset.waiting;
    }, 250);
  };
  // A press belongs to the case on screen. While the page still has the keys of another case, it waits.
  // Streamlit may leave the keys of an earlier case in the page, hidden.
  const verdicts = () => [...document.querySelectorAll('[class*="st-key-enter_"]')].filter((one) => getComputedStyle(one).display !== 'none');
  const ofThisCase = (element) => element.className.includes(`st-key-enter_${look.case}_`);
  const offers = (key) => Boolean(look.data.press?.keys.includes(key));
  // The first run of a visit may not know the name yet that this browser stores; its keys are off.
  const awaitsName = () => !offers('1') && hasStoredName();
  const ready = (key) => look.data.case === look.case
    && (key.startsWith('Arrow') || (verdicts().length > 0 && verdicts().every(ofThisCase) && !awaitsName()));
  const press = (key) => {
    if (!offers(key)) return;
    if (!key.startsWith('Arrow') && key !== 'u') sendBoxes(true);
    put(key);
    showNext(key);
  };
  const isIdle = () => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning';
  // A press waits 5 s of an idle page, and 30 s in all; a busy server takes longer than an idle one. A verdict key waits
  // for its case, an arrow for any case: two presses of an arrow are two steps.
  const wait = (key) => {
    const of = key.startsWith('Arrow') ? null : look.case;
    if (look.held.length > 5 || (of && look.held.some((one) => one.of === of))) return;
    look.held.push({ key, of, until: Date.now() + 30000, idle: 0 });
    look.waiting ??= setInterval(release, 20);
  };
  const release = () => {
    const first = look.held[0];
    if (!first || !parentElement.isConnected) {
      clearInterval(look.waiting);
      look.waiting = null;
      look.held = [];
      return;
    }
    first.idle += isIdle() ? 20 : 0;
    const left = first.of && look.case !== first.of, late = first.idle > 5000 || Date.now() > first.until;
    if (!left && !late && !ready(first.key)) return;
    look.held.shift();
    if (!left && !late) press(first.key);
    else if (left || verdicts().length) say('The key was not taken. Press it again.');
  };
  const take = (key) => {
    if (!look.held.length && ready(key)) press(key);
    else wait(key);
  };
  // Presses that waited in a viewer that is gone.
  if (look.held.length) look.waiting ??= setInterval(release, 20);
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
      say(look.boxing ? 'Drag a box around the finding, or press Enter to add one. Escape ends drawing.' : '');
    },
  };
  hearKeys((event) => {
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
    // A key that is held down counts once.
    if (VERDICT.test(key)) {
      if (!event.repeat) take(key);
      return stop(event);
    }
    if (/^Arrow(Left|Right)$/.test(key) && offers(key)) {
      if (!event.repeat) take(key);
      return stop(event);
    }
    return undefined;
  }, listen);
  window.addEventListener('click', (event) => {
    const button = event.target.closest?.('button:not(:disabled)');
    const key = button && keyOfButton(button, verdicts());
    if (!key || !offers(key)) return;
    // A click is sent like a key, so that it has an id and the case on screen.
    stop(event);
    const verdict = button.closest('[class*="st-key-enter_"]');
    if (!verdict || ofThisCase(verdict)) take(key);
  }, { ...listen, capture: true });
  // After a click nobody types in a field any more.
  window.addEventListener('pointerdown', () => { globalThis.overreadTyped = 0; }, { ...listen, capture: true });
  // A clicked switch keeps the focus, and would then get the keys instead of the case.
  document.addEventListener('pointerup', () => setTimeout(() => {
    const holds = document.activeElement;
    if (holds?.type === 'checkbox' || holds?.type === 'range') holds.blur();
  }, 60), listen);
}

// One listener for all viewers: where the page replaces one by another, a press reaches the newest, and only once.
function hearKeys(hear, { signal }) {
  if (!('overreadKeys' in globalThis)) {
    window.addEventListener('keydown', (event) => {
      if (globalThis.overreadKeys) return globalThis.overreadKeys(event);
      const typed = event.composedPath()[0].closest?.(FIELD) || event.ctrlKey || event.metaKey || event.altKey;
      if (typed) return undefined;
      const gap = globalThis.overreadGap, verdict = VERDICT.test(event.key.toLowerCase());
      // The page is replacing the viewer: the key waits for the new one, and counts if that shows the same case.
      const waits = gap && Date.now() < gap.until && OF_VIEWER.test(event.key) && document.querySelector('.st-key-case_films');
      if (waits && !event.repeat) gap.keys.push({ key: event.key, shiftKey: event.shiftKey });
      // Without a viewer no case is on screen, so a verdict key has no meaning.
      if (!waits && !(verdict && document.querySelector('[class*="st-key-enter_"]'))) return undefined;
      event.preventDefault();
      return event.stopImmediatePropagation();
    }, { capture: true });
  }
  globalThis.overreadKeys = hear;
  signal.addEventListener('abort', () => {
    if (globalThis.overreadKeys === hear) globalThis.overreadKeys = null;
  });
}

// The keys that were pressed while the page replaced the viewer.
function takeGap(name, say) {
  const gap = globalThis.overreadGap;
  globalThis.overreadGap = null;
  if (!gap?.keys.length) return;
  if (gap.case !== name) say('The case changed before the key was taken. Press it again.');
  else for (const one of gap.keys) document.body.dispatchEvent(new KeyboardEvent('keydown', { ...one, bubbles: true, cancelable: true }));
}

// The key that does the same as a button of the page; undefined for any other button.
function keyOfButton(button, verdicts) {
  const one = button.closest('[class*="st-key-enter_"]'), caseOf = (element) => element.className.match(/st-key-enter_[^_]*_/)?.[0];
  if (one) return String(1 + verdicts.filter((other) => caseOf(other) === caseOf(one)).indexOf(one));
  if (button.closest('.st-key-undo')) return 'u';
  if (button.closest('.st-key-previous, .st-key-walk_previous')) return 'ArrowLeft';
  if (button.closest('.st-key-next, .st-key-walk_next')) return 'ArrowRight';
  return undefined;
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
