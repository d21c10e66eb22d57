// Where each radiograph is drawn. Sizes are in CSS pixels; shares are of a radiograph's width and height.
const GAP = 4, SMALLEST = 150;

// Every way to cut a list into consecutive groups. Long lists are only cut into groups of one size.
function groupings(items) {
  const cut = (size) => items.reduce((out, item, at) => {
    if (at % size) out.at(-1).push(item);
    else out.push([item]);
    return out;
  }, []);
  if (items.length > 6) return items.map((_, at) => cut(at + 1));
  const all = [];
  for (let code = 0; code < 2 ** (items.length - 1); code += 1) {
    const groups = [[items[0]]];
    items.slice(1).forEach((item, at) => {
      if (code & (2 ** at)) groups.push([item]);
      else groups.at(-1).push(item);
    });
    all.push(groups);
  }
  return all;
}

// Frames {left, top, width, height} without gaps between a frame and its radiograph, as large as possible: in rows of
// one height, or, if `columns`, also in columns of one width.
function arrange(aspects, width, height, columns) {
  const places = aspects.map((_, place) => place);
  let best = { area: -1 };
  for (const upright of columns ? [false, true] : [false]) {
    // Rows of the mirrored radiographs (height over width) are columns.
    const shapes = upright ? aspects.map((aspect) => 1 / aspect) : aspects;
    const [across, down] = upright ? [height, width] : [width, height];
    for (const rows of groupings(places)) {
      const free = (row) => across - GAP * (row.length - 1);
      const heights = rows.map((row) => free(row) / sum(row.map((place) => shapes[place])));
      const scale = Math.min(1, (down - GAP * (rows.length - 1)) / sum(heights));
      const area = sum(rows.flatMap((row, at) => row.map((place) => shapes[place] * (scale * heights[at]) ** 2)));
      if (area > best.area) best = { area, rows, heights, scale, shapes, upright };
    }
  }
  const { rows, heights, scale, shapes, upright } = best, frames = [];
  let top = 0;
  rows.forEach((row, at) => {
    let left = 0;
    for (const place of row) {
      const frame = { left, top, width: shapes[place] * scale * heights[at], height: scale * heights[at] };
      frames[place] = upright ? { left: frame.top, top: frame.left, width: frame.height, height: frame.width } : frame;
      left += frame.width + GAP;
    }
    top += scale * heights[at] + GAP;
  });
  return { frames, rows: upright ? null : rows };
}

// The frames stretched over the whole space.
function stretched(frames, width, height) {
  const right = Math.max(...frames.map((frame) => frame.left + frame.width)), bottom = Math.max(...frames.map((frame) => frame.top + frame.height));
  return frames.map((frame) => ({
    left: (frame.left * width) / right, top: (frame.top * height) / bottom, width: (frame.width * width) / right, height: (frame.height * height) / bottom,
  }));
}

// What the frames leave free beside or below them; null where it is too small for an enlarged radiograph.
function leftOver(frames, width, height) {
  const right = Math.max(...frames.map((frame) => frame.left + frame.width)) + GAP;
  const bottom = Math.max(...frames.map((frame) => frame.top + frame.height)) + GAP;
  if (width - right >= SMALLEST) return { left: right, top: 0, width: width - right, height };
  if (height - bottom >= SMALLEST) return { left: 0, top: bottom, width, height: height - bottom };
  return null;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// The part of a radiograph that is shown: inside its borders, or all of it.
const region = (film, whole) => (whole || !film.box ? [0, 0, 1, 1] : film.box);
const aspectOf = (film, whole) => {
  const [left, top, right, bottom] = region(film, whole);
  return (right - left) * (film.width || 1) / ((bottom - top) * (film.height || 1));
};

// Size of the shown part at zoom 1, and the point of it (shares) in the middle of its frame.
function placed(film, frame, look, centre, zoom) {
  const aspect = aspectOf(film, look.whole), fit = look.fill ? Math.max : Math.min;
  const width = fit(frame.width, frame.height * aspect), height = width / aspect;
  const middle = (size, space, wanted) => {
    const half = space / (2 * size * zoom);
    return half >= 0.5 ? 0.5 : clamp(wanted, half, 1 - half);
  };
  return { width, height, x: middle(width, frame.width, centre[0]), y: middle(height, frame.height, centre[1]) };
}
