
/* ---- Predictions ---- */

const predictions = data.predictions.map((each) => inWords(each, ["model", "format", "precision", "target", "runtime", "unknown", "verdict", "gate"], ["partitions", "notes"]));
const findings = data.findings.map((each) => inWords(each, ["model", "target"], ["nodes"]));
const models = [...new Set(predictions.map((each) => each.model))];
const targets = [...new Set(predictions.map((each) => each.target))];
const judged = predictions.filter((each) => each.verdict);
const over = judged.filter((each) => each.verdict === "fail");
const unjudged = judged.filter((each) => each.verdict === "unjudged");
const MOODS = { fail: "bad", unjudged: "warn", warn: "warn", accepted: "warn", pass: "good" };

const worst = (list) => list.reduce((most, each) => (most && ratio(most) >= ratio(each) ? most : each), undefined);
const ratio = (each) => (each.budget_ms === null || each.gated_ms === null ? 0 : each.gated_ms / each.budget_ms);
const slowestOf = (some) => some.reduce((most, kernel) => (kernel.ms > most.ms ? kernel : most));
const predictionOf = (finding) => predictions.find((each) => each.model === finding.model && each.target === finding.target);
const base = (path) => path.split("/").at(-1);

const ORDERS = {
  given: ["as given", (a, b) => a.place - b.place],
  slowest: ["slowest first", (a, b) => b.latency_ms - a.latency_ms],
  fastest: ["fastest first", (a, b) => a.latency_ms - b.latency_ms],
  budget: ["closest to budget first", (a, b) => ratio(b) - ratio(a)],
};
const orders = () => Object.entries(ORDERS).filter(([key]) => key !== "budget" || judged.length).map(([key, [label]]) => [key, label]);

/** The kernels of a prediction; each with what became of it since the base, where the file has that. */
function kernelsIn(prediction) {
  if (prediction.plan === undefined) return [];
  const found = kernelsOf(data.plans[prediction.plan], prediction.kernels_us, prediction.partitions);
  return prediction.before_us ? found.map((kernel) => ({ ...kernel, ...sinceBase(kernel, prediction.before_us[kernel.index]) })) : found;
}

function sinceBase(kernel, before_us) {
  if (before_us === null) return { change: "same" };
  if (before_us < 0) return { change: "added", before: "not there" };
  const by = kernel.ms - before_us / 1000;
  return { change: changeBy(by), before: `${inMs(before_us / 1000)}, ${signed(by)}` };
}

const compared = predictions.find((each) => each.before_us);
if (compared) COLOURS.change = [`change since ${compared.base}`, byChange];

// What the parts about one model on one target show.
let chosen = worst(over.filter((each) => each.plan !== undefined)) || predictions.find((each) => each.plan !== undefined) || predictions[0];
let kernels = [];
