// Wheel, drags, pinches and boxes by pointer.
function listenToPointers({ find, look, holder, set, setWide, isWide, setBoxes, sendBoxes, listen }) {
  // The place under the pointer: its frame, shares of the shown part and of the whole film, and the frame's scale.
  const under = (event) => {
    const frame = event.target.closest?.('.film'), shown = frame?.querySelector('.shown');
    if (!shown) return null;
    const place = Number(frame.dataset.place), rect = shown.getBoundingClientRect();
    const part = [(event.clientX - rect.left) / rect.width, (event.clientY - rect.top) / rect.height];
    const [left, top, right, bottom] = region(look.films[place], look.whole);
    return { place, rect, part, film: [left + part[0] * (right - left), top + part[1] * (bottom - top)] };
  };
  const zoomAt = (here, zoom) => {
    const next = clamp(zoom, 100, 800), ratio = look.zoom / next;
    // The point under the pointer stays where it is.
    set({ zoom: next, x: here.part[0] - (here.part[0] - look.x) * ratio, y: here.part[1] - (here.part[1] - look.y) * ratio });
  };
  holder.addEventListener('wheel', (event) => {
    const here = under(event);
    if (!here) return;
    event.preventDefault();
    zoomAt(here, look.zoom * Math.exp(-event.deltaY / 400));
  }, { ...listen, passive: false });

  const touches = new Map();
  let from = null, pinch = null;
  const pinched = () => {
    const [one, two] = [...touches.values()];
    return Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
  };
  holder.addEventListener('pointerdown', (event) => {
    const here = under(event);
    if (!here) return;
    touches.set(event.pointerId, event);
    if (touches.size === 2) {
      pinch = { far: pinched(), zoom: look.zoom };
      from = null;
      return;
    }
    const windows = event.shiftKey || event.button === 2, boxed = event.target.closest('.own');
    from = { look: { ...look }, here, px: event.clientX, py: event.clientY, windows };
    if (look.boxing && !windows) {
      const at = boxed ? Number(boxed.dataset.box) : look.boxes.length;
      from.part = boxed ? event.target.closest('i')?.className ?? 'move' : 'new';
      from.box = boxed ? look.boxes[at].box : null;
      from.at = at;
      from.before = look.boxes;
      // Otherwise the browser moves the focus off the box that is drawn.
      event.preventDefault();
      look.selected = boxed ? at : -1;
    }
    event.target.setPointerCapture(event.pointerId);
  }, listen);
  holder.addEventListener('pointermove', (event) => {
    const here = under(event);
    if (here) {
      look.mine = { film: here.place, x: clamp(here.film[0], 0, 1), y: clamp(here.film[1], 0, 1) };
      // Over the enlarged copy itself it stays.
      if (!event.target.closest('.detail')) look.spot = look.mine;
    }
    if (touches.has(event.pointerId)) touches.set(event.pointerId, event);
    if (pinch && touches.size === 2) {
      if (here) zoomAt(here, (pinch.zoom * pinched()) / pinch.far);
      return;
    }
    if (!from) {
      // The enlarged copy beside a single radiograph follows the pointer.
      if (here) set({});
      return;
    }
    const dx = event.clientX - from.px, dy = event.clientY - from.py;
    if (from.windows) set({ window: from.look.window + dx / 3, level: from.look.level + dy / 4 });
    else if (from.part) {
      const { rect } = from.here, [left, top, right, bottom] = region(look.films[from.here.place], look.whole);
      const to = [from.here.film[0] + (dx * (right - left)) / rect.width, from.here.film[1] + (dy * (bottom - top)) / rect.height];
      const box = dragged(from.part, from.box, from.here.film, to);
      const boxes = from.before.slice();
      boxes[from.at] = { film: from.here.place, box };
      setBoxes(boxes, from.at);
    } else if (look.zoom > 100 || look.fill) {
      set({ x: from.look.x - dx / from.here.rect.width, y: from.look.y - dy / from.here.rect.height });
    }
  }, listen);
  const end = (event) => {
    touches.delete(event.pointerId);
    pinch = null;
    if (from?.part) {
      const kept = look.boxes.filter((one) => largeEnough(one.box));
      setBoxes(kept, kept.length === look.boxes.length ? look.selected : -1);
      sendBoxes();
    }
    from = null;
  };
  for (const name of ['pointerup', 'pointercancel']) holder.addEventListener(name, end, listen);
  holder.addEventListener('pointerleave', () => { look.mine = null; set({}); }, listen);
  holder.addEventListener('contextmenu', (event) => { if (event.target.closest('.film')) event.preventDefault(); }, listen);
  holder.addEventListener('dblclick', (event) => {
    const here = under(event);
    if (here && !look.boxing) zoomAt(here, look.zoom > 100 ? 100 : 250);
  }, listen);

  const buttons = {
    wide: () => setWide(!isWide()),
    count: () => set(nextCount(look)),
    fill: () => set({ fill: !look.fill }),
    whole: () => set({ whole: !look.whole }),
    invert: () => set({ inverted: !look.inverted }),
    box: () => set({ boxing: !look.boxing }),
    reset: () => set({ ...PLAIN }),
    before: () => document.querySelector('.st-key-previous button, .st-key-walk_previous button')?.click(),
    after: () => document.querySelector('.st-key-next button, .st-key-walk_next button')?.click(),
    help: () => showKeys(find),
  };
  for (const [name, act] of Object.entries(buttons)) find(`button.${name}`).addEventListener('click', act, listen);
}

// All radiographs, then one, then two, then all again; two only where there are more.
function nextCount(look) {
  const many = look.films.length, order = [0, 1, ...(many > 2 ? [2] : [])];
  return { count: order[(order.indexOf(look.count) + 1) % order.length] };
}

function showKeys(find) {
  const keys = find('.keys');
  keys.hidden = !keys.hidden;
  find('button.help').setAttribute('aria-expanded', !keys.hidden);
}
