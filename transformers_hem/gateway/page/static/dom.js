// Elements made of names and texts. Strings become text, never HTML.

export const byId = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
}

// Only what differs: what stands there already is not read out, or drawn, again.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The same for children: a selection, or a screen reader's place, stays.
export function replaced(parent, children) {
  const now = el(parent.tagName, {}, ...children);
  if (now.innerHTML !== parent.innerHTML) parent.replaceChildren(...now.childNodes);
}

export function badge(route, text = route) {
  return el("span", { class: `badge ${route}` }, text);
}

// A score from 0 to 1 beside the threshold: left of it is the edge, right of it the cloud.
export function scale(score, threshold) {
  const x = (value) => 6 + 108 * Math.min(1, Math.max(0, value));
  const label = `score ${score.toFixed(3)}, threshold ${threshold.toFixed(3)}`;
  return svg("svg", { class: "scale", viewBox: "0 0 120 16", role: "img", "aria-label": label },
    svg("rect", { class: "edge", x: 6, y: 6, width: x(threshold) - 6, height: 4 }),
    svg("rect", { class: "cloud", x: x(threshold), y: 6, width: 114 - x(threshold), height: 4 }),
    svg("line", { class: "tick", x1: x(threshold), x2: x(threshold), y1: 1, y2: 15 }),
    svg("circle", { class: "dot", cx: x(score), cy: 8, r: 4.5 }));
}
