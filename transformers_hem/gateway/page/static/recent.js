// The last requests: what was decided and what it took, without their texts.

import { badge, byId, el, say, scale } from "./dom.js";
import { amount, count, duration, why } from "./words.js";

const MOST = 50; // rows
const time = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function showRecent(state, restarted) {
  const rows = byId("rows");
  if (restarted) rows.replaceChildren();
  byId("cost-column").hidden = !state.prices;
  if (state.prices) say(byId("cost-column"), `Cost, ${state.prices.currency}`);
  rows.prepend(...state.recent.map((each) => row(each, state.prices)));
  while (rows.children.length > MOST) rows.lastElementChild.remove();
  byId("none").hidden = rows.children.length > 0;
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
