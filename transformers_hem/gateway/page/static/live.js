// What changes: asked for every second while somebody looks.

import { call, messageOf } from "./api.js";
import { badge, byId, el, replaced, say, svg } from "./dom.js";
import { age, amount, count, duration, percent, reasonName } from "./words.js";

const EVERY = 1000, LONGEST = 10000; // milliseconds

// Calls `told(state)` with each answer. Gives a function that asks at once.
export function watch(told) {
  let after = 0, run = null, pause = EVERY, timer = null, asking = false, paused = false;

  async function look() {
    clearTimeout(timer);
    if (asking || document.hidden || paused) return;
    asking = true;
    try {
      const answer = await call(`state.json?after=${after}`);
      if (answer.status === 401) {
        setPaused(true);
        return say(byId("fresh"), "needs a key");
      }
      if (!answer.ok) throw new Error(await messageOf(answer));
      const state = await answer.json();
      if (run !== null && run !== state.run && after > 0) { // another process: all of its requests
        after = 0;
        run = null;
        pause = 0;
        return;
      }
      run = state.run;
      after = state.last;
      pause = EVERY;
      say(byId("fresh"), "live");
      told(state);
    } catch {
      pause = Math.min(LONGEST, Math.max(EVERY, pause * 2));
      say(byId("fresh"), "no answer; trying again");
    } finally {
      asking = false;
      if (!document.hidden && !paused) timer = setTimeout(look, pause);
    }
  }

  function setPaused(value) {
    paused = value;
    const button = byId("pause");
    button.setAttribute("aria-pressed", String(value));
    say(button, value ? "Resume updates" : "Pause updates");
    say(byId("fresh"), value ? "paused" : "");
    if (!value) look();
  }

  byId("pause").addEventListener("click", () => setPaused(!paused));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
  return look;
}

export function showSides(state) {
  say(byId("site"), state.models[0]);
  const sides = Object.entries(state.sides).map(([side, doubt]) =>
    el("li", { class: doubt ? "down" : "" }, badge(side), ` ${doubt ? `is down: ${doubt}` : "is up"}`));
  replaced(byId("sides"), sides);
  const { router, version, at } = state.threshold;
  const { fixed, strategy } = state.learning;
  byId("router").title = router;
  say(byId("router"), router.split("/").pop() + (version === null ? "" : `, version ${version}`)
    + (fixed || strategy ? "" : `, threshold ${at.toFixed(3)}`));
}

export function showFigures(state) {
  const routes = { edge: 0, cloud: 0 }, reasons = new Map();
  for (const each of state.decisions) {
    const key = `${each.route} ${each.reason}`;
    reasons.set(key, { ...each, count: each.count + (reasons.get(key)?.count ?? 0) });
  }
  leaveOutCopies(reasons, state.copies);
  for (const each of reasons.values()) routes[each.route] += each.count;
  const all = routes.edge + routes.cloud, copies = (state.copies.edge ?? 0) + (state.copies.cloud ?? 0);
  say(byId("since"), `${age(state.seconds)} ago`);
  replaced(byId("tiles"), [
    tile("At the edge", all ? percent(routes.edge / all) : "–",
      `${count(routes.edge)} of ${count(all)} decisions${copies ? `; ${count(copies)} ${copies === 1 ? "copy" : "copies"} left out` : ""}`),
    times("First token", state, (side) => side.first),
    times("Whole answer", state, (side) => side.whole),
    tile("Failed", count(state.failed), `requests; calls of models: ${count(state.calls.failed ?? 0)}`),
    ...moneyTiles(state),
    tile("Tokens", count((state.tokens.edge ?? 0) + (state.tokens.cloud ?? 0)),
      `${count(state.tokens.edge ?? 0)} edge, ${count(state.tokens.cloud ?? 0)} cloud`),
    tile("Deciding", duration(state.deciding), "mean of all decisions"),
    ...draftTiles(state.drafts),
  ]);
  const most = Math.max(1, ...[...reasons.values()].map((each) => each.count));
  const rows = [...reasons.values()].sort((a, b) => b.count - a.count).map((each) =>
    el("li", {}, badge(each.route), el("span", { class: "name" }, reasonName(each.reason)),
      bar(each.route, each.count / most), el("span", { class: "number" }, count(each.count))));
  replaced(byId("reasons"), rows.length ? rows : [el("li", { class: "faint" }, "Nothing has been decided yet.")]);
}

// A query counts once, however often a program such as `hem batch` asks it again of a named side.
function leaveOutCopies(reasons, copies) {
  for (const [route, copied] of Object.entries(copies)) {
    const key = `${route} prefer`, named = reasons.get(key);
    if (!named) continue;
    if (named.count > copied) reasons.set(key, { ...named, count: named.count - copied });
    else reasons.delete(key);
  }
}

// Where the edge's model drafts for the cloud's.
function draftTiles(drafts) {
  if (!drafts) return [];
  const { answers, tokens, draft_rounds: rounds, drafted_tokens: drafted, accepted_tokens: taken, cloud_passes: passes } = drafts;
  return [
    tile("Drafts taken", drafted ? percent(taken / drafted) : "–", `${count(taken)} of ${count(drafted)} tokens, ${count(rounds)} rounds`),
    tile("Cloud passes a token", tokens ? (passes / tokens).toFixed(2) : "–",
      `answers: ${count(answers.speculative)} by both, ${count(answers.cloud)} cloud alone, ${count(answers.edge)} edge alone`),
  ];
}

function moneyTiles(state) {
  if (!state.prices) return [tile("Cost", "–", "no prices: HEM_PRICES_FILE")];
  const { currency } = state.prices;
  const spent = Object.values(state.cost).reduce((sum, each) => sum + each, 0);
  const unknown = state.prices.cloud ? "no answer of the edge yet" : "the cloud's price is not known";
  const saved = state.saved === null ? unknown : "against the cloud alone";
  return [
    tile(`Cost, ${currency}`, amount(spent), "all calls of models"),
    tile(`Saved, ${currency}`, state.saved === null ? "–" : amount(state.saved), saved),
  ];
}

function times(name, state, of) {
  const told = ["edge", "cloud"].filter((side) => state.times[side] && of(state.times[side]));
  if (!told.length) return tile(name, "–", "no chat yet");
  const values = told.map((side) => el("span", { class: "side" }, duration(of(state.times[side]).median), badge(side)));
  const tails = told.map((side) => duration(of(state.times[side]).p95)).join(", ");
  return tile(name, values, `median; p95 ${tails}`);
}

function tile(name, value, note) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, ...[value].flat()), el("dd", { class: "note" }, note));
}

function bar(route, share) {
  return svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: route, x: 0, y: 0, width: Math.max(1, 100 * share), height: 8 }));
}
