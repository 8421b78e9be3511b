
/* ---- Numbers ---- */

/** Three significant digits, as latlint writes them everywhere. */
function digits(ms) {
  const size = Math.abs(ms);
  return size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
}

const inMs = (ms) => `${ms.toFixed(digits(ms))} ms`;
const limit = (ms) => `${+ms.toPrecision(12)} ms`;
/** What was left out of a lower bound is said with it. */
const latency = (each) => (each.high_ms === null ? `≥ ${inMs(each.latency_ms)}` : inMs(each.latency_ms));
const span = (low, high, like) => high === null ? `≥ ${low.toFixed(digits(like))} ms` : `${low.toFixed(digits(like))}–${high.toFixed(digits(like))} ms`;
const range = (each) => span(each.low_ms, each.high_ms, each.latency_ms);
const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : "–");
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
const css = (share) => `${(100 * share).toFixed(4)}%`;

function size(number) {
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (number >= unit) return `${(number / unit).toPrecision(3)} ${name}`;
  return String(number);
}

const signed = (ms) => (Math.abs(ms) < 0.0005 ? "±0 ms" : `${ms > 0 ? "+" : "−"}${inMs(Math.abs(ms))}`);

/** As text has it: `+0.4%`, `−12%`, `×25`. */
function change(ratio) {
  if (ratio >= 10) return `×${ratio.toFixed(0)}`;
  const by = 100 * Math.abs(ratio - 1);
  const digits = by.toFixed(by < 9.95 ? 1 : 0);
  return digits === "0.0" ? "±0%" : `${ratio > 1 ? "+" : "−"}${digits}%`;
}
