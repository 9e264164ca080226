// Decisions and numbers in plain words.

const REASONS = {
  prefer: "this side was asked for",
  sticky: "the cloud has answered this conversation before",
  no_signal: "the edge gave no signal to judge its answer by",
  edge_cannot: "the edge can't take this request",
  edge_failed: "the edge failed",
  strategy: "by the strategy",
  PrivacyGuard: "something private is in it, so it stays at the edge",
  ResourceSensitiveRouter: "the edge is short of resources",
  BudgetGuard: "what may be spent in the cloud is spent",
  RateGuard: "this caller has called the cloud as often as it may",
  AvailabilityGuard: "the cloud is believed to be down",
  MaintenanceGuard: "somebody has switched all to this side",
  LanguageGuard: "by the language of the question",
  TopicGuard: "by a word or a pattern in the question",
};

// `decision`: {route, score, threshold, reason, algorithm}, of an answer or of a list.
export function why(decision) {
  const { route, reason, algorithm } = decision;
  if (reason !== "algorithm") return REASONS[reason] ?? (reason ? `the rule ${reason} decided` : "nothing was decided");
  if (!isByScore(decision)) return `${algorithm} sends all to the ${route}`;
  return route === "cloud" ? "hard by its score" : "easy by its score";
}

// The same, with the score where it decided.
export function whyInFull(decision) {
  const { route, score, threshold } = decision;
  if (!isByScore(decision)) return why(decision);
  return route === "cloud" ? `hard: score ${score.toFixed(3)}, above the threshold ${threshold.toFixed(3)}`
    : `easy: score ${score.toFixed(3)}, not above the threshold ${threshold.toFixed(3)}`;
}

function isByScore({ route, score, threshold, reason, algorithm }) {
  return reason === "algorithm" && typeof score === "number" && score > threshold === (route === "cloud")
    && !["EdgeOnly", "CloudOnly"].includes(algorithm);
}

export function reasonName(reason) {
  return { algorithm: "by the score", prefer: "asked for", sticky: "conversation stays", no_signal: "no signal",
    edge_cannot: "edge can't", edge_failed: "edge failed", strategy: "by the strategy" }[reason] ?? reason;
}

const whole = new Intl.NumberFormat("en");
export const count = (number) => whole.format(number);

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.0995) return `${(1000 * seconds).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
  return seconds < 0.9995 ? `${(1000 * seconds).toFixed(0)} ms` : `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

export function age(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

// Of ISO 8601: the time, with the day where that is another one.
export function moment(at) {
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return String(at);
  return then.toDateString() === new Date().toDateString() ? clock.format(then) : `${day.format(then)}, ${clock.format(then)}`;
}

// Three digits, however little a token costs.
export function amount(sum) {
  const digits = sum ? Math.min(10, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(sum))))) : 2;
  return sum.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1");
}

export const money = (sum, currency) => `${amount(sum)} ${currency}`;

export const threeDigits = (number) => Number(number.toPrecision(3)).toString();
