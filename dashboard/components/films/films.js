const kept = new WeakMap();

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function figure(film) {
  const out = make('figure', undefined, film.drove ? 'drove' : '');
  const frame = make('div', undefined, 'film');
  if (film.src) {
    const image = make('img');
    image.src = film.src;
    image.alt = film.alt;
    image.draggable = false;
    frame.append(image);
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
  if (film.drove) caption.append(make('small', 'Drove the decision: the highest score of the study'));
  if (film.src && film.note) caption.append(make('small', film.note));
  if (film.small) caption.append(make('small', film.small));
  out.append(frame, caption);
  return out;
}

export default function ({ parentElement, data }) {
  const find = (where) => parentElement.querySelector(where);
  const look = kept.get(parentElement) ?? { window: 100, level: 50, zoom: 100, x: 0, y: 0, inverted: false, case: null, drawn: '' };
  kept.set(parentElement, look);
  const sliders = { window: find('.window'), level: find('.level'), zoom: find('.zoom') };

  const apply = () => {
    // The grey value v becomes (v - (level - window / 2)) / window, cut off at 0 and 1; inverted, 1 minus that.
    const width = look.window / 100, low = look.level / 100 - width / 2;
    const slope = (look.inverted ? -1 : 1) / width, intercept = look.inverted ? 1 + low / width : -low / width;
    parentElement.querySelectorAll('feFuncR, feFuncG, feFuncB').forEach((part) => {
      part.setAttribute('slope', slope);
      part.setAttribute('intercept', intercept);
    });
    const plain = look.window === 100 && look.level === 50 && !look.inverted;
    if (look.zoom === 100) look.x = look.y = 0;
    parentElement.querySelectorAll('.film img').forEach((image) => {
      image.style.filter = plain ? 'none' : 'url(#overread-window)';
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

  const drawn = JSON.stringify(data.films.map((film) => [film.src.length, film.title, film.score, film.threshold, film.small, film.note]));
  if (look.case !== data.case || look.drawn !== drawn) {
    find('.films').replaceChildren(...data.films.map(figure));
    if (look.case !== data.case) Object.assign(look, { zoom: 100, x: 0, y: 0 });
    Object.assign(look, { case: data.case, drawn });
    // How long a case took to appear is read here by the bench and the tests.
    find('.room').dataset.case = data.case;
  }
  apply();

  const calls = new AbortController(), listen = { signal: calls.signal };
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
    if (!event.target.closest('.film') || event.button === 2) return;
    from = { ...look, px: event.clientX, py: event.clientY, shift: event.shiftKey };
    event.target.setPointerCapture(event.pointerId);
  }, listen);
  films.addEventListener('pointermove', (event) => {
    if (!from) return;
    const dx = event.clientX - from.px, dy = event.clientY - from.py;
    if (from.shift) set({ window: from.window + dx / 3, level: from.level + dy / 4 });
    else if (look.zoom > 100) set({ x: from.x + dx, y: from.y + dy });
  }, listen);
  for (const name of ['pointerup', 'pointercancel']) films.addEventListener(name, () => { from = null; }, listen);
  films.addEventListener('dblclick', () => set({ zoom: look.zoom > 100 ? 100 : 250 }), listen);
  document.addEventListener('keydown', (event) => {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.('input, textarea, [contenteditable=true]')) return;
    if (event.key === 'i') set({ inverted: !look.inverted });
    if (event.key === '+') set({ zoom: look.zoom * 1.25 });
    if (event.key === '-') set({ zoom: look.zoom / 1.25 });
    if (event.key === '0') set({ window: 100, level: 50, zoom: 100, x: 0, y: 0, inverted: false });
  }, listen);
  // A switch that was clicked keeps the focus, and keys would then go to it instead of to the case.
  document.addEventListener('pointerup', () => setTimeout(() => {
    const holder = document.activeElement;
    if (holder?.type === 'checkbox' || holder?.type === 'range') holder.blur();
  }, 60), listen);
  return () => calls.abort();
}
