const states = new WeakMap();

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function figure(film) {
  const out = make('figure', undefined, film.highest ? 'highest' : '');
  const frame = make('div', undefined, 'film');
  if (film.src) {
    // ahead.js has decoded it if this was the next case.
    const image = film.image ?? make('img');
    if (!film.image) image.src = film.src;
    image.alt = film.alt;
    image.draggable = false;
    frame.append(image);
    if (film.over) {
      const map = make('img', undefined, 'over');
      map.src = film.over;
      map.alt = '';
      map.draggable = false;
      frame.append(map);
    }
  } else frame.append(make('p', film.note));
  const caption = make('figcaption');
  const head = make('div', undefined, 'head');
  head.append(make('b', film.title));
  if (film.score !== null) {
    const bar = make('span', undefined, 'bar');
    bar.setAttribute('role', 'img');
    bar.setAttribute('aria-label', `score ${film.score.toFixed(3)}, threshold ${film.threshold.toFixed(3)}`);
    const filled = make('i'), tick = make('u');
    filled.style.width = `${100 * film.score}%`;
    tick.style.left = `${100 * film.threshold}%`;
    bar.append(filled, tick);
    head.append(bar, make('span', film.score.toFixed(3)));
  }
  caption.append(head);
  if (film.highest) caption.append(make('small', 'Highest score of the study'));
  if (film.src && film.note) caption.append(make('small', film.note));
  if (film.details) caption.append(make('small', film.details));
  out.append(frame, caption);
  return out;
}

export default function ({ parentElement, data }) {
  const find = (where) => parentElement.querySelector(where);
  const look = states.get(parentElement) ?? { window: 100, level: 50, zoom: 100, x: 0, y: 0, inverted: false, case: null, drawn: '', turn: -1, waiting: null };
  states.set(parentElement, look);
  const sliders = { window: find('.window'), level: find('.level'), zoom: find('.zoom') };

  const apply = () => {
    // Grey value v becomes (v - (level - window / 2)) / window, clipped to 0..1; inverted, 1 minus that.
    const width = look.window / 100, low = look.level / 100 - width / 2;
    const slope = (look.inverted ? -1 : 1) / width, intercept = look.inverted ? 1 + low / width : -low / width;
    parentElement.querySelectorAll('feFuncR, feFuncG, feFuncB').forEach((part) => {
      part.setAttribute('slope', slope);
      part.setAttribute('intercept', intercept);
    });
    const plain = look.window === 100 && look.level === 50 && !look.inverted;
    if (look.zoom === 100) look.x = look.y = 0;
    parentElement.querySelectorAll('.film img').forEach((image) => {
      image.style.filter = plain || image.className ? 'none' : 'url(#overread-window)';
      image.style.transform = `translate(${look.x}px, ${look.y}px) scale(${look.zoom / 100})`;
    });
    for (const [name, slider] of Object.entries(sliders)) {
      slider.value = look[name];
      slider.nextElementSibling.textContent = `${Math.round(look[name])}%`;
    }
    find('.invert').setAttribute('aria-pressed', look.inverted);
  };
  const set = (changes) => {
    Object.assign(look, changes);
    look.window = Math.min(200, Math.max(5, look.window));
    look.level = Math.min(100, Math.max(0, look.level));
    look.zoom = Math.min(800, Math.max(100, look.zoom));
    apply();
  };

  const draw = (name, films) => {
    const drawn = JSON.stringify(films.map((film) => [film.src.length, film.over?.length, film.title, film.score, film.threshold, film.details, film.note]));
    if (look.case !== name || look.drawn !== drawn) {
      find('.films').replaceChildren(...films.map(figure));
      if (look.case !== name) Object.assign(look, { zoom: 100, x: 0, y: 0 });
      Object.assign(look, { case: name, drawn });
      // The tests and the benchmark read here which case is shown.
      find('.viewer').dataset.case = name;
    }
    apply();
  };
  // Each run of the page sends the open case; until then a case opened by a key stays.
  if (look.turn !== data.turn) {
    look.turn = data.turn;
    draw(data.case, data.films);
    delete document.body.dataset.waiting;
  } else apply();

  // A new run of the page calls this again without ending the previous call; two listeners would invert twice.
  look.calls?.abort();
  const calls = (look.calls = new AbortController()), listen = { signal: calls.signal };
  for (const [name, slider] of Object.entries(sliders)) {
    slider.addEventListener('input', () => set({ [name]: Number(slider.value) }), listen);
  }
  find('.invert').addEventListener('click', () => set({ inverted: !look.inverted }), listen);
  find('.reset').addEventListener('click', () => set({ window: 100, level: 50, zoom: 100, x: 0, y: 0, inverted: false }), listen);
  const films = find('.films');
  films.addEventListener('wheel', (event) => {
    if (!event.target.closest('.film')) return;
    event.preventDefault();
    set({ zoom: look.zoom * Math.exp(-event.deltaY / 400) });
  }, { ...listen, passive: false });
  let from = null;
  films.addEventListener('pointerdown', (event) => {
    if (!event.target.closest('.film')) return;
    from = { ...look, px: event.clientX, py: event.clientY, windows: event.shiftKey || event.button === 2 };
    event.target.setPointerCapture(event.pointerId);
  }, listen);
  films.addEventListener('pointermove', (event) => {
    if (!from) return;
    const dx = event.clientX - from.px, dy = event.clientY - from.py;
    if (from.windows) set({ window: from.window + dx / 3, level: from.level + dy / 4 });
    else if (look.zoom > 100) set({ x: from.x + dx, y: from.y + dy });
  }, listen);
  for (const name of ['pointerup', 'pointercancel']) films.addEventListener(name, () => { from = null; }, listen);
  films.addEventListener('contextmenu', (event) => { if (event.target.closest('.film')) event.preventDefault(); }, listen);
  films.addEventListener('dblclick', () => set({ zoom: look.zoom > 100 ? 100 : 250 }), listen);
  // The films of the next case are loaded already: show them at once, before the page answers.
  const showNext = (key) => {
    const next = globalThis.overreadAhead;
    if (!next || next.after !== look.case || !next.keys.includes(key)) return;
    const from = look.turn, since = Date.now();
    document.body.dataset.waiting = 'true';
    draw(next.case, next.films);
    const timer = setInterval(() => {
      if (look.turn !== from || !parentElement.isConnected) return clearInterval(timer);
      // The page did not get the key press: show the page's case again.
      const idle = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning';
      if (Date.now() - since < 3000 || !idle) return;
      clearInterval(timer);
      draw(look.data.case, look.data.films);
      delete document.body.dataset.waiting;
    }, 250);
  };
  look.data = data;
  // A verdict belongs to the case on screen. While the page still has the keys of another case, a press waits.
  const verdicts = () => [...document.querySelectorAll('[class*="st-key-enter_"]')];
  const ofThisCase = (element) => element.className.includes(`st-key-enter_${look.case}_`);
  const ready = () => verdicts().length > 0 && verdicts().every(ofThisCase);
  const wait = (event) => {
    if (look.waiting) return;
    const { key, code, keyCode } = event, of = look.case, until = Date.now() + 5000;
    look.waiting = setInterval(() => {
      const gone = Date.now() > until || !parentElement.isConnected || look.case !== of;
      if (!gone && !ready()) return;
      clearInterval(look.waiting);
      look.waiting = null;
      if (!gone) document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, keyCode, bubbles: true, composed: true }));
    }, 20);
  };
  const stop = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener('keydown', (event) => {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.('input, textarea, [contenteditable=true]')) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === 'i') set({ inverted: !look.inverted });
    if (key === '+' || key === '=') set({ zoom: look.zoom * 1.25 });
    if (key === '-') set({ zoom: look.zoom / 1.25 });
    if (key === '0') set({ window: 100, level: 50, zoom: 100, x: 0, y: 0, inverted: false });
    const isVerdict = /^[1-9u]$/.test(key);
    // A key that is held down counts once.
    if (isVerdict && event.repeat) return stop(event);
    if (isVerdict && !ready()) {
      wait(event);
      return stop(event);
    }
    showNext(key);
  }, { ...listen, capture: true });
  window.addEventListener('click', (event) => {
    const verdict = event.target.closest?.('[class*="st-key-enter_"]');
    if (!verdict || !event.target.closest('button:not(:disabled)')) return;
    if (!ready()) return stop(event);
    showNext(String(1 + verdicts().indexOf(verdict)));
  }, { ...listen, capture: true });
  // A clicked switch keeps the focus, and would then get the keys instead of the case.
  document.addEventListener('pointerup', () => setTimeout(() => {
    const holder = document.activeElement;
    if (holder?.type === 'checkbox' || holder?.type === 'range') holder.blur();
  }, 60), listen);
  return () => calls.abort();
}
