// Boxes on radiographs: {film, box: [x0, y0, x1, y1]}, film its place from 0, corners in shares of the whole film.
const LEAST = 0.01;
const rounded = (box) => box.map((value) => Math.round(1e6 * clamp(value, 0, 1)) / 1e6);

function boxElement({ name, at, own }, edited, label) {
  const out = make('div', undefined, `box-of ${own ? 'own' : 'theirs'}`);
  out.dataset.box = at;
  out.setAttribute('aria-label', label);
  out.setAttribute('role', edited ? 'button' : 'img');
  if (edited) {
    out.tabIndex = 0;
    for (const corner of ['nw', 'ne', 'sw', 'se']) out.append(make('i', undefined, corner));
  }
  if (name) out.append(make('span', name));
  return out;
}

function placeBox(element, box) {
  const [x0, y0, x1, y1] = box;
  Object.assign(element.style, {
    left: `${100 * x0}%`, top: `${100 * y0}%`, width: `${100 * (x1 - x0)}%`, height: `${100 * (y1 - y0)}%`,
  });
}

// The box after a drag from one point to another; part: 'new', 'move', or the corner that is dragged.
function dragged(part, box, from, to) {
  if (part === 'new') return rounded([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  if (part === 'move') return moved(box, dx, dy);
  const [x0, y0, x1, y1] = box;
  const left = part.includes('w') ? x0 + dx : x0, right = part.includes('e') ? x1 + dx : x1;
  const top = part.includes('n') ? y0 + dy : y0, bottom = part.includes('s') ? y1 + dy : y1;
  return rounded([Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)]);
}

function moved(box, dx, dy) {
  const x = clamp(dx, -box[0], 1 - box[2]), y = clamp(dy, -box[1], 1 - box[3]);
  return rounded([box[0] + x, box[1] + y, box[2] + x, box[3] + y]);
}

const largeEnough = ([x0, y0, x1, y1]) => x1 - x0 >= LEAST && y1 - y0 >= LEAST;
