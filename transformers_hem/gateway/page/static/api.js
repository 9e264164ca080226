// The gateway, with the key of this tab. Where it wants one the page asks, once for all who wait.

import { byId, say } from "./dom.js";

const KEPT = "hem-key";
let asking = null;

// Raises the browser's error where nobody answers; who sends no key after all gets the 401.
export async function call(path, options = {}) {
  const answer = await fetch(path, withKey(options));
  if (answer.status !== 401) return answer;
  asking ??= askForKey(await messageOf(answer)).finally(() => { asking = null; });
  return (await asking) ? call(path, options) : answer;
}

export async function messageOf(answer) {
  try {
    const body = await answer.json();
    return body.error?.message ?? body.error ?? `status ${answer.status}`;
  } catch {
    return `status ${answer.status}`;
  }
}

function withKey(options) {
  const key = sessionStorage.getItem(KEPT);
  return key ? { ...options, headers: { ...options.headers, authorization: `Bearer ${key}` } } : options;
}

function askForKey(why) {
  const dialog = byId("key-dialog"), field = byId("key");
  sessionStorage.removeItem(KEPT);
  say(byId("key-why"), why);
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    byId("key-cancel").onclick = () => dialog.close("");
    byId("key-form").onsubmit = (event) => { event.preventDefault(); dialog.close("use"); };
    dialog.onclose = () => {
      const key = field.value.trim();
      field.value = "";
      if (dialog.returnValue === "use" && key) sessionStorage.setItem(KEPT, key);
      resolve(dialog.returnValue === "use" && Boolean(key));
    };
  });
}
