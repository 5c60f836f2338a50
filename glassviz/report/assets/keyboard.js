/** Elements that mean something else by a key: it is theirs while they have the focus. */
const OWN = {" ": "button, summary, a, select, input:not([type=range])",
  ArrowLeft: "select", ArrowRight: "select"};
const TYPED = "select, input:not([type=range])";

/**
 * Listen to the keys of the page.
 *
 * @param actions seek(frames), second(direction), toggle(), visit(direction), label(digit, right),
 *   compare(), help(), start(), end()
 */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const action = actionOf(event, actions);
    const theirs = OWN[event.key] ?? TYPED;
    if (!action || event.target.closest?.(theirs)) return;
    event.preventDefault();
    action();
  });
}

function actionOf({key, code, shiftKey}, actions) {
  // Which key it is, not what it writes: with shift, digits write signs.
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1];
  if (digit) return () => actions.label(digit, shiftKey);
  const direction = {ArrowLeft: -1, ArrowRight: 1}[key];
  if (direction) return () => (shiftKey ? actions.second(direction) : actions.seek(direction));
  return {
    " ": actions.toggle,
    Home: actions.start,
    End: actions.end,
    n: () => actions.visit(1),
    p: () => actions.visit(-1),
    c: actions.compare,
    "?": actions.help,
  }[key];
}
