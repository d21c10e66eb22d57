// Sends the chosen files in pieces, one after another. A piece that was lost is sent again; the server says how much it has.
const uploads = new WeakMap();
const WAITS = [1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60, 60];

export default function ({ data, parentElement, setStateValue }) {
  let upload = uploads.get(parentElement);
  const root = parentElement.querySelector('.upload');
  if (!upload || upload.root !== root) {
    upload = begin(root);
    uploads.set(parentElement, upload);
  }
  upload.data = data;
  upload.tell = (arrived) => setStateValue('arrived', arrived);
  root.querySelector('.name').textContent = data.label;
  root.querySelector('input').multiple = !data.one;
}

function begin(root) {
  const upload = { root, turn: 0 };
  const input = root.querySelector('input'), drop = root.querySelector('.drop');
  input.onchange = () => input.files.length && send(upload, [...input.files]);
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add('over'); };
  drop.ondragleave = () => drop.classList.remove('over');
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    if (event.dataTransfer.files.length) send(upload, [...event.dataTransfer.files]);
  };
  root.querySelector('button').onclick = () => stop(upload);
  return upload;
}

function stop(upload) {
  upload.turn += 1;
  if (upload.id) fetch(`${upload.data.address}/${upload.id}`, { method: 'DELETE' }).catch(() => {});
  upload.id = '';
  upload.root.querySelector('input').value = '';
  show(upload, null, '');
  upload.tell('');
}

async function send(upload, files) {
  const turn = ++upload.turn, current = () => turn === upload.turn;
  upload.tell('');
  try {
    const list = files.map((file) => ({ name: file.webkitRelativePath || file.name, size: file.size, modified: file.lastModified }));
    const total = list.reduce((sum, file) => sum + file.size, 0);
    if (upload.data.one && list.length > 1) throw new Error(`${list.length} files were chosen; one is expected.`);
    if (upload.data.most && total > upload.data.most) throw new Error(upload.data.tooLarge);
    show(upload, 0, 'Sending');
    const begun = await ask(upload, '', { method: 'POST', body: JSON.stringify({ files: list }) }, current);
    if (!begun) return;
    upload.id = begun.id;
    let done = begun.have.reduce((sum, bytes) => sum + bytes, 0);
    for (let place = 0; place < files.length; place += 1) {
      let at = begun.have[place];
      while (at < files[place].size) {
        const piece = files[place].slice(at, at + upload.data.piece);
        const answer = await ask(upload, `/${begun.id}/${place}?offset=${at}`, { method: 'PUT', body: piece }, current);
        if (!answer) return;
        done += answer.have - at;
        at = answer.have;
        show(upload, total ? done / total : 1, `${megabytes(done)} of ${megabytes(total)} MB`);
      }
    }
    show(upload, 1, `${megabytes(total)} MB are on the server`);
    upload.tell(begun.id);
  } catch (error) {
    if (current()) refuse(upload, String(error.message || error));
  }
}

// The answer to a request, asked again while the connection is down; null once something else was chosen.
async function ask(upload, path, options, current) {
  for (let tries = 0; current(); tries += 1) {
    let answer = null;
    try {
      const response = await fetch(upload.data.address + path, options);
      answer = await response.json();
      if (!current()) return null;
      if (response.ok) return answer;
    } catch (error) {
      // A file that was moved or changed cannot be read again; the connection is not the reason.
      if (error.name === 'NotReadableError' || error.name === 'NotFoundError') throw new Error('The file was moved or changed. Choose it again.');
    }
    // The page gets a new ticket once it is connected again.
    if (answer && (answer.code !== 'upload-ticket' || tries > 3)) throw new Error(answer.error);
    if (tries >= WAITS.length) throw new Error('The connection was lost. Choose the same files again: what has arrived is kept for an hour.');
    show(upload, undefined, 'The connection was lost. Trying again');
    await new Promise((ready) => setTimeout(ready, 1000 * WAITS[tries]));
  }
  return null;
}

function show(upload, share, words) {
  const going = upload.root.querySelector('.going'), bar = going.querySelector('progress');
  going.hidden = share === null;
  if (share !== null && share !== undefined) bar.value = share;
  bar.setAttribute('aria-label', 'Upload');
  const said = going.querySelector('output');
  if (said.textContent !== words) said.textContent = words;
  upload.root.querySelector('.refused').hidden = true;
}

function refuse(upload, sentence) {
  upload.root.querySelector('.going').hidden = true;
  const refused = upload.root.querySelector('.refused');
  refused.textContent = sentence;
  refused.hidden = false;
  upload.root.querySelector('input').value = '';
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
