// What the router promises and what live queries show of it; its versions; what has come back from use.

import { byId, el, replaced, svg } from "./dom.js";
import { count, moment, threeDigits } from "./words.js";

const NAMES = { re_ask: "re-asks", retry: "retries", same_answer: "same answers", left_out: "left out", kept: "kept by a guard", busy: "edge busy" };
const ROWS = { base: "base rows", shadow: "shadow pairs", explicit: "users' feedback" };
// Marks beside a verdict; colour alone tells nothing.
const MARKS = { kept: "✓", broken: "✕", unknown: "?", none: "–" };

export function showLearning(state) {
  const { learning, threshold } = state, said = verdict(learning);
  const mark = el("span", { "aria-hidden": "true" }, MARKS[said.kind]);
  replaced(byId("promised"), [el("a", { href: "#learning", class: `verdict ${said.kind}` }, mark, ` ${said.short}`)]);
  replaced(byId("promise"), [
    el("p", { class: `verdict ${said.kind}` }, mark.cloneNode(true), ` ${said.title}`),
    fallen(learning.version),
    measured(learning),
    ...said.lines.map((line) => el("p", { class: "small" }, line)),
  ]);
  replaced(byId("versions"), versions(learning, threshold.router));
  replaced(byId("feedback"), feedback(learning.feedback));
}

// Until the version in force is checked itself.
function fallen(version) {
  const checked = version?.checked;
  if (!checked || checked.version === version.number || checked.kept !== false) return "";
  return el("p", { class: "failed" }, `Version ${checked.version} broke its promise, by the last check, ${moment(checked.at)}. `
    + `Version ${version.number} is in force.`);
}

// {kind, short, title, lines}: what is known of the promise now.
export function verdict({ promise, version, fixed, strategy }) {
  const checked = version?.checked, ours = checked && checked.version === version.number ? checked : null;
  if (!promise && (fixed || strategy)) {
    return { kind: "none", short: "nothing promised", title: "Nothing is promised", lines: [fixed
      ? `All goes to the ${fixed}: there is no threshold that could promise anything.`
      : `The strategy ${strategy} makes the answers, and no threshold that could promise anything of them.`] };
  }
  if (!promise) {
    return { kind: "none", short: "nothing promised", title: "Nothing is promised", lines: [
      "No limit is set to what the edge's answers may lose against the cloud's, and nothing watches it. "
      + (version ? "Retraining with shadow pairs or labelled rows gives a promise." : "A calibration on labelled rows gives a promise.")] };
  }
  const told = `Promised: ${promise.promise}.`;
  if (promise.target !== "max_quality_loss") {
    return { kind: "none", short: "no quality promised", title: "A promise, but not of quality",
      lines: [told, "What the edge's answers lose against the cloud's is not promised, and nothing watches it."] };
  }
  if (!version) {
    return { kind: "unknown", short: "promise not watched", title: "Promised, and not watched",
      lines: [told, "Live queries are checked where the router is a folder of versions: hem retrain --check."] };
  }
  if (!ours) {
    return { kind: "unknown", short: "promise not checked", title: "Promised, and not checked yet",
      lines: [told, "hem retrain --check compares it with live queries; run it every few minutes."] };
  }
  const when = `Checked ${moment(ours.at)}.`;
  if (ours.kept === false) {
    return { kind: "broken", short: "promise broken", title: "The promise is broken", lines: [`${sentence(ours.sentence)} ${when}`] };
  }
  if (typeof ours.live !== "number") {
    return { kind: "unknown", short: "promise not known", title: "Promised, and not known whether it holds",
      lines: [told, `Too few shadow pairs have come back since this version is in force. ${when}`] };
  }
  const found = held(ours, promise.limit);
  return { ...found, lines: [told, ...found.lines, `By ${count(ours.rows)} shadow pairs. ${when}`] };
}

// Of a check that has not refuted the promise: what its interval says.
function held({ live, high }, limit) {
  if (live > limit) {
    return { kind: "unknown", short: "promise in doubt", title: "The promise is in doubt",
      lines: ["Live queries have lost more than is promised, which may still be chance. More shadow pairs will tell."] };
  }
  if (high > limit) {
    return { kind: "kept", short: "promise kept so far", title: "The promise is kept so far",
      lines: ["The loss may also be above what is promised: the interval is still wide. More shadow pairs narrow it."] };
  }
  return { kind: "kept", short: "promise kept", title: "The promise is kept", lines: [] };
}

// Both numbers, and where they lie: the interval of the live loss beside what is promised at most.
function measured({ promise, version }) {
  if (promise?.target !== "max_quality_loss") return "";
  const checked = version?.checked, live = checked && checked.version === version.number && typeof checked.live === "number" ? checked : null;
  const between = live ? `${live.low.toFixed(3)} to ${live.high.toFixed(3)}` : "not measured";
  return el("div", { id: "losses" },
    el("dl", { class: "tiles" },
      el("div", {}, el("dt", {}, "Quality loss, live"), el("dd", {}, live ? live.live.toFixed(3) : "–"), el("dd", { class: "note" }, between)),
      el("div", {}, el("dt", {}, "Promised, at most"), el("dd", {}, threeDigits(promise.limit)), el("dd", { class: "note" }, "against the cloud alone"))),
    live ? scaled(live, promise.limit) : "");
}

function scaled({ live, low, high, kept }, limit) {
  const from = Math.min(0, low), to = Math.max(limit, high) * 1.12 || 1;
  const x = (value) => 6 + 288 * (value - from) / (to - from);
  const label = `live quality loss ${live.toFixed(3)}, between ${low.toFixed(3)} and ${high.toFixed(3)}; promised at most ${limit}`;
  return svg("svg", { class: `loss ${kept ? "kept" : "broken"}`, viewBox: "0 0 300 34", role: "img", "aria-label": label },
    svg("rect", { class: "room", x: x(from), y: 8, width: x(limit) - x(from), height: 8 }),
    svg("rect", { class: "over", x: x(limit), y: 8, width: x(to) - x(limit), height: 8 }),
    svg("rect", { class: "interval", x: x(low), y: 9.5, width: Math.max(1, x(high) - x(low)), height: 5 }),
    svg("circle", { class: "dot", cx: x(live), cy: 12, r: 5 }),
    svg("line", { class: "limit", x1: x(limit), x2: x(limit), y1: 3, y2: 21 }),
    svg("text", { x: x(0), y: 32, "text-anchor": x(0) > 20 ? "middle" : "start" }, "0"),
    svg("text", { x: x(limit), y: 32, "text-anchor": "middle" }, `${threeDigits(limit)} promised`));
}

function versions({ version, fixed, strategy }, router) {
  if (!version) {
    return [el("p", { class: "faint small" }, fixed || strategy ? "There is no router here that could be retrained."
      : `${router} is no folder of versions, so that it is not retrained here.`)];
  }
  const { number, switches, retrained } = version;
  const parts = [el("p", {}, "Version ", el("strong", { id: "version" }, String(number)), " is in force.")];
  if (switches.length) {
    parts.push(el("ol", { id: "switches" }, ...switches.map(({ at, to, how, why }) =>
      el("li", { class: how === "rolled back" ? "back" : "" },
        el("span", { class: "what" }, how === "rolled back" ? `back to ${to}` : `${to} ${how}`),
        el("span", { class: "faint" }, el("time", { datetime: at }, moment(at)), why ? `: ${why}` : "")))));
  }
  if (retrained) {
    const rows = Object.entries(retrained.rows ?? {}).map(([kind, rows]) => `${count(rows)} ${ROWS[kind] ?? kind}`).join(", ");
    parts.push(el("p", { id: "retrained", class: "small" },
      `Last retraining, ${moment(retrained.at)}, ${retrained.promoted ? `version ${retrained.version} promoted` : "not promoted"}: ${retrained.why}.`
      + (rows ? ` Rows: ${rows}.` : "")));
  }
  return parts;
}

function feedback(told) {
  if (!told) {
    return [el("p", { class: "faint small" }, "No feedback is kept here: HEM_FEEDBACK_STORE names a store.")];
  }
  const { said, signals, shadow, decisions } = told;
  const all = (counts) => Object.values(counts).reduce((sum, each) => sum + each, 0);
  const named = (counts, without = []) => Object.entries(counts).filter(([name, each]) => each && !without.includes(name))
    .map(([name, each]) => `${NAMES[name] ?? name} ${count(each)}`).join(", ");
  const tiles = [
    tile("Decisions kept", decisions.kept ?? 0, decisions.dropped ? `${count(decisions.dropped)} dropped` : "in the store"),
    tile("Users' feedback", said.user ?? 0,
      [told.unknown ? `${count(told.unknown)} of unknown requests` : "", told.refused ? `${count(told.refused)} refused` : ""].filter(Boolean).join(", ") || "none refused"),
    tile("Shadow pairs", shadow.scored ?? 0, named(shadow, ["scored"]) || "none left out"),
    tile("Noticed", all(signals), named(signals) || "retries, re-asks, same answers"),
  ];
  return [
    told.up ? "" : el("p", { class: "failed" }, "The store can't be written: feedback is refused, and decisions wait in memory. The server's log says why."),
    el("dl", { class: "tiles" }, ...tiles),
  ].filter(Boolean);
}

function tile(name, number, note) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, count(number)), el("dd", { class: "note" }, note));
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "");
