// Sends the presenter's view of the films to the page, or shows a follower what the page has received.
const WAIT = 120;

export default function ({ data, setStateValue }) {
  if (data.receives) {
    globalThis.overreadStage = data.view ? () => globalThis.overreadView?.show(data.view, data.presenter) : undefined;
    globalThis.overreadStage?.();
    return () => { delete globalThis.overreadStage; };
  }
  let timer = null, sent = '';
  const send = () => {
    timer = null;
    const view = globalThis.overreadView?.read();
    if (!view) return;
    // In a blind reading, pointer and boxes would reveal what the presenter thinks.
    const shown = data.blind ? { ...view, pointer: null, boxes: [] } : view;
    const text = JSON.stringify(shown);
    if (text === sent) return;
    sent = text;
    setStateValue('view', shown);
  };
  const soon = () => { timer ??= setTimeout(send, WAIT); };
  addEventListener('overread-view', soon);
  soon();
  return () => {
    clearTimeout(timer);
    removeEventListener('overread-view', soon);
  };
}
