// What another threshold would give, by what the router's calibration or its training measured.

import { call } from "./api.js";
import { byId, el, say } from "./dom.js";
import { drawn } from "./chart.js";
import { count, money, percent, threeDigits } from "./words.js";

let shown = null; // {points, now, at}: of the curve that is there
let known = null; // whose curve that is
let times = {}, prices = null;

// Asked for again where the router in force, or its threshold, is another one than before.
export async function showThreshold(state) {
  times = state.times;
  prices = state.prices;
  const key = JSON.stringify([state.run, state.threshold]);
  if (key === known) return tell();
  known = key;
  try {
    const answer = await call("threshold.json");
    if (!answer.ok) throw new Error();
    build(await answer.json());
  } catch {
    known = null;
  }
}

function build(about) {
  const host = byId("what-if");
  shown = null;
  const parts = [];
  if (about.fixed) {
    parts.push(el("p", {}, `${about.algorithm} sends everything to the ${about.fixed}: there is no threshold to choose.`));
  } else if (about.curve) {
    parts.push(...curve(about));
  } else {
    parts.push(el("p", {}, `What other thresholds than ${threeDigits(about.threshold)} would give is not known: `
      + `${about.router ?? about.algorithm} has no curve of a calibration.`));
  }
  if (about.promise) parts.push(el("p", {}, el("strong", {}, "Promised: "), about.promise, "."));
  if (about.run) {
    parts.push(el("p", { class: "faint" }, about.curve && about.curve.of === "training"
      ? "This is no promise for your requests. On labelled rows of yours you get one:" : "Labelled rows of yours tell:"),
    el("pre", { tabindex: 0, "aria-label": "Command" }, about.run));
  }
  host.replaceChildren(...parts);
  if (shown) { draw(); tell(); }
}

function curve(about) {
  const { thresholds, edge_share: shares, quality, rows, of } = about.curve;
  const points = thresholds.map((at, i) => ({ at, share: shares[i], quality: quality?.[i] ?? null }));
  const now = between(points, about.threshold);
  const place = points.findIndex((each) => each.at >= now.at);
  if (place < 0) points.push(now);
  else points.splice(place, points[place].at === now.at ? 1 : 0, now);
  shown = { points, now, chosen: points.indexOf(now), percent: points.every((p) => p.quality === null || (p.quality >= 0 && p.quality <= 1)) };
  const slider = el("input", { type: "range", id: "slider", min: 0, max: points.length - 1, step: 1, value: shown.chosen });
  slider.addEventListener("input", () => { shown.chosen = slider.valueAsNumber; draw(); tell(); });
  const back = el("button", { type: "button", id: "back", class: "quiet" }, "Back to now");
  back.addEventListener("click", () => { slider.value = shown.points.indexOf(now); slider.dispatchEvent(new Event("input")); slider.focus(); });
  return [
    el("figure", { id: "chart" }),
    el("div", { class: "slide" }, el("label", { for: "slider" }, "Share at the edge"), slider),
    el("p", { id: "would" }), el("p", { id: "how", class: "faint small" }), back,
    el("details", {}, el("summary", {}, "As a table"), table()),
    el("p", { class: "faint small" }, of === "training"
      ? `Measured in training, on ${count(rows)} rows that the model which scored them had not seen.`
      : `Measured on ${count(rows)} rows of the calibration.`,
    quality ? "" : " They had no labels, so quality is not known."),
  ];
}

// The threshold in force, which may lie between two that were measured.
function between(points, at) {
  const above = points.findIndex((each) => each.at >= at);
  if (above <= 0) return { ...points[above < 0 ? points.length - 1 : 0], at };
  const low = points[above - 1], high = points[above], part = (at - low.at) / (high.at - low.at);
  const mixed = (name) => low[name] === null ? null : low[name] + part * (high[name] - low[name]);
  return { at, share: mixed("share"), quality: mixed("quality") };
}

function draw() {
  const host = byId("chart");
  if (host) host.replaceChildren(drawn(shown, host.clientWidth || 320, quality));
}

function tell() {
  if (!shown) return;
  const { points, now, chosen } = shown, would = points[chosen];
  const slider = byId("slider");
  slider.setAttribute("aria-valuetext", `threshold ${threeDigits(would.at)}, ${percent(would.share)} at the edge`
    + (would.quality === null ? "" : `, quality ${quality(would.quality)}`));
  const same = would === now;
  const parts = [`At threshold ${threeDigits(would.at)}${same ? ", which is in force," : ""} ${percent(would.share, 1)} of the requests stay at the edge`];
  if (!same) parts.push(`, now ${percent(now.share, 1)}`);
  if (would.quality !== null) parts.push(`; the quality is ${quality(would.quality)}${same ? "" : `, now ${quality(now.quality)}`}`);
  if (!same) parts.push(`. Of 1,000 requests ${more(Math.round(1000 * (now.share - would.share)))}`);
  parts.push(cost(would, same), ".");
  say(byId("would"), parts.join(""));
  say(byId("how"), same ? "Move the slider to see another one. Nothing on the server changes."
    : `Nothing has changed on the server. To set it there: HEM_THRESHOLD=${would.at}`);
  byId("back").disabled = same;
}

const quality = (value) => (shown.percent ? percent(value, 1) : threeDigits(value));

function more(requests) {
  if (!requests) return "as many go to the cloud";
  return `${count(Math.abs(requests))} ${requests > 0 ? "more" : "fewer"} go to the cloud`;
}

// By what chats have cost so far, where both sides have answered some.
function cost(would, same) {
  const edge = times.edge?.cost, cloud = times.cloud?.cost;
  if (!prices || typeof edge !== "number" || typeof cloud !== "number") return "";
  const of = (share) => money(1000 * (share * edge + (1 - share) * cloud), prices.currency);
  return `${same ? ". 1,000 chats cost about " : " and 1,000 chats cost about "}${of(would.share)}${same ? "" : `, now ${of(shown.now.share)}`}`;
}

function table() {
  const few = shown.points.filter((each, i, all) => each === shown.now || i % 4 === 0 || i === all.length - 1);
  return el("table", {},
    el("thead", {}, el("tr", {}, ...["Threshold", "At the edge", "Quality"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...few.map((each) => el("tr", {},
      el("td", {}, `${threeDigits(each.at)}${each === shown.now ? " (now)" : ""}`), el("td", {}, percent(each.share, 1)),
      el("td", {}, each.quality === null ? "–" : quality(each.quality))))));
}

export function redraw() {
  if (shown) draw();
}
