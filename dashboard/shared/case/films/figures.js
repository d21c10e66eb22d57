// The elements of one radiograph: its frame, the part that is shown, the whole film in it, and its caption.
function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function picture(src, alt, kind) {
  const image = make('img', undefined, kind);
  image.src = src;
  image.alt = alt;
  image.draggable = false;
  return image;
}

function frameOf(film, place, image) {
  const frame = make('div', undefined, 'film');
  frame.dataset.place = place;
  if (!film.src) {
    frame.append(make('p', film.note));
    return frame;
  }
  const shown = make('div', undefined, 'shown'), plane = make('div', undefined, 'plane');
  plane.append(image);
  if (film.over) plane.append(picture(film.over, '', 'over'));
  plane.append(make('div', undefined, 'layer'));
  shown.append(plane);
  frame.append(shown);
  // On the film, since the caption may be below the first screen.
  if (film.verdict) frame.append(make('p', film.verdict.words, `verdict ${film.verdict.kind}`));
  return frame;
}

function figure(film, place) {
  const out = make('figure', undefined, film.highest ? 'highest' : '');
  // ahead.js has decoded it if this was the next case.
  let image = film.image;
  if (!image && film.src) image = picture(film.src, film.alt);
  if (image) Object.assign(image, { alt: film.alt, draggable: false });
  const caption = make('figcaption'), head = make('div', undefined, 'head');
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
  if (film.highest) caption.append(make('small', 'Highest score of the study', 'drove'));
  if (film.src && film.note) caption.append(make('small', film.note));
  if (film.details) caption.append(make('small', film.details));
  out.append(frameOf(film, place, image), caption);
  return out;
}

// The same radiograph enlarged, beside a single one that leaves much of the screen free.
function detail(film, place) {
  const out = make('figure', undefined, 'detail');
  const caption = make('figcaption');
  caption.append(make('b', 'Enlarged; follows the pointer'));
  out.append(frameOf(film, place, picture(film.src, `${film.title}, enlarged`)), caption);
  return out;
}
