// What the gateway tells goes to each part of the page.

import { openAsk } from "./ask.js";
import { showLearning } from "./learning.js";
import { showFigures, showSides, watch } from "./live.js";
import { showRecent } from "./recent.js";
import { redraw, showThreshold } from "./threshold.js";

let last = null;

const look = watch((state) => {
  const restarted = last !== null && last.run !== state.run;
  last = state;
  showSides(state);
  showFigures(state);
  showLearning(state);
  showRecent(state, restarted);
  showThreshold(state);
});

openAsk(() => last, look);
window.addEventListener("resize", redraw);
