// The marks of the panel: axes, histogram, facts, confusion matrix, bones and curves. They are drawn once; `panel.js` moves them.
const SVG = 'http://www.w3.org/2000/svg';

const mark = (parent, name, attributes = {}, text = '') => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== '') made.textContent = text;
  parent.append(made);
  return made;
};
const set = (element, attributes) => { for (const key in attributes) element.setAttribute(key, attributes[key]); };
const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };

// The score axis: even, or even in log-odds for scores that crowd at one end.
function scale(panel, left, right) {
  const { edges, axis } = panel.data.bins;
  const bend = axis === 'log-odds' ? (score) => Math.log(score / (1 - score)) : (score) => score;
  const unbend = axis === 'log-odds' ? (level) => 1 / (1 + Math.exp(-level)) : (level) => level;
  const first = bend(edges[0]), last = bend(edges.at(-1));
  const clamp = (place) => Math.min(right, Math.max(left, place));
  return {
    to: (score) => clamp(left + ((bend(score) - first) / (last - first)) * (right - left) || 0),
    from: (place) => unbend(first + ((place - left) / (right - left)) * (last - first)),
    ticks: axis === 'log-odds' ? [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999].filter((tick) => tick >= edges[0] && tick <= edges.at(-1))
      : [0, 0.2, 0.4, 0.6, 0.8, 1],
  };
}

function histogram(panel) {
  const { data, root, parts } = panel, svg = root.querySelector('.histogram');
  const width = svg.parentElement.clientWidth, narrow = width < 560;
  const left = 46, right = width - 8, x = (parts.x = scale(panel, left, right)), named = placeNames(data.marks, x, width);
  // The names of marks are above the bars, and the plot begins below them.
  const top = 50 + 14 * named.rows, box = { left, right, top, bottom: top + (narrow ? 186 : 250) };
  const middle = (box.top + box.bottom) / 2, height = box.bottom + 58;
  const label = `clip${(made += 1)}`;
  const focused = panel.root.getRootNode().activeElement?.classList.contains('handle');
  svg.replaceChildren();
  set(svg, { height, viewBox: `0 0 ${width} ${height}` });
  const { edges, abnormal, normal } = data.bins;
  const most = [Math.max(1, ...abnormal), Math.max(1, ...normal)];
  // On a shared scale the bars of few abnormal studies would vanish, so each half has its own scale and ticks.
  const shared = Math.max(...most) <= 4 * Math.min(...most);
  const tall = shared ? [Math.max(...most), Math.max(...most)] : most;
  const half = (box.bottom - box.top) / 2 - 1;
  for (const [up, largest] of [[-1, tall[0]], [1, tall[1]]]) {
    for (const tick of steps(largest)) {
      const y = middle + (up * half * tick) / largest;
      mark(svg, 'line', { class: 'rule', x1: box.left, x2: box.right, y1: y, y2: y });
      mark(svg, 'text', { class: 'tick', x: box.left - 7, y: y + 4, 'text-anchor': 'end' }, grouped(tick));
    }
  }
  for (const tick of x.ticks) {
    mark(svg, 'text', { class: 'tick', x: x.to(tick), y: box.bottom + 36, 'text-anchor': 'middle' }, String(tick));
    mark(svg, 'line', { class: 'rule', x1: x.to(tick), x2: x.to(tick), y1: box.top, y2: box.bottom });
  }
  const clips = ['left', 'right'].map((side) => {
    const clip = mark(mark(svg, 'clipPath', { id: `${label}${side}` }), 'rect', { y: 0, height, x: 0, width: 0 });
    return clip;
  });
  const bars = (counts, up, largest) => counts.map((count, place) => {
    if (!count) return '';
    const from = x.to(edges[place]), to = x.to(edges[place + 1]), gap = to - from > 4 ? 1 : 0;
    const tall = Math.max(1, (half * count) / largest);
    return `M${from.toFixed(1)} ${middle}v${(up * tall).toFixed(1)}h${(to - from - gap).toFixed(1)}V${middle}z`;
  }).join('');
  for (const [counts, up, largest, left, right] of [[abnormal, -1, tall[0], 'lost', 'found'], [normal, 1, tall[1], 'clear', 'alarm']]) {
    const path = bars(counts, up, largest);
    mark(svg, 'path', { d: path, class: left, 'clip-path': `url(#${label}left)` });
    mark(svg, 'path', { d: path, class: right, 'clip-path': `url(#${label}right)` });
  }
  mark(svg, 'line', { class: 'zero', x1: box.left, x2: box.right, y1: middle, y2: middle });
  const word = (name, at, y, anchor) => mark(svg, 'text', { class: name, x: at, y, 'text-anchor': anchor });
  parts.words = [
    word('lost', box.left, box.top - 7, 'start'), word('found', box.right, box.top - 7, 'end'),
    word('clear', box.left, box.bottom + 17, 'start'), word('alarm', box.right, box.bottom + 17, 'end'),
  ];
  mark(svg, 'text', { class: 'title', x: (box.left + box.right) / 2, y: box.bottom + 54, 'text-anchor': 'middle' }, data.axis_title);
  for (const { name, at, end, row } of named.list) {
    const y = 36 + 14 * row;
    mark(svg, 'line', { class: 'mark', x1: at, x2: at, y1: y - 10, y2: box.bottom });
    mark(svg, 'text', { class: 'mark-name', x: at + (end ? -5 : 5), y, 'text-anchor': end ? 'end' : 'start' }, name);
  }
  const reach = mark(svg, 'rect', { class: 'reach', x: box.left - 10, y: 0, width: box.right - box.left + 18, height: box.bottom });
  const handle = mark(svg, 'g', {
    class: 'handle', role: 'slider', tabindex: '0', 'aria-label': 'Threshold', 'aria-orientation': 'horizontal', 'aria-valuemin': '0', 'aria-valuemax': '1',
  });
  mark(handle, 'line', { class: 'line', x1: 0, x2: 0, y1: 22, y2: box.bottom + 5 });
  mark(handle, 'rect', { class: 'ring', x: -33, y: -3, width: 66, height: 28, rx: 7 });
  mark(handle, 'rect', { class: 'flag', x: -30, y: 0, width: 60, height: 22, rx: 4 });
  parts.flag = mark(handle, 'text', { class: 'value', x: 0, y: 15.5 });
  mark(handle, 'circle', { class: 'grip', cx: 0, cy: middle, r: 11 });
  mark(handle, 'path', { class: 'arrows', d: `M-3.2 ${middle - 3.6}l-3.2 3.6l3.2 3.6M3.2 ${middle - 3.6}l3.2 3.6l-3.2 3.6` });
  Object.assign(parts, { clips, handle, box, svgWidth: width });
  const place = (event) => nearest(panel.rows.threshold, x.from(inside(svg, event)[0]));
  for (const target of [reach, handle]) draggable(panel, target, svg, place);
  keys(panel, handle);
  const scales = shared ? '' : '; scales differ';
  say(root.querySelector('.about'), `abnormal upwards (n = ${grouped(panel.rows.n1)}), normal downwards (n = ${grouped(panel.rows.n0)})${scales}`);
  if (focused) handle.focus({ preventScroll: true });
}

// Each name beside its line, in the lowest row where it covers no other.
function placeNames(marks, x, width) {
  const rows = [];
  const list = marks.map(({ name, threshold }) => {
    const at = x.to(threshold), end = at > width / 2, length = 6.2 * name.length + 8;
    const [from, to] = end ? [at - length, at] : [at, at + length];
    let row = rows.findIndex((taken) => taken.every(([low, high]) => to < low || from > high));
    if (row < 0) row = rows.push([]) - 1;
    rows[row].push([from, to]);
    return { name, at, end, row };
  });
  return { list, rows: rows.length };
}

// Three digits, or more where three would show 0 or 1 for a score that is neither.
function digits(threshold) {
  const edge = Math.min(threshold, 1 - threshold);
  if (edge <= 0 || edge >= 0.01) return fixed(threshold, 3);
  return edge >= 1e-5 || threshold > 0.5 ? fixed(threshold, 5) : threshold.toExponential(1);
}

function steps(largest) {
  let size = 1;
  for (;;) {
    for (const step of [size, 2 * size, 5 * size]) {
      if (largest / step <= 3.5) return Array.from({ length: Math.floor(largest / step) }, (_, place) => step * (place + 1));
    }
    size *= 10;
  }
}

function facts(panel) {
  const list = panel.root.querySelector('dl');
  panel.parts.facts = panel.data.rates.map(([key, name, kind, wide], place) => {
    let cell = list.children[place];
    if (!cell) {
      cell = document.createElement('div');
      cell.className = `${wide} ${key}`;
      for (const [tag, css] of [['dt', ''], ['dd', 'v'], ['dd', 'r']]) {
        const part = document.createElement(tag);
        part.className = css;
        cell.append(part);
      }
      cell.firstChild.textContent = name;
      list.append(cell);
    }
    return { key, kind, value: cell.children[1], rest: cell.children[2] };
  });
  say(panel.root.querySelector('.stated'), panel.data.stated);
}

function squares(panel) {
  const svg = panel.root.querySelector('.squares svg'), width = Math.min(svg.parentElement.clientWidth, 420);
  const cell = (width - 66) / 2, tall = Math.min(cell, 118), height = 2 * tall + 22;
  svg.replaceChildren();
  set(svg, { height, viewBox: `0 0 ${width} ${height}`, style: `max-width:${width}px` });
  mark(svg, 'text', { class: 'tick', x: 66 + cell / 2, y: 12, 'text-anchor': 'middle' }, 'Called normal');
  mark(svg, 'text', { class: 'tick', x: 66 + cell * 1.5, y: 12, 'text-anchor': 'middle' }, 'Called abnormal');
  mark(svg, 'text', { class: 'tick', x: 0, y: 24 + tall / 2 }, 'Abnormal');
  mark(svg, 'text', { class: 'tick', x: 0, y: 24 + tall * 1.5 }, 'Normal');
  panel.parts.squares = [['lost', 'Missed', 0, 0], ['found', 'Found', 1, 0], ['clear', 'Cleared', 0, 1], ['alarm', 'False alarms', 1, 1]].map(
    ([css, name, column, row]) => {
      const x = 66 + cell * (column + 0.5), y = 18 + tall * (row + 0.5);
      const square = mark(svg, 'rect', { class: css, rx: 2 });
      const count = mark(svg, 'text', { class: 'count', x, y: y + 1 });
      const word = mark(svg, 'text', { class: 'name', x, y: y + 15 }, name);
      return { x, y, square, count, word, side: Math.min(cell, tall) - 4, room: Math.max(46, 6.2 * name.length + 8) };
    },
  );
}

function bones(panel) {
  const { rows, data, root } = panel, list = root.querySelector('.bones'), most = Math.max(1, ...rows.abnormal);
  list.replaceChildren();
  panel.parts.bones = data.groups.map((name, group) => {
    const row = document.createElement('div'), part = (tag, css) => {
      const made = document.createElement(tag);
      made.className = css;
      return made;
    };
    const bone = part('span', 'bone'), track = part('span', 'track'), frame = part('i', ''), bar = part('b', ''), n = part('span', 'n');
    row.setAttribute('role', 'listitem');
    bone.textContent = name;
    bone.title = name;
    frame.style.width = bar.style.width = `${(100 * rows.abnormal[group]) / most}%`;
    track.append(frame, bar);
    track.setAttribute('aria-hidden', 'true');
    const count = part('b', ''), of = document.createTextNode('');
    n.append(count, of);
    row.append(bone, track, n);
    list.append(row);
    return { bar, count, of };
  });
}

function curve(panel, name, missing, { x, y, names, chance, about }) {
  const section = panel.root.querySelector(`.${name}`), svg = section.querySelector('svg');
  section.querySelector('.nothing')?.remove();
  svg.replaceChildren();
  say(section.querySelector('small'), about);
  svg.style.display = missing ? 'none' : '';
  panel.parts[name] = null;
  if (missing) {
    const note = document.createElement('p'), title = document.createElement('b');
    note.className = 'nothing';
    title.textContent = 'Not estimable';
    note.append(title, `${missing}; a curve needs abnormal and normal ones.`);
    section.append(note);
    return;
  }
  const width = section.clientWidth, side = Math.min(width - 54, 330), left = 46, top = 8, height = side + 52;
  set(svg, { height, viewBox: `0 0 ${width} ${height}` });
  const to = (u, v) => [left + u * side, top + (1 - v) * side];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const [px, py] = to(share, share);
    mark(svg, 'line', { class: 'rule', x1: left, x2: left + side, y1: py, y2: py });
    mark(svg, 'line', { class: 'rule', x1: px, x2: px, y1: top, y2: top + side });
    mark(svg, 'text', { class: 'tick', x: left - 6, y: py + 4, 'text-anchor': 'end' }, `${100 * share}%`);
    mark(svg, 'text', { class: 'tick', x: px, y: top + side + 16, 'text-anchor': 'middle' }, `${100 * share}%`);
  }
  mark(svg, 'text', { class: 'title', x: left + side / 2, y: top + side + 36, 'text-anchor': 'middle' }, names[0]);
  mark(svg, 'text', { class: 'title', x: 0, y: 0, 'text-anchor': 'middle', transform: `translate(9 ${top + side / 2}) rotate(-90)` }, names[1]);
  const path = (points) => points.map(([u, v], place) => `${place ? 'L' : 'M'}${to(u, v).map((part) => part.toFixed(1)).join(' ')}`).join('');
  mark(svg, 'path', { class: 'chance', d: path(chance) });
  const points = x.map((u, place) => [u, y[place]]).filter(([u, v]) => !Number.isNaN(u + v));
  mark(svg, 'path', { class: 'curve', d: path(points) });
  const across = mark(svg, 'line', { class: 'cross', x1: left }), down = mark(svg, 'line', { class: 'cross', y2: top + side });
  const dot = mark(svg, 'path', { class: 'dot', d: 'M0-9L9 0L0 9L-9 0z' });
  const reach = mark(svg, 'rect', { class: 'reach', x: left, y: top, width: side, height: side });
  panel.parts[name] = { x, y, to, across, down, dot };
  draggable(panel, reach, svg, (event) => {
    const [px, py] = inside(svg, event);
    let best = panel.at, least = Infinity;
    for (let place = 0; place < x.length; place += 1) {
      const [cx, cy] = to(x[place], y[place]), far = (cx - px) ** 2 + (cy - py) ** 2;
      if (far < least) [best, least] = [place, far];
    }
    return best;
  });
}
