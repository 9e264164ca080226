// Quality over the share at the edge, which each threshold sets; without labels the threshold itself.

import { svg } from "./dom.js";
import { percent, threeDigits } from "./words.js";

// Left and right of the plot stands as much as of the slider below it: half of its handle less.
const HEIGHT = 210, LEFT = 66, RIGHT = 22, TOP = 14, BOTTOM = 42;

export function drawn({ points, now, chosen }, width, named) {
  const labelled = points[0].quality !== null;
  const of = (each) => (labelled ? each.quality : each.at);
  const values = points.map(of);
  const low = Math.min(...values), high = Math.max(...values), room = 0.08 * (high - low || 1);
  const x = (share) => LEFT + share * (width - LEFT - RIGHT);
  const y = (value) => TOP + (high + room - value) / (high - low + 2 * room) * (HEIGHT - TOP - BOTTOM);
  const would = points[chosen], first = points[0], last = points[points.length - 1];
  const path = points.map((each, i) => `${i ? "L" : "M"}${x(each.share).toFixed(1)} ${y(of(each)).toFixed(1)}`).join("");
  const label = `${labelled ? "Quality" : "Threshold"} over the share at the edge: ${points.length} thresholds, `
    + `from ${percent(first.share)} to ${percent(last.share)} at the edge`;
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    ...grid([low, (low + high) / 2, high], y, width, labelled ? named : threeDigits),
    ...ticks(points, x, width),
    labelled ? svg("line", { class: "chance", x1: x(first.share), y1: y(of(first)), x2: x(last.share), y2: y(of(last)) }) : "",
    svg("path", { class: "curve", d: path }),
    svg("line", { class: "chosen", x1: x(would.share), x2: x(would.share), y1: TOP - 6, y2: HEIGHT - BOTTOM }),
    svg("circle", { class: "now", cx: x(now.share), cy: y(of(now)), r: 5 }),
    would === now ? "" : svg("path", { class: "would", d: diamond(x(would.share), y(of(would)), 7) }),
    mark(x(now.share), y(of(now)), now.share > 0.7));
}

function grid(values, y, width, named) {
  return values.flatMap((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, named(value)),
  ]);
}

// Under each share the threshold that gives it.
function ticks(points, x, width) {
  const shares = width < 420 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  const base = HEIGHT - BOTTOM;
  const marks = shares.flatMap((share) => {
    return [
      svg("line", { class: "axis", x1: x(share), x2: x(share), y1: base, y2: base + 5 }),
      svg("text", { x: x(share), y: base + 19, "text-anchor": "middle" }, percent(share)),
      svg("text", { class: "second", x: x(share), y: base + 35, "text-anchor": "middle" }, threeDigits(points[nearest(points, share)].at)),
    ];
  });
  return [svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: base, y2: base }), ...marks,
    svg("text", { x: LEFT - 17, y: base + 19, "text-anchor": "end" }, "at edge"),
    svg("text", { class: "second", x: LEFT - 17, y: base + 35, "text-anchor": "end" }, "thresh.")];
}

// The index of the point whose share is nearest to that.
export function nearest(points, share) {
  return points.reduce((best, each, i) => (Math.abs(each.share - share) < Math.abs(points[best].share - share) ? i : best), 0);
}

function mark(x, y, isRight) {
  return svg("text", { class: "mark", x: x + (isRight ? -9 : 9), y: y - 8, "text-anchor": isRight ? "end" : "start" }, "now");
}

const diamond = (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`;
