// A question, its answer as it streams, and what the gateway decided about it.

import { call, messageOf } from "./api.js";
import { badge, byId, el, say, scale } from "./dom.js";
import { rating } from "./rating.js";
import { events } from "./stream.js";
import { count, duration, money, whyInFull } from "./words.js";

let messages = [];
let under_way = null; // the AbortController of the answer that streams

// `site()`: the models and prices that the gateway has told, null before; `ended()`: called after
// each answer.
export function openAsk(site, ended) {
  const question = byId("question");
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (!text || under_way || !site()) return;
    question.value = "";
    ask(text, site()).finally(ended);
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("form").requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") under_way?.abort();
  });
  byId("stop").addEventListener("click", () => under_way?.abort());
  byId("new").addEventListener("click", () => {
    under_way?.abort();
    messages = [];
    for (const turn of byId("log").querySelectorAll("article")) turn.remove();
    byId("empty").hidden = false;
    question.focus();
  });
}

async function ask(text, { models, prices, learning }) {
  const side = new FormData(byId("form")).get("side");
  const model = models.find((name) => side && name.endsWith(`-${side}`)) ?? models[0];
  const turn = new Turn(text, prices, Boolean(learning.feedback));
  const message = { role: "user", content: text };
  const control = new AbortController();
  busy(control);
  try {
    const body = JSON.stringify({
      model, messages: byId("keep").checked ? [...messages, message] : [message],
      stream: true, stream_options: { include_usage: true },
    });
    const headers = { "content-type": "application/json" };
    const answer = await call("../v1/chat/completions", { method: "POST", headers, body, signal: control.signal });
    turn.decided(answer.headers);
    if (!answer.ok) throw new Error(await messageOf(answer));
    for await (const data of events(answer.body)) turn.take(data);
    turn.ended();
    messages.push(message, { role: "assistant", content: turn.text });
  } catch (error) {
    turn.failed(control.signal.aborted ? "stopped" : error.message, control.signal.aborted);
  } finally {
    busy(null);
  }
}

function busy(control) {
  under_way = control;
  const stop = byId("stop");
  if (!control && document.activeElement === stop) byId("question").focus();
  stop.disabled = !control;
  byId("send").disabled = Boolean(control);
}

class Turn {
  // `rates`: whether this server keeps feedback.
  constructor(question, prices, rates) {
    this.prices = prices;
    this.rates = rates;
    this.id = null;
    this.began = performance.now();
    this.first = null;
    this.hem = null;
    this.usage = null;
    this.says = document.createTextNode("");
    this.answer = el("p", { class: "answer waiting" }, this.says);
    this.thinks = document.createTextNode("");
    this.thinking = el("details", { class: "faint small", hidden: "" }, el("summary", {}, "Reasoning"), el("p", {}, this.thinks));
    this.decision = el("p", { class: "decision" });
    this.facts = el("dl", { class: "facts" });
    this.article = el("article", {}, el("p", { class: "question" }, question), this.thinking, this.answer, this.decision, this.facts);
    byId("empty").hidden = true;
    byId("log").append(this.article);
    this.show();
  }

  get text() {
    return this.says.data;
  }

  // The headers come before the first token.
  decided(headers) {
    this.id = headers.get("x-request-id");
    const route = headers.get("x-hem-route");
    if (!route) return;
    const score = headers.get("x-hem-score");
    this.describe({ route, reason: headers.get("x-hem-reason"), score: score === null ? null : Number(score) });
    say(byId("spoken"), `The ${route} answers.`);
  }

  take(data) {
    if (data.error) throw new Error(data.error.message ?? "the answer broke off");
    const delta = data.choices?.[0]?.delta ?? {};
    if (delta.reasoning_content) {
      this.thinking.hidden = false;
      this.thinks.appendData(delta.reasoning_content);
    }
    const more = delta.content;
    if (more) {
      this.first ??= performance.now() - this.began;
      this.answer.classList.remove("waiting");
      const log = byId("log");
      const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      this.says.appendData(more);
      if (follows) log.scrollTop = log.scrollHeight;
    }
    this.usage = data.usage ?? this.usage;
    this.hem = data.hem ?? this.hem;
  }

  ended() {
    this.answer.classList.remove("waiting");
    if (!this.text) this.answer.append(el("em", { class: "faint" }, "an empty answer"));
    if (this.hem) this.describe(this.hem);
    this.tell();
    if (this.rates && this.id) this.article.append(rating(this.id));
    say(byId("spoken"), `Answer of the ${this.hem?.route ?? "gateway"}: ${this.text}`);
    this.show();
  }

  failed(message, stopped) {
    this.answer.classList.remove("waiting");
    this.article.append(el("p", { class: stopped ? "stopped" : "failed" }, stopped ? "Stopped by you." : message));
    this.tell();
    say(byId("spoken"), stopped ? "Stopped." : `Failed: ${message}`);
    this.show();
  }

  describe(decision) {
    // The headers tell no threshold; it comes with the end.
    const known = decision.threshold !== undefined;
    this.decision.replaceChildren(badge(decision.route),
      known && typeof decision.score === "number" ? scale(decision.score, decision.threshold) : "",
      known ? el("span", { class: "why" }, whyInFull(decision)) : "");
    if (decision.degraded) {
      this.decision.append(el("span", { class: "why" }, `the cloud failed (${decision.degraded}), so the edge answered`));
    }
    if (decision.speculation && decision.speculation !== "speculative" && !decision.degraded) {
      const alone = decision.speculation === "cloud" ? "the cloud answered alone" : "the edge answered alone";
      const reason = decision.speculation_reason === "measured" ? "to learn which way is faster" : decision.speculation_reason;
      this.decision.append(el("span", { class: "why" }, reason ? `${alone}: ${reason}` : alone));
    }
    if (decision.continues) {
      this.decision.append(el("span", { class: "why" }, `it goes on with the ${decision.continues}'s answer`));
    }
  }

  tell() {
    const { hem, usage } = this;
    const facts = [];
    if (hem?.served_by) facts.push(["model", hem.served_by]);
    if (this.first !== null) facts.push(["first token", duration(this.first / 1000)]);
    facts.push(["whole", duration((performance.now() - this.began) / 1000)]);
    if (usage) facts.push(["tokens", `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`]);
    if (hem?.drafted_tokens) {
      facts.push(["drafts taken", `${count(hem.accepted_tokens)} of ${count(hem.drafted_tokens)} tokens`]);
      facts.push(["cloud passes", count(hem.cloud_passes)]);
    }
    if (typeof hem?.cost === "number") facts.push(["cost", money(hem.cost, hem.currency)]);
    const there = hem && usage && !(hem.route === "cloud" && !hem.degraded) ? inTheCloud(usage, this.prices) : null;
    if (there !== null) facts.push(["in the cloud", money(there, this.prices.currency)]);
    this.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  show() {
    byId("log").scrollTop = byId("log").scrollHeight;
  }
}

// What the same tokens cost there; None where their price is not known.
function inTheCloud(usage, prices) {
  const price = prices?.cloud;
  if (!price) return null;
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  return ((usage.prompt_tokens - cached) * price.input + cached * (price.cached_input ?? price.input)
    + usage.completion_tokens * price.output) / 1e6;
}
