/** Makes an element: `el("button", {class: "step", "aria-label": "One frame on"}, "›")`. Text is set
 * as text, so that nothing that comes from a file is read as markup; handlers are named `onclick`. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A label on its colour. Colours are set through the object model, which the page's content
 * security policy allows; it allows no style attributes. */
export function chip(state, ...more) {
  const made = el("span", {class: "chip"}, state.key, ...more);
  made.style.background = state.color;
  made.style.color = state.ink;
  return made;
}

/** `fn`, but for a burst of calls only once, `delay` ms after the last. */
export function settled(fn, delay) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(fn, delay);
  };
}
