// The last requests: what was decided and what it took, without their texts.

import { badge, byId, el, say, scale } from "./dom.js";
import { amount, count, duration, why } from "./words.js";

const MOST = 50; // rows of users, and as many copies
const time = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function showRecent(state, restarted) {
  const rows = byId("rows"), copies = byId("copies");
  if (restarted) for (const each of [rows, copies]) each.replaceChildren();
  byId("cost-column").hidden = !state.prices;
  if (state.prices) say(byId("cost-column"), `Cost, ${state.prices.currency}`);
  for (const [body, isCopy] of [[rows, false], [copies, true]]) {
    body.prepend(...state.recent.filter((each) => each.copy === isCopy).map((each) => row(each, state.prices)));
    while (body.children.length > MOST) body.lastElementChild.remove();
  }
  fold(rows, copies);
}

// What programs ask of a named side, as `hem batch` does for its copies, is folded away.
function fold(rows, copies) {
  const button = byId("fold"), number = copies.children.length, last = number === MOST ? "the last " : "";
  byId("none").hidden = rows.children.length > 0 || (number > 0 && !copies.hidden);
  button.hidden = !number;
  button.setAttribute("aria-expanded", String(!copies.hidden));
  say(button, `${copies.hidden ? "Show" : "Hide"} ${last}${count(number)} that named a side, such as copies of hem batch`);
  button.onclick = () => {
    copies.hidden = !copies.hidden;
    fold(rows, copies);
    if (!copies.hidden) rows.closest(".wide").scrollTop = rows.offsetHeight; // they stand below all others
  };
}

function row(each, prices) {
  const scored = typeof each.score === "number";
  const cost = typeof each.cost === "number" && prices ? amount(each.cost) : "–";
  return el("tr", { class: each.status >= 400 ? "bad" : "" },
    el("td", {}, el("time", { datetime: new Date(1000 * each.at).toISOString() }, time.format(1000 * each.at))),
    el("td", {}, each.route ? badge(each.route) : "–"),
    el("td", {}, scored ? el("span", { class: "scored" }, scale(each.score, each.threshold),
      el("span", {}, each.score.toFixed(3))) : "–"),
    el("td", { class: "why" }, ended(each)),
    el("td", {}, each.model || (each.way === "v2" ? "by the graph" : "–")),
    el("td", { class: "number" }, each.tokens ? count(each.tokens[0] + each.tokens[1]) : "–"),
    el("td", { class: "number" }, duration(each.first)),
    el("td", { class: "number" }, each.way === "v2" ? "–" : duration(each.seconds)),
    prices ? el("td", { class: "number" }, cost) : "");
}

function ended(each) {
  const told = why(each);
  if (each.status === 499) return `${told}; the caller left`;
  if (each.status >= 400) return `${told}; failed with ${each.status}`;
  return each.degraded ? `${told}; the cloud failed (${each.degraded}), so the edge answered` : told;
}
