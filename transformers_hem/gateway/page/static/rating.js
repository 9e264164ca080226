// Thumbs below a whole answer: what is said of it is kept by the server's store of feedback.

import { call, messageOf } from "./api.js";
import { el, say, svg } from "./dom.js";

const WORDS = { up: "Good", down: "Bad" };
const THUMB = "M1 7h3v7H1z M5 13.5V7l3-6c1.2 0 1.8.9 1.6 2L9.2 6H14c.9 0 1.3.8 1.1 1.6l-1.4 5.2c-.2.8-.8 1.2-1.6 1.2H6.5z";

// `id`: of the request that was answered. Who presses the other thumb later replaces what was said.
export function rating(id) {
  const told = el("span", { class: "told small", role: "status" });
  const buttons = Object.entries(WORDS).map(([thumbs, word]) => {
    const button = el("button", { type: "button", class: "quiet", "aria-pressed": "false" }, thumb(thumbs), ` ${word}`);
    button.addEventListener("click", () => press(button, thumbs));
    return button;
  });
  let sending = false;

  async function press(button, thumbs) {
    if (sending || button.getAttribute("aria-pressed") === "true") return;
    sending = true;
    say(told, "Sending …");
    told.classList.remove("bad");
    try {
      await send({ request_id: id, thumbs });
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      say(told, "Kept. Thank you.");
    } catch (error) {
      told.classList.add("bad");
      say(told, `Not kept: ${error instanceof TypeError ? "the server does not answer" : error.message}`);
    } finally {
      sending = false;
    }
  }

  return el("div", { class: "rating", role: "group", "aria-label": "Rate this answer" }, ...buttons, told);
}

function thumb(way) {
  return svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: way }, svg("path", { d: THUMB }));
}

async function send(said) {
  const headers = { "content-type": "application/json" };
  const answer = await call("../feedback", { method: "POST", headers, body: JSON.stringify(said) });
  if (!answer.ok) throw new Error(await messageOf(answer));
}
