const states = new WeakMap();
const PLAIN = { window: 100, level: 50, zoom: 100, x: 0.5, y: 0.5, inverted: false };
const SHARED = ['window', 'level', 'zoom', 'x', 'y', 'inverted', 'whole', 'fill', 'count', 'first'];
const ENLARGED = 2.5;

export default function ({ parentElement, data, setStateValue }) {
  const find = (where) => parentElement.querySelector(where);
  const look = lookOf(parentElement);
  const viewer = find('.viewer'), holder = find('.films');
  const sliders = { window: find('.window'), level: find('.level'), zoom: find('.zoom') };
  const isWide = () => document.body.dataset.presenter === 'true';
  const say = (words) => { find('.said').textContent = words; };

  // Which radiographs are on screen: all, or `count` of them from `first` on.
  const visible = () => {
    const places = look.films.map((_, place) => place);
    if (!look.count || look.count >= places.length) return places;
    return places.slice(look.first, look.first + look.count);
  };
  const space = () => {
    const width = holder.clientWidth;
    if (!isWide()) {
      // On a phone each film is as wide as the screen, and the page scrolls.
      if (width < 500) return [width, 10 * innerHeight];
      const scrolled = document.querySelector('[data-testid=stMain]')?.scrollTop ?? 0;
      const below = innerHeight - holder.getBoundingClientRect().top - scrolled - 8;
      return [width, clamp(below, 0.4 * innerHeight, Math.min(0.75 * innerHeight, 900))];
    }
    // In the presenter view this box ends where the bars below the films begin.
    const box = document.querySelector('.st-key-case_films');
    const bottom = box ? box.getBoundingClientRect().bottom : innerHeight;
    return [width, Math.max(160, bottom - holder.getBoundingClientRect().top)];
  };

  const layOut = () => {
    const [width, height] = space(), places = visible(), wide = isWide();
    if (!width || !places.length) return;
    const packed = arrange(places.map((place) => aspectOf(look.films[place], look.whole)), width, height, wide);
    const extra = wide && !look.fill ? leftOver(packed.frames, width, height) : null;
    const frames = (wide && !extra) || look.fill ? stretched(packed.frames, width, height) : packed.frames;
    const name = JSON.stringify([look.case, places, wide, Boolean(extra), packed.rows]);
    if (holder.dataset.laid !== name) {
      holder.dataset.laid = name;
      const figures = places.map((place) => look.figures[place]);
      // Outside of the presenter view captions are below the films, so rows follow each other.
      const lines = wide ? [places.map((_, at) => at)] : packed.rows;
      holder.replaceChildren(...lines.map((line) => {
        const row = make('div', undefined, 'row');
        row.append(...line.map((at) => figures[at]));
        return row;
      }));
      if (extra) holder.firstChild.append(detail(look.films[spotted()], spotted()));
    }
    holder.classList.toggle('packed', wide);
    holder.style.height = wide ? `${height}px` : '';
    [...holder.querySelectorAll('figure')].forEach((element, at) => {
      const frame = (element.frame = frames[at] ?? extra);
      // In rows the figures are in the flow, and an offset would count twice.
      const [left, top] = wide ? [`${frame.left}px`, `${frame.top}px`] : ['', ''];
      Object.assign(element.style, { width: `${frame.width}px`, left, top });
      element.firstChild.style.height = `${frame.height}px`;
    });
    apply();
  };
  // The radiograph that the enlarged copy shows: where the pointer is or was, else the one with the highest score.
  const spotted = () => {
    const shown = visible(), highest = look.films.findIndex((film) => film.highest);
    return shown.includes(look.spot?.film) ? look.spot.film : shown.includes(highest) ? highest : shown[0];
  };
  const followSpot = () => {
    const large = holder.querySelector('figure.detail'), place = spotted();
    if (!large || Number(large.firstChild.dataset.place) === place) return;
    const next = detail(look.films[place], place);
    Object.assign(next.style, { width: large.style.width, left: large.style.left, top: large.style.top });
    next.firstChild.style.height = large.firstChild.style.height;
    next.frame = large.frame;
    large.replaceWith(next);
  };

  const apply = () => {
    // Grey value v becomes (v - (level - window / 2)) / window, clipped to 0..1; inverted, 1 minus that.
    const width = look.window / 100, low = look.level / 100 - width / 2;
    const slope = (look.inverted ? -1 : 1) / width, intercept = look.inverted ? 1 + low / width : -low / width;
    parentElement.querySelectorAll('feFuncR, feFuncG, feFuncB').forEach((part) => {
      part.setAttribute('slope', slope);
      part.setAttribute('intercept', intercept);
    });
    const plain = look.window === 100 && look.level === 50 && !look.inverted;
    if (look.zoom === 100 && !look.fill) look.x = look.y = 0.5;
    followSpot();
    holder.querySelectorAll('figure').forEach((element) => {
      const shown = element.querySelector('.shown');
      if (!shown || !element.frame) return;
      const large = element.classList.contains('detail'), film = look.films[Number(element.firstChild.dataset.place)];
      const zoom = (look.zoom / 100) * (large ? ENLARGED : 1);
      const [left, top, right, bottom] = region(film, look.whole), spot = look.spot?.film === spotted() ? look.spot : null;
      const centre = large && spot ? [(spot.x - left) / (right - left), (spot.y - top) / (bottom - top)] : [look.x, look.y];
      const at = placed(film, element.frame, look, centre, zoom);
      Object.assign(shown.style, {
        width: `${at.width}px`, height: `${at.height}px`,
        transform: `translate(${element.frame.width / 2 - at.x * at.width * zoom}px, ${element.frame.height / 2 - at.y * at.height * zoom}px) scale(${zoom})`,
      });
      shown.style.setProperty('--zoom', zoom);
      Object.assign(shown.firstChild.style, {
        width: `${100 / (right - left)}%`, height: `${100 / (bottom - top)}%`,
        left: `${(-100 * left) / (right - left)}%`, top: `${(-100 * top) / (bottom - top)}%`,
      });
      shown.querySelectorAll('img').forEach((image) => {
        image.style.filter = plain || image.className ? 'none' : 'url(#overread-window)';
      });
      drawLayer(shown.querySelector('.layer'), Number(element.firstChild.dataset.place));
    });
    for (const [name, slider] of Object.entries(sliders)) {
      slider.value = look[name];
      slider.parentElement.querySelector('output').textContent = `${Math.round(look[name])}%`;
    }
    const pressed = { invert: look.inverted, whole: look.whole, fill: look.fill, box: look.boxing, wide: isWide() };
    for (const [name, value] of Object.entries(pressed)) find(`button.${name}`).setAttribute('aria-pressed', value);
    const count = find('button.count'), many = look.films.length;
    count.hidden = many < 2;
    count.textContent = !look.count || look.count >= many ? 'All views'
      : look.count === 1 ? `View ${look.first + 1} of ${many}` : `Views ${look.first + 1} and ${look.first + 2} of ${many}`;
    viewer.classList.toggle('boxing', look.boxing);
    find('.steps').hidden = !isWide();
    find('.place').textContent = look.data?.place ?? '';
    globalThis.dispatchEvent(new CustomEvent('overread-view'));
  };

  const drawLayer = (layer, place) => {
    const wanted = [
      ...look.theirs.map((one, at) => ({ ...one, own: false, at })),
      ...look.boxes.map((one, at) => ({ ...one, own: true, at })),
    ].filter((one) => one.film === place);
    const drawn = JSON.stringify(wanted.map((one) => [one.own, one.at, one.name, look.boxing]));
    if (layer.dataset.drawn !== drawn) {
      layer.dataset.drawn = drawn;
      layer.replaceChildren(...wanted.map((one) => boxElement(
        one, one.own && look.boxing, `${one.own ? 'Your box' : `Box of ${one.name}`} on ${look.films[place].title}`)));
      if (look.boxing) layer.querySelectorAll('.own').forEach((element) => {
        element.addEventListener('focus', () => { look.selected = Number(element.dataset.box); mark(); });
      });
    }
    wanted.forEach((one, at) => placeBox(layer.children[at], one.box));
    mark();
    let dot = layer.parentElement.querySelector('.pointer');
    const here = look.pointer && look.pointer.film === place;
    if (!here) dot?.remove();
    else {
      if (!dot) layer.parentElement.append(dot = make('div', undefined, 'pointer'));
      Object.assign(dot.style, { left: `${100 * look.pointer.x}%`, top: `${100 * look.pointer.y}%` });
    }
  };
  const mark = () => holder.querySelectorAll('.own').forEach((element) => {
    element.classList.toggle('selected', Number(element.dataset.box) === look.selected);
  });

  const set = (changes) => {
    Object.assign(look, changes);
    look.window = clamp(look.window, 5, 200);
    look.level = clamp(look.level, 0, 100);
    look.zoom = clamp(look.zoom, 100, 800);
    look.x = clamp(look.x, 0, 1);
    look.y = clamp(look.y, 0, 1);
    const many = look.films.length;
    look.count = look.count >= many ? 0 : look.count;
    look.first = clamp(look.first, 0, Math.max(0, many - (look.count || many)));
    if (['whole', 'fill', 'count', 'first'].some((name) => name in changes)) layOut();
    else apply();
  };
  const setWide = (wide) => {
    if (wide) document.body.dataset.presenter = 'true';
    else delete document.body.dataset.presenter;
    scrollTo(0, 0);
    say(wide ? 'Presenter view. P or Escape leaves it.' : 'Presenter view closed.');
    requestAnimationFrame(layOut);
  };

  // What is sent carries each field of the page as it is now. Sent while the page still opens another case, it would
  // lead back to the case before, so it waits for the page; a verdict (now) cannot.
  const sendBoxes = (now = false) => {
    clearTimeout(look.later);
    const sent = JSON.stringify([look.case, look.boxes]);
    if (sent === look.sent || !parentElement.isConnected) return;
    const idle = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning';
    if (!now && (document.body.dataset.waiting || !idle)) {
      look.later = setTimeout(sendBoxes, 100);
      return;
    }
    look.sent = sent;
    setStateValue('boxes', { case: look.case, boxes: look.boxes.map(({ film, box }) => ({ film, box })) });
  };
  const setBoxes = (boxes, selected) => {
    look.boxes = look.drafts[look.owner] = boxes;
    look.selected = selected;
    apply();
  };

  const draw = (shown) => {
    const { case: name, films } = shown;
    const drawn = JSON.stringify(films.map((film) => [film.src.length, film.over?.length, film.title, film.score, film.threshold, film.details, film.note, film.verdict?.words]));
    const another = look.case !== name;
    if (another || look.drawn !== drawn) {
      Object.assign(look, { films, figures: films.map(figure), case: name, drawn });
      holder.dataset.laid = '';
      if (another) Object.assign(look, { zoom: 100, x: 0.5, y: 0.5, spot: null, mine: null, first: 0, selected: -1, boxing: false, pointer: null });
      // The tests and the benchmark read here which case is shown.
      viewer.dataset.case = name;
    }
    const owner = shown.owner ?? name;
    if (another || look.replaced || look.owner !== owner) {
      // Boxes that are drawn but not yet stored stay, also while another case is open, and the page must know them.
      const stored = shown.own ?? [], draft = look.drafts[owner];
      Object.assign(look, { boxes: draft ?? stored, sent: JSON.stringify([name, stored]), replaced: false, owner });
      if (draft) sendBoxes();
    }
    look.theirs = shown.theirs ?? [];
    layOut();
  };
  // A new run of the page calls this again without ending the previous call; two listeners would invert twice.
  look.calls?.abort();
  const calls = (look.calls = new AbortController()), listen = { signal: calls.signal };
  const put = pressesOf({ look, data, setStateValue, parentElement, say, listen });

  // Each run of the page sends the open case; until then a case opened by a key stays. A run that has not taken the key
  // yet, such as one that stores boxes, still has the case before.
  look.data = data;
  keepAddress(data.address ?? {});
  const ahead = document.body.dataset.waiting && globalThis.overreadOutbox.presses.length;
  if (look.turn !== data.turn && (!ahead || !look.films.length)) {
    look.turn = data.turn;
    draw(data);
    delete document.body.dataset.waiting;
  } else layOut();

  const viewerParts = { find, look, holder, set, setWide, isWide, setBoxes, sendBoxes, visible, say, draw, put, parentElement, listen };
  for (const [name, slider] of Object.entries(sliders)) {
    slider.addEventListener('input', () => set({ [name]: Number(slider.value) }), listen);
  }
  listenToPointers(viewerParts);
  listenToKeys(viewerParts);
  const resized = new ResizeObserver(layOut);
  resized.observe(holder);
  // What is above the films may appear or go after they are drawn, and gives them less or more room.
  const page = document.querySelector('.stMainBlockContainer');
  if (page) resized.observe(page);
  addEventListener('resize', layOut, listen);
  // What a presenter shows to followers, and what a follower is shown (stage.js).
  globalThis.overreadView = {
    read: () => ({ case: look.case, ...Object.fromEntries(SHARED.map((name) => [name, look[name]])), wide: isWide(), pointer: look.mine ?? null,
      boxes: look.boxes.map(({ film, box }) => ({ film, box })) }),
    show: (view, presenter) => {
      if (view.case !== look.case) return;
      if (view.wide !== isWide()) setWide(view.wide);
      look.pointer = view.pointer;
      look.spot = view.pointer ?? look.spot;
      const others = look.theirs.filter((one) => one.name !== presenter);
      look.theirs = [...others, ...(view.boxes ?? []).map((one) => ({ ...one, name: presenter }))];
      set(Object.fromEntries(SHARED.filter((name) => name in view).map((name) => [name, view[name]])));
    },
  };
  globalThis.overreadStage?.();
  takeGap(look.case, say);
  return () => {
    calls.abort();
    globalThis.overreadGap = { case: look.case, keys: [], until: Date.now() + REPLACING };
    resized.disconnect();
    // The presenter view belongs to an open case.
    setTimeout(() => { if (!document.querySelector('.st-key-case_films')) delete document.body.dataset.presenter; }, 500);
  };
}

// What a person has set on the films: window, zoom, boxes that are not stored. The page may replace the viewer at any
// time, also under an open case, so a new viewer takes it over from the one that is gone.
function lookOf(parentElement) {
  const known = states.get(parentElement), last = globalThis.overreadLast;
  if (known) return known;
  const look = {
    ...PLAIN, whole: false, fill: false, count: 0, first: 0, spot: null, case: null, owner: null, drawn: '', turn: -1, waiting: null, held: [],
    films: [], figures: [], boxes: [], drafts: {}, theirs: [], selected: -1, boxing: false, sent: '', pointer: null, replaced: false,
  };
  if (last && !last.place.isConnected) {
    last.look.calls?.abort();
    clearTimeout(last.look.later);
    const held = [...last.look.held];
    Object.assign(look, last.look, { held, drawn: '', turn: -1, waiting: null, replaced: true, figures: last.look.films.map(figure) });
  }
  states.set(parentElement, look);
  globalThis.overreadLast = { place: parentElement, look };
  return look;
}

// The address names the case that is on screen, also where the message with the new address was lost.
function keepAddress(wanted) {
  const now = new URL(location.href);
  for (const [name, [value, first]] of Object.entries(wanted)) {
    if ((now.searchParams.get(name) ?? String(first)) === String(value)) continue;
    now.searchParams.set(name, value);
    history.replaceState(history.state, '', now);
  }
}
