// What another threshold would give, by what the router's calibration or its training measured.

import { call } from "./api.js";
import { drawn, nearest } from "./chart.js";
import { byId, el, replaced, say } from "./dom.js";
import { amount, count, percent, threeDigits } from "./words.js";

// Why there is no promise, by what the curve is of; a command follows.
const LACKING = {
  training: "This is no promise for your requests. Labelled rows of yours give one:",
  calibration: "The threshold in force is not the one that was calibrated, so nothing is promised of it. Labelled rows give a promise:",
  nothing: "Labelled rows of yours tell:",
};

let shown = null; // {points, now, chosen, percent}: of the curve that is there
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
  } else if (about.strategy) {
    parts.push(el("p", {}, `The strategy ${about.strategy} gets all requests: there is no threshold to choose.`));
  } else if (about.curve) {
    parts.push(...curve(about));
  } else {
    parts.push(el("p", {}, `What other thresholds than ${threeDigits(about.threshold)} would give is not known: `
      + `${about.router ?? about.algorithm} has no curve of a calibration.`));
  }
  if (about.run) {
    parts.push(el("p", { class: "faint" }, LACKING[about.curve?.of ?? "nothing"]), el("pre", {}, about.run));
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
  return [
    el("div", { id: "chart" }), el("label", { for: "slider", class: "hidden" }, "Share of the requests at the edge"), slider(),
    el("p", { class: "faint small" }, measured(of, rows, quality)),
    el("table", { id: "compare" }),
    el("p", { id: "how", class: "faint small" }),
    el("details", {}, el("summary", {}, "All thresholds"), table()),
  ];
}

function measured(of, rows, quality) {
  const on = of === "training" ? `in training, on ${count(rows)} rows that were new to the model that scored them`
    : `on ${count(rows)} rows of the calibration`;
  return quality ? `Quality over the share at the edge, measured ${on}. Broken line: by chance.`
    : `The threshold over the share at the edge, ${on}. They have no labels, so quality is not known.`;
}

// Its value is the share in thousandths; it stops where a threshold was measured.
function slider() {
  const { points, chosen } = shown;
  const at = (each) => Math.round(1000 * each.share);
  const input = el("input", { type: "range", id: "slider", min: 0, max: 1000, value: at(points[chosen]) });
  const choose = (index) => {
    shown.chosen = Math.min(points.length - 1, Math.max(0, index));
    input.value = at(points[shown.chosen]);
    draw();
    tell();
  };
  input.addEventListener("input", () => {
    const moved = Math.sign(input.valueAsNumber - at(points[shown.chosen]));
    const near = nearest(points, input.valueAsNumber / 1000);
    choose(near === shown.chosen ? near + moved : near); // one step is at least one threshold
  });
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5, Home: -1e6, End: 1e6 };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(points.indexOf(shown.now));
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(shown.chosen + steps[event.key]);
  });
  return input;
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
  const { points, now, chosen } = shown, would = points[chosen], same = would === now;
  byId("slider").setAttribute("aria-valuetext", `${percent(would.share)} at the edge, threshold ${threeDigits(would.at)}`
    + (would.quality === null ? "" : `, quality ${quality(would.quality)}`) + (same ? ", in force" : ""));
  const rows = [["Threshold", threeDigits, (each) => each.at, ""],
    ["At the edge", (share) => percent(share, 1), (each) => each.share, " points"],
    ["Quality", quality, (each) => each.quality, shown.percent ? " points" : ""],
    ["To the cloud, of 1,000", (number) => count(Math.round(number)), (each) => 1000 * (1 - each.share), ""],
    [`Cost of 1,000 chats, ${prices?.currency}`, amount, cost, ""]];
  replaced(byId("compare"), [
    el("thead", {}, el("tr", {}, el("td"), ...["Now", "Would be", "Change"].map((name) => el("th", { scope: "col", class: "number" }, name)))),
    el("tbody", {}, ...rows.filter(([, , of]) => typeof of(now) === "number").map(([name, named, of, unit]) => el("tr", {},
      el("th", { scope: "row" }, name), el("td", { class: "number" }, named(of(now))), el("td", { class: "number" }, named(of(would))),
      el("td", { class: "number" }, same ? "–" : change(of(would) - of(now), named, unit))))),
  ]);
  say(byId("how"), same ? "Move the slider to see another one. Nothing on the server changes."
    : `Nothing has changed on the server. To set it there: HEM_THRESHOLD=${would.at}`);
}

const quality = (value) => (shown.percent ? percent(value, 1) : threeDigits(value));

function change(by, named, unit) {
  const text = named(Math.abs(by));
  return `${by < 0 ? "−" : "+"}${unit ? text.replace("%", unit) : text}`;
}

// By what chats have cost so far, where both sides have answered some.
function cost(point) {
  const edge = times.edge?.cost, cloud = times.cloud?.cost;
  if (!prices || typeof edge !== "number" || typeof cloud !== "number") return null;
  return 1000 * (point.share * edge + (1 - point.share) * cloud);
}

function table() {
  const few = shown.points.filter((each, i, all) => each === shown.now || i % 2 === 0 || i === all.length - 1);
  return el("table", {},
    el("thead", {}, el("tr", {}, ...["Threshold", "At the edge", "Quality"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...few.map((each) => el("tr", {},
      el("td", {}, `${threeDigits(each.at)}${each === shown.now ? " (now)" : ""}`), el("td", {}, percent(each.share, 1)),
      el("td", {}, each.quality === null ? "–" : quality(each.quality))))));
}

export function redraw() {
  if (shown) draw();
}
