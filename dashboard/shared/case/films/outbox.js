// Presses of keys that the page has not reported as taken. They outlive the viewer, which may be drawn anew at any time.
const RESEND = 1000; // ms

function pressesOf({ look, data, setStateValue, parentElement, say, listen }) {
  const outbox = (globalThis.overreadOutbox ??= { presses: [], sent: 0, at: 0 });
  const { taken = [], refused = [] } = data.press ?? {};
  const lost = outbox.presses.filter((one) => refused.includes(one.id));
  outbox.presses = outbox.presses.filter((one) => !taken.includes(one.id) && !refused.includes(one.id));
  if (lost.length) say('The case changed before the key was taken. Press it again.');
  const send = () => {
    outbox.at = Date.now();
    outbox.sent += 1;
    setStateValue('outbox', { presses: outbox.presses, sent: outbox.sent });
  };
  const app = () => document.querySelector('[data-testid=stApp]')?.dataset ?? {};
  const again = setInterval(() => {
    if (!parentElement.isConnected) return;
    const late = outbox.presses.length && Date.now() - outbox.at > RESEND;
    // While a script runs, the page may still be about to report the press.
    if (late && app().testScriptState === 'notRunning' && app().testConnectionState === 'CONNECTED') send();
  }, 500);
  listen.signal.addEventListener('abort', () => clearInterval(again));
  return (key) => {
    outbox.presses.push({ id: newId(), token: look.data.press.token, key });
    send();
  };
}

// `crypto.randomUUID` exists on secure pages only, and the page of a server in the same network is often not secure.
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
