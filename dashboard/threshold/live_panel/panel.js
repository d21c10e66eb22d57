// The panel is built once for a set of counts. A move reads one column of the counts and changes attributes of existing
// marks; nothing is sent until the threshold is released.
const panels = new WeakMap();
let made = 0;

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel || !parentElement.contains(panel.root)) {
    panel = begin(parentElement.querySelector('.panel'));
    panels.set(parentElement, panel);
  }
  panel.send = (threshold) => setTriggerValue('threshold', threshold);
  panel.stream = (threshold) => setTriggerValue('moving', threshold);
  receive(panel, data);
}

function begin(root) {
  const panel = { root, at: 0, sent: [], dragging: null, keyTimer: 0, moveFrame: 0, glide: 0, moves: 0 };
  new ResizeObserver(() => {
    const width = root.clientWidth;
    if (panel.data && width && width !== panel.width) build(panel);
  }).observe(root);
  return panel;
}

function receive(panel, data) {
  const fresh = !panel.data || panel.data.id !== data.id;
  const before = panel.rows && panel.rows.threshold[panel.at];
  panel.data = data;
  if (fresh) {
    panel.counts = unpack(data);
    panel.sent = [];
  }
  // A value that returns while another is being sent or dragged must not move the threshold.
  const echo = panel.sent.indexOf(data.value.threshold);
  if (echo >= 0) panel.sent.splice(0, echo + 1);
  // A later choice may replace one that was sent, which then never returns: stop waiting for it after a while.
  if (panel.sent.length && performance.now() - panel.sentAt > 5000) panel.sent = [];
  const own = !fresh && (panel.dragging || panel.keyTimer || panel.sent.length);
  panel.rows = withRow(panel.counts, own ? null : data.value);
  const wanted = own ? before : data.value.threshold;
  const place = nearest(panel.rows.threshold, wanted);
  // New marks during a drag wait for its end: a rebuilt handle would lose the pointer.
  if (panel.dragging && !fresh && panel.width) {
    panel.stale = true;
    return;
  }
  if (fresh || !panel.width) {
    panel.at = place;
    build(panel);
    return;
  }
  build(panel);
  const start = nearest(panel.rows.threshold, before);
  if (!own && before !== wanted && !matchMedia('(prefers-reduced-motion: reduce)').matches) glideTo(panel, start, place);
  else move(panel, place);
}

// Counts are sent as differences from one candidate to the next, from the highest candidate down.
function unpack(data) {
  const sum = (steps) => { let total = 0; return steps.map((step) => (total += step)); };
  return { threshold: data.thresholds, tp: data.tp.map(sum), fp: data.fp.map(sum) };
}

// The chosen threshold has its own column with exact counts, also between two candidates.
function withRow(counts, value) {
  const place = value ? counts.threshold.findIndex((threshold) => threshold <= value.threshold) : -1;
  const at = value && place < 0 ? counts.threshold.length : place;
  if (!value || counts.threshold[at] === value.threshold) return totals({ ...counts });
  const insert = (list, item) => [...list.slice(0, at), item, ...list.slice(at)];
  return totals({
    threshold: insert(counts.threshold, value.threshold),
    tp: counts.tp.map((list, group) => insert(list, value.tp[group])),
    fp: counts.fp.map((list, group) => insert(list, value.fp[group])),
  });
}

function totals(rows) {
  const over = (lists) => rows.threshold.map((_, place) => lists.reduce((sum, list) => sum + list[place], 0));
  rows.allTp = over(rows.tp);
  rows.allFp = over(rows.fp);
  rows.abnormal = rows.tp.map((list) => list.at(-1) ?? 0);
  rows.n1 = rows.allTp.at(-1) ?? 0;
  rows.n0 = rows.allFp.at(-1) ?? 0;
  return rows;
}

function nearest(descending, wanted) {
  let low = 0, high = descending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (descending[middle] > wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && descending[low - 1] - wanted < wanted - descending[low] ? low - 1 : low;
}

function build(panel) {
  panel.width = panel.root.clientWidth;
  if (!panel.width) return;
  panel.parts = {};
  histogram(panel);
  facts(panel);
  squares(panel);
  bones(panel);
  const { rows } = panel;
  const missing = oneClass(rows.n1, rows.n0).replace('not estimable: ', '');
  curve(panel, 'roc', missing, {
    x: rows.allFp.map((count) => count / rows.n0), y: rows.allTp.map((count) => count / rows.n1),
    names: ['1 - specificity', 'Sensitivity'], chance: [[0, 0], [1, 1]], about: panel.data.area,
  });
  curve(panel, 'pr', missing, {
    x: rows.allTp.map((count) => count / rows.n1),
    y: rows.allTp.map((count, place) => count / (count + rows.allFp[place])),
    names: ['Sensitivity (recall)', 'PPV in these studies (precision)'],
    chance: [[0, rows.n1 / (rows.n1 + rows.n0)], [1, rows.n1 / (rows.n1 + rows.n0)]], about: panel.data.precision,
  });
  move(panel, panel.at);
}

function inside(svg, event) {
  const box = svg.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

// Pointer events cover mouse, pen and touch. Each frame uses the newest position only.
function draggable(panel, target, svg, place) {
  target.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    cancelAnimationFrame(panel.glide);
    panel.dragging = { from: panel.at, pointer: event.pointerId, place };
    target.setPointerCapture(event.pointerId);
    panel.root.classList.add('dragging');
    panel.parts.handle.classList.remove('keyed');
    panel.parts.handle.focus({ preventScroll: true });
    event.preventDefault();
    move(panel, place(event));
  });
  target.addEventListener('pointermove', (event) => {
    if (panel.dragging?.pointer !== event.pointerId) return;
    panel.dragging.last = event;
    panel.moveFrame ||= requestAnimationFrame(() => {
      panel.moveFrame = 0;
      if (panel.dragging?.last) move(panel, panel.dragging.place(panel.dragging.last));
      stream(panel);
    });
  });
  const end = (event, kept) => {
    if (panel.dragging?.pointer !== event.pointerId) return;
    const { from } = panel.dragging;
    cancelAnimationFrame(panel.moveFrame);
    panel.moveFrame = 0;
    panel.dragging = null;
    panel.root.classList.remove('dragging');
    const chosen = kept ? place(event) : from;
    if (panel.stale) {
      panel.stale = false;
      build(panel);
    }
    move(panel, chosen);
    if (panel.at !== from) commit(panel);
  };
  target.addEventListener('pointerup', (event) => end(event, true));
  // The browser uses this touch to scroll, so nothing was chosen.
  target.addEventListener('pointercancel', (event) => end(event, false));
}

function keys(panel, handle) {
  handle.addEventListener('keydown', (event) => {
    const last = panel.rows.threshold.length - 1, page = Math.max(10, Math.round(last / 20));
    const step = { ArrowRight: -1, ArrowUp: -1, ArrowLeft: 1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: last, End: -last }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    cancelAnimationFrame(panel.glide);
    handle.classList.add('keyed');
    move(panel, Math.min(last, Math.max(0, panel.at + step * (event.shiftKey && Math.abs(step) === 1 ? 10 : 1))));
    clearTimeout(panel.keyTimer);
    // Repeated keys are one choice, sent after a pause.
    panel.keyTimer = setTimeout(() => {
      panel.keyTimer = 0;
      commit(panel);
    }, 350);
  });
}

// In a meeting everyone sees the line while it is dragged, five times a second.
function stream(panel) {
  const now = performance.now();
  if (!panel.data.live || !panel.dragging || now - (panel.streamedAt ?? -1000) < 200) return;
  panel.streamedAt = now;
  panel.stream(panel.rows.threshold[panel.at]);
}

function commit(panel) {
  const threshold = panel.rows.threshold[panel.at];
  panel.sent.push(threshold);
  panel.sentAt = performance.now();
  panel.send(threshold);
}

function glideTo(panel, from, to) {
  const start = performance.now();
  cancelAnimationFrame(panel.glide);
  const frame = (now) => {
    const part = Math.min(1, (now - start) / 240), eased = 1 - (1 - part) ** 3;
    move(panel, Math.round(from + (to - from) * eased));
    if (part < 1) panel.glide = requestAnimationFrame(frame);
  };
  panel.glide = requestAnimationFrame(frame);
}

function move(panel, place) {
  const { rows, parts, data } = panel, at = (panel.at = Math.min(Math.max(place, 0), rows.threshold.length - 1));
  if (!parts?.handle) return;
  const threshold = rows.threshold[at], tp = rows.allTp[at], fp = rows.allFp[at], fn = rows.n1 - tp, tn = rows.n0 - fp;
  const found = figures(tp, fp, tn, fn, data.prevalence);
  const x = parts.x.to(threshold), { handle, box, svgWidth } = parts;
  panel.moves += 1;
  set(handle, { transform: `translate(${x.toFixed(1)} 0)` });
  const shown = digits(threshold);
  // Near an end the flag is shifted inwards, so that its number stays visible.
  const lean = Math.max(0, 30 - x) + Math.min(0, svgWidth - 30 - x);
  for (const part of handle.querySelectorAll('.flag, .ring, .value')) part.setAttribute('transform', `translate(${lean} 0)`);
  say(parts.flag, shown);
  set(parts.clips[0], { width: Math.max(0, x) });
  set(parts.clips[1], { x, width: Math.max(0, box.right + 20 - x) });
  [['Missed', fn], ['Found', tp], ['Cleared', tn], ['False alarms', fp]].forEach(([name, count], word) => say(parts.words[word], `${name} ${grouped(count)}`));
  for (const { key, kind, value, rest } of parts.facts) {
    const [figure, more] = written(found[key], kind);
    say(value, figure);
    value.classList.toggle('none', figure === 'Not estimable');
    say(rest, more);
  }
  const largest = Math.max(rows.n1, rows.n0, 1);
  [fn, tp, tn, fp].forEach((count, number) => {
    const { x: cx, y: cy, square, count: text, word: name, side, room } = parts.squares[number], edge = side * Math.sqrt(count / largest);
    // A word that does not fit into the square is drawn below it.
    const y = edge > room ? cy : cy + edge / 2 + 14;
    set(square, { x: cx - edge / 2, y: cy - edge / 2, width: edge, height: edge });
    set(text, { y });
    set(name, { y: y + 15 });
    say(text, grouped(count));
  });
  say(panel.root.querySelector('.missed small'), `${grouped(fn)} of ${grouped(rows.n1)} abnormal studies`);
  parts.bones.forEach(({ bar, count, of }, group) => {
    const all = rows.abnormal[group], missed = all - rows.tp[group][at];
    bar.style.transform = `scaleX(${all ? missed / all : 0})`;
    say(count, all ? grouped(missed) : '');
    say(of, all ? ` / ${grouped(all)}` : 'no abnormal');
  });
  for (const name of ['roc', 'pr']) {
    const part = parts[name];
    if (!part) continue;
    const [u, v] = [part.x[at], part.y[at]], there = !Number.isNaN(u + v);
    for (const piece of [part.dot, part.across, part.down]) piece.style.display = there ? '' : 'none';
    if (!there) continue;
    const [px, py] = part.to(u, v);
    set(part.dot, { transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})` });
    set(part.across, { x2: px, y1: py, y2: py });
    set(part.down, { x1: px, x2: px, y1: py });
  }
  const [sensitivity] = written(found.sensitivity, 'percent'), [specificity] = written(found.specificity, 'percent');
  const spoken = (text) => text.replace('%', ' percent').toLowerCase();
  set(handle, {
    'aria-valuenow': String(threshold),
    'aria-valuetext': `threshold ${shown}, sensitivity ${spoken(sensitivity)}, specificity ${spoken(specificity)}, `
      + `${fn} of ${rows.n1} abnormal studies missed, ${fp} false alarms`,
  });
  const pictures = [['.squares', `${fn} missed, ${tp} found, ${tn} cleared, ${fp} false alarms`],
    ['.roc', `ROC curve, now at sensitivity ${sensitivity} and specificity ${specificity}`],
    ['.pr', `Precision and recall, now at sensitivity ${sensitivity} and PPV ${written(predictive(tp, fp, tn, fn, null).ppv, 'percent')[0]}`]];
  for (const [name, words] of pictures) set(panel.root.querySelector(`${name} svg`), { role: 'img', 'aria-label': words });
  say(panel.root.querySelector('.hint'), panel.dragging ? 'Release to choose' : 'Drag, or arrow keys');
}
