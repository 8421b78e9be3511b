
"use strict";

// Everything from a model file is data: it reaches the page as text nodes and attribute values, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);

const LANES = 12; // timelines shown at first
const TABLE_ROWS = 25; // rows of a table, and findings
const FINDINGS = 25;
const SEVERITIES = { error: ["Error", "bad"], warning: ["Warning", "warn"], note: ["Note", "hint"] };

/* ---- The document ---- */

/** An element with properties, `on…` listeners, `style`, `aria-…` and other attributes, and children: nodes, text or nothing. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "style") for (const [name, given] of Object.entries(value)) element.style.setProperty(name, given);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter(Boolean));
  return element;
}

function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

function section(id, title, hint, ...controls) {
  const body = make("div");
  const heading = make("div", { class: "heading" }, make("div", {}, make("h2", { id: `${id}-title` }, title), hint && make("p", { class: "hint" }, hint)),
    controls.length && make("div", { class: "controls" }, controls));
  const element = make("section", { id, "aria-labelledby": `${id}-title` }, heading, body);
  document.getElementById("main").append(element);
  document.getElementById("sections").append(make("a", { href: `#${id}` }, title));
  return body;
}

function choice(label, options, onchange, properties = {}) {
  const select = make("select", { onchange: () => onchange(select.value), ...properties },
    options.map(([value, text]) => make("option", { value }, text)));
  return make("label", {}, label, select);
}

function searchField(label, oninput) {
  const input = make("input", { type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false" });
  input.addEventListener("input", () => oninput(input.value.trim().toLowerCase()));
  return input;
}

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

function change(ratio) {
  if (ratio >= 10) return `×${ratio.toFixed(0)}`;
  const by = Math.round(100 * (ratio - 1));
  return by < 0 ? `−${-by}%` : `+${by}%`;
}

/* ---- Predictions ---- */

const predictions = data.predictions;
const models = [...new Set(predictions.map((each) => each.model))];
const judged = predictions.filter((each) => each.verdict);
const over = judged.filter((each) => each.verdict === "fail");
const unjudged = judged.filter((each) => each.verdict === "unjudged");
const MOODS = { fail: "bad", unjudged: "warn", warn: "warn", accepted: "warn", pass: "good" };

/** The kernels of a prediction in the order in which they run. */
function kernelsOf(prediction) {
  if (prediction.plan === undefined) return [];
  return data.plans[prediction.plan].map(([op, linked, implementation, source, macs, bytes, partition, nodes, nodeCount, reason], index) => ({
    index, op, linked, implementation, source, macs, bytes, nodes, nodeCount, reason,
    name: [op, ...linked].join(" + "),
    node: nodes[0] || "",
    kind: data.kindOf[op],
    processor: prediction.partitions[partition] || "",
    ms: prediction.kernels_ms[index],
  }));
}

const worst = (list) => list.reduce((most, each) => (most && ratio(most) >= ratio(each) ? most : each), undefined);
const ratio = (each) => (each.budget_ms === null || each.gated_ms === null ? 0 : each.gated_ms / each.budget_ms);

let chosen = worst(over.filter((each) => each.plan !== undefined)) || predictions.find((each) => each.plan !== undefined) || predictions[0];
let kernels = [];

/* ---- Summary ---- */

function showSummary() {
  const tile = (term, value, more, mood) => make("div", { class: "tile card" }, make("dt", {}, term), make("dd", { class: mood }, value, more && make("div", { class: "more" }, more)));
  const named = (each) => (models.length > 1 ? `${each.model.split("/").at(-1)} on ${each.target}` : each.target);
  const told = data.findings.flatMap((finding) => [finding, ...finding.under]);
  const count = (severity) => told.filter((finding) => finding.severity === severity).length;
  const tiles = [];
  if (judged.length) {
    const most = worst(judged);
    const warned = judged.filter((each) => each.verdict === "warn").length;
    const accepted = judged.filter((each) => each.verdict === "accepted").length;
    const others = (warned ? `, ${warned} with a warning` : "") + (accepted ? `, ${accepted} over and accepted` : "") + (unjudged.length ? `, ${unjudged.length} not judged` : "");
    tiles.push(tile("Budgets", over.length ? `${over.length} over` : unjudged.length ? `${unjudged.length} not judged` : accepted ? "None over anew" : "All kept", `${judged.length - over.length - accepted - unjudged.length} of ${judged.length} kept${others}`, over.length ? "bad" : unjudged.length ? "warn" : "good"));
    if (most.budget_ms !== null) tiles.push(tile(ratio(most) > 1 ? "Furthest over" : "Closest to its budget", change(ratio(most)), named(most)));
  }
  if (predictions.length) {
    const sorted = [...predictions].sort((a, b) => a.latency_ms - b.latency_ms);
    tiles.push(tile(sorted.length > 1 ? "Fastest" : "Latency", inMs(sorted[0].latency_ms), sorted.length > 1 ? named(sorted[0]) : `90% within ${range(sorted[0])}`));
    if (sorted.length > 1) tiles.push(tile("Slowest", inMs(sorted.at(-1).latency_ms), named(sorted.at(-1))));
    const least = predictions.reduce((low, each) => (low.coverage <= each.coverage ? low : each));
    tiles.push(tile("Coverage", `${(100 * least.coverage).toFixed(0)}%`, predictions.length > 1 ? `at least; ${named(least)}` : "of the time is from measured kernels", least.coverage < 0.8 ? "warn" : ""));
  }
  if (data.command === "check") {
    const parts = ["error", "warning", "note"].filter(count).map((severity) => counted(count(severity), severity));
    tiles.push(tile("Findings", String(told.length), parts.join(", ") || "nothing found", count("error") ? "bad" : count("warning") ? "warn" : "good"));
  }
  const notes = [
    ...data.errors.map((error) => make("li", { class: "bad" }, make("span", { class: "code" }, error.path), `: ${error.message} [${error.code}]`)),
    ...data.cuts.map((cut) => make("li", {}, `Not shown here: ${cut}.`)),
    ...data.notes.map((note) => make("li", {}, note)),
  ];
  const body = make("div", { id: "summary" }, tiles.length && make("dl", { class: "tiles" }, tiles), notes.length && make("ul", { class: "notes" }, notes));
  document.getElementById("main").append(body);
}

/* ---- Latency and budgets ---- */

const ORDERS = {
  given: ["as given", (a, b) => a.place - b.place],
  slowest: ["slowest first", (a, b) => b.latency_ms - a.latency_ms],
  fastest: ["fastest first", (a, b) => a.latency_ms - b.latency_ms],
  budget: ["closest to budget first", (a, b) => ratio(b) - ratio(a)],
};

function showLatencies() {
  const list = make("div", { class: `card ${judged.length ? "" : "no-budget"}` });
  const show = { order: "given", text: "", only: "all" };
  const many = predictions.length > 8;
  const redraw = () => drawLatencies(list, show);
  section("latency", judged.length ? "Latency and budgets" : "Latency", predictions.length > 1 && "Choose a line to see where its time goes.",
    ...(many ? [searchField("Filter by model or target", (text) => { show.text = text; redraw(); })] : []),
    ...(many && over.length ? [choice("Show", [["all", "all"], ["over", "over budget"]], (value) => { show.only = value; redraw(); })] : []),
    ...(predictions.length > 1 ? [choice("Order", Object.entries(ORDERS).filter(([key]) => key !== "budget" || judged.length).map(([key, [label]]) => [key, label]), (value) => { show.order = value; redraw(); })] : []),
  ).append(list);
  redraw();
}

function drawLatencies(list, show) {
  const wanted = predictions.filter((each) => (show.only === "all" || each.verdict === "fail") && `${each.model} ${each.target}`.toLowerCase().includes(show.text));
  const groups = models.map((model) => wanted.filter((each) => each.model === model)).filter((group) => group.length);
  groups.forEach((group) => group.sort(ORDERS[show.order][1]));
  if (show.order !== "given") groups.sort(([a], [b]) => ORDERS[show.order][1](a, b));
  const key = make("div", { class: "key", "aria-hidden": "true" },
    make("span", {}, make("span", { class: "gauge" }, make("span", { class: "fill" })), "predicted"),
    make("span", {}, make("span", { class: "gauge" }, make("span", { class: "interval" })), "holds 90% of measurements"),
    judged.length && make("span", {}, make("span", { class: "gauge" }, make("span", { class: "limit" })), "budget"));
  fill(list, groups.map(latencyGroup), groups.length ? key : make("p", { class: "empty" }, predictions.length ? "Nothing matches." : "No model was predicted."));
}

function latencyGroup(group) {
  const [first] = group;
  const most = Math.max(...group.map((each) => Math.max(each.high_ms ?? each.latency_ms, each.budget_ms || 0))) * 1.02 || 1;
  const facts = [first.format, first.precision, first.macs && `${size(first.macs)} MACs`].filter(Boolean).join(" · ");
  return make("div", { class: "group" },
    make("header", {}, make("h3", {}, first.model), make("span", { class: "hint" }, facts)),
    make("ul", {}, group.map((each) => make("li", {}, latencyRow(each, most)))));
}

function latencyRow(each, most) {
  const budget = each.budget_ms !== null;
  const end = { low: "low end ", high: "high end " }[each.gate] || "";
  const standing = budget && `${end}of budget ${limit(each.budget_ms)}${each.gated_ms === null ? "" : `, ${change(ratio(each))}`}`;
  const doubt = [
    each.close_call && "close call",
    each.unknown && `without ${each.unknown}`,
    each.coverage < 0.995 && `${(100 * each.coverage).toFixed(0)}% covered`,
  ].filter(Boolean).join(", ");
  const verdict = each.verdict.toUpperCase();
  return make("button", {
    type: "button", class: `plain row ${each.verdict}`, "data-place": each.place,
    "aria-pressed": String(each === chosen), onclick: () => choose(each),
    "aria-label": [verdict, each.target, latency(each), `90% within ${range(each)}`, standing, doubt].filter(Boolean).join(", "),
  },
  make("span", { class: `verdict ${MOODS[each.verdict]}` }, verdict),
  make("span", { class: "target" }, each.target),
  make("span", { class: "gauge" },
    make("span", { class: "fill", style: { width: css(each.latency_ms / most) } }),
    make("span", { class: "interval", style: { left: css(each.low_ms / most), width: css(((each.high_ms ?? most) - each.low_ms) / most) } }),
    budget && make("span", { class: "limit", style: { left: css(each.budget_ms / most) } })),
  make("span", { class: "ms" }, latency(each)),
  make("span", { class: "range" }, range(each)),
  make("span", { class: "change" }, budget && each.gated_ms !== null && change(ratio(each))),
  make("span", { class: "budget" }, budget && `${end}of ${limit(each.budget_ms)}`),
  make("span", { class: "doubt" }, doubt));
}

/* ---- Findings ---- */

/** Findings that say the same of one model on several targets, as one, which speaks for the target where it gains most. */
function merged() {
  const groups = new Map();
  for (const finding of data.findings) {
    const key = JSON.stringify([finding.code, finding.model, finding.budget_ms === null ? finding.nodes : [], finding.target === null && finding.message]);
    groups.set(key, [...(groups.get(key) || []), finding]);
  }
  return [...groups.values()].map((same) => same.sort((a, b) => weight(b) - weight(a)));
}

const predictionOf = (finding) => predictions.find((each) => each.model === finding.model && each.target === finding.target);

function shareGained(finding) {
  const prediction = predictionOf(finding);
  return finding.gain_ms && prediction ? finding.gain_ms / prediction.latency_ms : 0;
}

const weight = (finding) => (finding.budget_ms === null ? shareGained(finding) : finding.latency_ms / finding.budget_ms);

const RANKS = {
  severity: ["severity", ([a], [b]) => rank(b) - rank(a) || shareGained(b) - shareGained(a)],
  gain: ["time saved", ([a], [b]) => shareGained(b) - shareGained(a) || rank(b) - rank(a)],
};
const rank = (finding) => ["note", "warning", "error"].indexOf(finding.severity);

function showFindings() {
  const all = merged();
  const list = make("div", { class: "card" });
  const show = { rank: "severity", severity: "all", most: FINDINGS };
  const redraw = () => {
    const wanted = all.filter(([finding]) => show.severity === "all" || finding.severity === show.severity).sort(RANKS[show.rank][1]);
    const more = wanted.length - show.most;
    fill(list, make("ol", { class: "findings" }, wanted.slice(0, show.most).map(findingItem)),
      !wanted.length && make("p", { class: "empty" }, "Nothing found."),
      more > 0 && make("div", { class: "foot" }, make("button", { type: "button", onclick: () => { show.most += 10 * FINDINGS; redraw(); } }, `Show ${counted(more, "more finding")}`)));
  };
  const present = ["error", "warning", "note"].filter((severity) => all.some(([finding]) => finding.severity === severity));
  section("findings", "Findings", "Time saved is what the fix would save on that target, by planning and pricing the changed graph.",
    ...(present.length > 1 ? [choice("Show", [["all", "all"], ...present.map((severity) => [severity, `${severity}s`])], (value) => { show.severity = value; redraw(); })] : []),
    ...(all.length > 1 ? [choice("Rank by", Object.entries(RANKS).map(([key, [label]]) => [key, label]), (value) => { show.rank = value; redraw(); })] : []),
  ).append(list);
  redraw();
}

function findingItem(same) {
  const [finding] = same;
  const prediction = predictionOf(finding);
  const [label, mood] = SEVERITIES[finding.severity];
  const targets = same.map((each) => each.target).filter(Boolean);
  const gains = same.filter((each) => each.gain_ms);
  return make("li", { class: "finding" },
    make("div", {},
      make("div", { class: "what" }, make("span", { class: `severity ${mood}` }, label), make("h3", {}, finding.name), make("span", { class: "code hint" }, finding.code)),
      make("p", {}, finding.message),
      finding.under.length && make("details", {}, make("summary", {}, `${counted(finding.under.length, "finding")} with the same cause`), make("ul", { class: "under hint" }, finding.under.map((each) => make("li", {}, each.text)))),
      make("div", { class: "where" },
        make("span", {}, finding.model),
        targets.length > 1 ? make("details", {}, make("summary", {}, counted(targets.length, "target")), targets.join(", ")) : make("span", {}, targets[0]),
        finding.nodes.length && make("details", {}, make("summary", {}, counted(finding.node_count, "node")), make("span", { class: "code" }, finding.nodes.join("\n"), finding.node_count > finding.nodes.length ? ", …" : "")),
        prediction && prediction.plan !== undefined && make("button", { type: "button", class: "plain link", onclick: () => showNodes(prediction, finding.nodes), "aria-label": `Show ${finding.code} on ${finding.target} in the timeline` }, "Show in the timeline"))),
    gains.length ? make("div", { class: "gain" },
      make("strong", {}, `−${inMs(finding.gain_ms)}`), " ", make("span", { class: "hint" }, prediction && percent(finding.gain_ms, prediction.latency_ms)),
      finding.gain_low_ms !== null && make("div", { class: "hint" }, `likely ${span(finding.gain_low_ms, finding.gain_high_ms, finding.gain_ms)}`),
      make("div", { class: "hint" }, targets.length > 1 ? `at most, on ${finding.target}` : "predicted time saved"),
      prediction && make("div", { class: "meter", "aria-hidden": "true" }, make("span", { style: { width: css(Math.min(1, finding.gain_ms / prediction.latency_ms)) } }))) : make("div"));
}

function showNodes(prediction, nodes) {
  choose(prediction);
  const named = kernels.find((kernel) => kernel.nodes.some((node) => nodes.includes(node)));
  if (named) pick(named.index);
  document.getElementById("timeline").scrollIntoView();
  const track = document.getElementById("track");
  if (track) track.focus({ preventScroll: true });
}

/* ---- One model on one target ---- */

const parts = {}; // what is drawn anew when another prediction is chosen

function showPicker() {
  const pickModel = choice("Model", models.map((model, index) => [String(index), model]), (value) => {
    const same = predictions.filter((each) => each.model === models[value]);
    choose(same.find((each) => each.target === chosen.target) || same[0]);
  }, { id: "model" });
  const pickTarget = choice("Target", [], (value) => choose(predictions.find((each) => String(each.place) === value)), { id: "target" });
  parts.now = make("div", { class: "now" });
  document.getElementById("main").append(make("div", { class: "picker card", role: "group", "aria-label": "Model and target of what follows" }, pickModel, pickTarget, parts.now));
}

function choose(prediction) {
  chosen = prediction;
  kernels = kernelsOf(prediction);
  for (const row of document.querySelectorAll("#latency .row")) row.setAttribute("aria-pressed", String(Number(row.dataset.place) === prediction.place));
  document.getElementById("model").value = String(models.indexOf(prediction.model));
  const target = document.getElementById("target");
  fill(target, sameModel().map((each) => make("option", { value: each.place }, each.target)));
  target.value = String(prediction.place);
  fill(parts.now, make("strong", {}, inMs(prediction.latency_ms)), make("div", { class: "hint" }, `90% within ${range(prediction)} · ${prediction.runtime}`));
  drawTimeline();
  drawBlocks(interesting([]));
  drawKernels();
}

const sameModel = () => predictions.filter((each) => each.model === chosen.model);
const missing = () => make("p", { class: "empty" }, "The kernels of this prediction are not in this file; latlint predict shows them.");

/* ---- Timeline ---- */

const lanes = { all: false, scale: "share", picked: 0 };

function showTimeline() {
  parts.timeline = section("timeline", "Timeline", "Kernels in the order in which they run, as wide as they are slow. Point at one, or use the arrow keys, for its details.",
    ...(models.some((model) => predictions.filter((each) => each.model === model).length > 1)
      ? [choice("Scale", [["share", "each to full width"], ["ms", "same milliseconds"]], (value) => { lanes.scale = value; drawTimeline(); })] : []));
}

function drawTimeline() {
  if (!kernels.length) return fill(parts.timeline, make("div", { class: "card" }, missing()));
  const comparable = sameModel().filter((each) => each.plan !== undefined);
  const others = comparable.filter((each) => each !== chosen);
  const shown = lanes.all ? comparable : comparable.filter((each) => each === chosen || others.indexOf(each) < LANES - 1);
  const most = Math.max(...shown.map((each) => each.latency_ms));
  const rest = comparable.length - shown.length;
  lanes.picked = kernels.reduce((best, kernel) => (kernel.ms > kernels[best].ms ? kernel.index : best), 0);
  parts.details = make("div", { class: "details" });
  fill(parts.timeline, make("div", { class: "card" },
    make("div", { class: "lanes" }, shown.map((each) => lane(each, lanes.scale === "ms" ? most : each.latency_ms))),
    rest > 0 && make("div", { class: "lanes" }, make("button", { type: "button", onclick: () => { lanes.all = true; drawTimeline(); } }, `Show ${counted(rest, "more target")}`)),
    legend(), parts.details));
  pick(lanes.picked);
}

function lane(prediction, whole) {
  const now = prediction === chosen;
  const own = now ? kernels : kernelsOf(prediction);
  const track = make("div", { class: "track" });
  let start = 0;
  const step = (ms) => { const left = start; start += ms / whole; return { left: css(left), width: css(ms / whole) }; };
  for (const kernel of own) {
    const style = step(kernel.ms);
    track.append(make("i", { class: `k${kernel.kind} ${kernel.ms / whole < 0.006 ? "slim" : ""}`, style, "data-index": kernel.index, ...(now ? { id: `kernel-${kernel.index}`, role: "option", "aria-selected": "false", "aria-label": spoken(kernel) } : {}) }));
  }
  const overhead = make("i", { class: "overhead", style: step(prediction.overhead_ms), "aria-hidden": "true" });
  const name = make("button", { type: "button", class: "plain", onclick: () => choose(prediction), "aria-pressed": String(now) }, prediction.target);
  const ms = make("span", { class: "ms" }, inMs(prediction.latency_ms));
  track.append(overhead);
  if (!now) {
    track.setAttribute("aria-hidden", "true");
    track.addEventListener("click", () => choose(prediction));
    track.addEventListener("pointermove", (event) => { const at = event.target.dataset.index; if (at) describe(own[at], prediction); });
    track.addEventListener("pointerleave", () => describe(kernels[lanes.picked], chosen));
    return make("div", { class: "lane" }, name, track, ms);
  }
  track.id = "track";
  track.tabIndex = 0;
  track.setAttribute("role", "listbox");
  track.setAttribute("aria-orientation", "horizontal");
  track.setAttribute("aria-label", `Kernels of ${prediction.model} on ${prediction.target} in execution order`);
  track.addEventListener("keydown", moveByKey);
  const byPointer = (event) => { const at = event.target.dataset.index; if (at) pick(Number(at)); };
  track.addEventListener("pointermove", byPointer);
  track.addEventListener("pointerdown", byPointer);
  return make("div", { class: "lane now" }, name, track, ms, placesOf(own, whole));
}

/** Under the bar, where the model is cut: which processor runs which stretch. */
function placesOf(own, whole) {
  const strip = make("div", { class: "places", "aria-hidden": "true" });
  if (new Set(own.map((kernel) => kernel.processor)).size < 2) return "";
  const first = chosen.runtime.endsWith("/builtin") ? "builtin" : own.find((kernel) => kernel.processor !== "builtin").processor;
  let start = 0;
  for (let from = 0, to; from < own.length; from = to) {
    to = from;
    while (to < own.length && own[to].processor === own[from].processor) to += 1;
    const width = total(own.slice(from, to).map((kernel) => kernel.ms)) / whole;
    const { processor } = own[from];
    strip.append(make("span", { class: processor === first ? "" : "elsewhere", style: { left: css(start), width: css(width) }, title: processor }, width > 0.05 && processor));
    start += width;
  }
  return strip;
}

const spoken = (kernel) => [kernel.name, inMs(kernel.ms), percent(kernel.ms, chosen.latency_ms), kernel.node].filter(Boolean).join(", ");

function moveByKey(event) {
  const last = kernels.length - 1;
  const to = { ArrowRight: lanes.picked + 1, ArrowLeft: lanes.picked - 1, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  pick(Math.min(last, Math.max(0, to)));
}

function pick(index) {
  const track = document.getElementById("track");
  for (const before of track.querySelectorAll(".chosen")) {
    before.classList.remove("chosen");
    before.setAttribute("aria-selected", "false");
  }
  lanes.picked = index;
  const option = document.getElementById(`kernel-${index}`);
  option.classList.add("chosen");
  option.setAttribute("aria-selected", "true");
  track.setAttribute("aria-activedescendant", option.id);
  describe(kernels[index], chosen);
  for (const row of document.querySelectorAll("#kernels tbody tr")) row.classList.toggle("chosen", Number(row.dataset.index) === index);
}

function describe(kernel, prediction) {
  const pair = (term, value) => value && make("div", {}, make("dt", {}, term), make("dd", {}, value));
  const nodes = kernel.nodes.join("\n") + (kernel.nodeCount > kernel.nodes.length ? `\n… ${kernel.nodeCount} nodes in all` : "");
  fill(parts.details,
    make("div", { class: "title" }, make("span", { class: `swatch k${kernel.kind}` }), make("span", {}, kernel.name), make("span", {}, inMs(kernel.ms)),
      make("span", { class: "hint" }, `${percent(kernel.ms, prediction.latency_ms)} of ${prediction.target} · kernel ${kernel.index + 1} of ${prediction.kernels_ms.length}`)),
    make("dl", {},
      pair("runs as", kernel.implementation), pair("on", kernel.processor), pair("source", kernel.source), pair("MACs", kernel.macs && size(kernel.macs)),
      pair("bytes", kernel.bytes && size(kernel.bytes)), pair("because", kernel.reason), pair(kernel.nodeCount > 1 ? "nodes" : "node", nodes && make("span", { class: "code lines" }, nodes))));
}

function legend() {
  const sums = data.kinds.map((label, kind) => ({ label, kind, ms: total(kernels.filter((kernel) => kernel.kind === kind).map((kernel) => kernel.ms)) }));
  const item = (swatch, label, ms) => make("li", {}, make("span", { class: `swatch ${swatch}` }), label, make("b", {}, inMs(ms)), make("span", { class: "hint" }, percent(ms, chosen.latency_ms)));
  return make("ul", { class: "legend", "aria-label": `Time by kind of op on ${chosen.target}` },
    sums.filter((each) => each.ms > 0).sort((a, b) => b.ms - a.ms).map((each) => item(`k${each.kind}`, each.label, each.ms)),
    chosen.overhead_ms > 0 && item("overhead", "Overhead", chosen.overhead_ms));
}

/* ---- Blocks ---- */

function showBlocks() {
  parts.blocks = section("blocks", "Blocks", "The same time by the blocks that node names spell out, as large as they are slow. Open a block to look into it.");
}

/** The parts of a node's name, without those that only repeat the one before. */
function pathOf(kernel) {
  const path = kernel.node.split("/").filter((part, index, all) => part && part !== all[index - 1]);
  return path.length ? path : [kernel.op];
}

/** The blocks and kernels right below a block, the slowest first. */
function childrenOf(path) {
  const children = new Map();
  for (const kernel of kernels) {
    const own = pathOf(kernel);
    if (!kernel.ms || !path.every((part, depth) => own[depth] === part)) continue;
    const name = own[path.length] || kernel.op;
    const leaf = own.length <= path.length + 1;
    const key = leaf ? `${name}/${kernel.index}` : name;
    if (!children.has(key)) children.set(key, { name, leaf, kernels: [], ms: 0 });
    const child = children.get(key);
    child.kernels.push(kernel);
    child.ms += kernel.ms;
  }
  return [...children.values()].sort((a, b) => b.ms - a.ms);
}

/** Where there is something to see: blocks that are nearly all of the one around them are passed through. */
function interesting(path) {
  const children = childrenOf(path);
  const [first] = children;
  return first && !first.leaf && first.ms > 0.9 * total(children.map((child) => child.ms)) ? interesting([...path, first.name]) : path;
}

function drawBlocks(path) {
  if (!kernels.length) return fill(parts.blocks, make("div", { class: "card" }, missing()));
  const open = (to) => { drawBlocks(to); (parts.blocks.querySelector(".crumbs li:nth-last-child(2) button") || parts.blocks.querySelector(".block")).focus(); };
  const crumb = (name, depth) => make("li", {}, depth < path.length
    ? make("button", { type: "button", class: "plain link", onclick: () => open(path.slice(0, depth)) }, name)
    : make("span", { "aria-current": "true" }, name));
  fill(parts.blocks, make("div", { class: "card" },
    make("nav", { "aria-label": "Block" }, make("ol", { class: "crumbs" }, ["whole model", ...path].map(crumb))),
    parts.map = make("ul", { class: "map" })));
  const shape = parts.map.clientHeight / parts.map.clientWidth;
  fill(parts.map, tiles(childrenOf(path), 1, shape).map(([child, box]) =>
    make("li", { style: placed(box) }, blockTile(child, box, shape, () => open(interesting([...path, child.name]))))));
}

const placed = ([left, top, width, height]) => ({ left: css(left), top: css(top), width: css(width), height: css(height) });

function blockTile(block, [, , width, height], shape, open) {
  const share = percent(block.ms, chosen.latency_ms);
  const bare = height < 0.09 || width < 0.04;
  const inner = make("span", { class: "inner", "aria-hidden": "true" }, tiles(block.kernels.filter((kernel) => kernel.ms > 0).sort((a, b) => b.ms - a.ms), width, height * shape)
    .map(([kernel, box]) => make("i", { class: `k${kernel.kind}`, style: placed(box) })));
  const label = `${block.name}, ${inMs(block.ms)}, ${share}`;
  const content = [!bare && make("span", { class: "name" }, make("b", {}, block.name), make("span", {}, `${inMs(block.ms)} · ${share}`)), inner];
  const properties = { class: `block ${bare ? "bare" : ""}`, title: label, "aria-label": block.leaf ? `${label}, show in the timeline` : `${label}, ${counted(block.kernels.length, "kernel")}, open` };
  return make("button", { type: "button", ...properties, onclick: block.leaf ? () => { pick(block.kernels[0].index); document.getElementById("timeline").scrollIntoView(); } : open }, content);
}

/** A squarified treemap (Bruls, Huizing, van Wijk 2000): each item with its box in shares of the whole, which is `width` by `height`. */
function tiles(items, width, height) {
  const sum = total(items.map((item) => item.ms));
  const boxes = [];
  let [left, top, across, down] = [0, 0, width, height];
  let rest = items.map((item) => ({ item, area: (item.ms / sum) * width * height }));
  const badness = (row, side) => {
    const area = total(row.map((each) => each.area));
    return Math.max(...row.map((each) => Math.max((side * side * each.area) / (area * area), (area * area) / (side * side * each.area))));
  };
  while (rest.length) {
    const side = Math.min(across, down);
    let count = 1;
    while (count < rest.length && badness(rest.slice(0, count + 1), side) <= badness(rest.slice(0, count), side)) count += 1;
    const row = rest.slice(0, count);
    const depth = total(row.map((each) => each.area)) / side;
    let along = 0;
    for (const { item, area } of row) {
      const length = area / depth;
      const box = across >= down ? [left, top + along, depth, length] : [left + along, top, length, depth];
      boxes.push([item, [box[0] / width, box[1] / height, box[2] / width, box[3] / height]]);
      along += length;
    }
    if (across >= down) { left += depth; across -= depth; } else { top += depth; down -= depth; }
    rest = rest.slice(count);
  }
  return boxes;
}

/* ---- Kernels ---- */

const table = { key: "ms", down: true, text: "", kind: "all", source: "all", most: TABLE_ROWS };

const COLUMNS = [
  { key: "index", label: "#", number: true, wide: true, cell: (kernel) => String(kernel.index + 1) },
  { key: "name", label: "Op", class: "op", cell: (kernel) => [make("span", { class: `swatch k${kernel.kind}` }), kernel.name] },
  { key: "ms", label: "ms", number: true, down: true, cell: (kernel) => kernel.ms.toFixed(3) },
  { key: "share", label: "Share", number: true, down: true, wide: true, sort: (kernel) => kernel.ms, cell: (kernel) => percent(kernel.ms, chosen.latency_ms) },
  { key: "meter", wide: true, class: "meter-cell", cell: (kernel, most) => make("span", { class: `k${kernel.kind}`, style: { width: css(kernel.ms / most) } }) },
  { key: "implementation", label: "Runs as", wide: true, cell: (kernel) => kernel.implementation },
  { key: "source", label: "Source", wide: true, cell: (kernel) => kernel.source },
  { key: "macs", label: "MACs", number: true, down: true, wide: true, cell: (kernel) => (kernel.macs ? size(kernel.macs) : "") },
  { key: "bytes", label: "Bytes", number: true, down: true, wide: true, cell: (kernel) => (kernel.bytes ? size(kernel.bytes) : "") },
  { key: "node", label: "Node", class: "node code", cell: (kernel) => breakable(pathOf(kernel).join("/")) },
];

function showKernels() {
  const change = (key) => (value) => { table[key] = value; drawRows(); };
  parts.kindFilter = choice("Kind", [], change("kind"));
  parts.sourceFilter = choice("Source", [], change("source"));
  parts.kernels = section("kernels", "Kernels", "All that is launched, with what the runtime does in the same launch.", searchField("Filter by op, kernel or node", change("text")), parts.kindFilter, parts.sourceFilter);
}

function drawKernels() {
  if (!kernels.length) return fill(parts.kernels, make("div", { class: "card" }, missing()));
  Object.assign(table, { kind: "all", source: "all", most: TABLE_ROWS });
  const option = ([value, text]) => make("option", { value }, text);
  const kinds = data.kinds.map((label, kind) => [String(kind), label]).filter(([kind]) => kernels.some((kernel) => String(kernel.kind) === kind));
  const sources = [...new Set(kernels.map((kernel) => kernel.source))].sort().map((source) => [source, source]);
  fill(parts.kindFilter.querySelector("select"), [["all", "all"], ...kinds].map(option));
  fill(parts.sourceFilter.querySelector("select"), [["all", "all"], ...sources].map(option));
  parts.heads = make("tr");
  parts.rows = make("tbody");
  parts.foot = make("div", { class: "foot" });
  fill(parts.kernels, make("div", { class: "card" },
    make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of kernels" },
      make("table", {}, make("caption", { class: "hidden" }, `Kernels of ${chosen.model} on ${chosen.target}`), make("thead", {}, parts.heads), parts.rows)), parts.foot));
  drawRows();
}

const classOf = (column) => [column.class, column.number && "number", column.wide && "wide-only"].filter(Boolean).join(" ");

/** A name that may go on in the next line after each slash. */
const breakable = (name) => name.split("/").flatMap((part, index) => (index ? ["/", make("wbr"), part] : [part]));

function headOf(column) {
  if (!column.label) return make("td", { class: classOf(column) });
  const sorted = column.key === table.key;
  const sort = () => {
    table.down = sorted ? !table.down : Boolean(column.down);
    table.key = column.key;
    drawRows();
    parts.heads.querySelector(`[data-key="${column.key}"]`).focus();
  };
  const arrow = sorted ? make("span", { "aria-hidden": "true" }, table.down ? " ↓" : " ↑") : "";
  return make("th", { scope: "col", class: classOf(column), "aria-sort": sorted && (table.down ? "descending" : "ascending") },
    make("button", { type: "button", class: "plain", "data-key": column.key, onclick: sort }, column.label, arrow));
}

function drawRows() {
  if (!kernels.length) return;
  const column = COLUMNS.find(({ key }) => key === table.key);
  const value = column.sort || ((kernel) => kernel[column.key]);
  const compare = (a, b) => (typeof value(a) === "string" ? value(a).localeCompare(value(b), "en") : value(a) - value(b));
  const wanted = kernels
    .filter((kernel) => (table.kind === "all" || String(kernel.kind) === table.kind) && (table.source === "all" || kernel.source === table.source))
    .filter((kernel) => `${kernel.name} ${kernel.implementation} ${kernel.nodes.join(" ")}`.toLowerCase().includes(table.text))
    .sort((a, b) => (table.down ? compare(b, a) : compare(a, b)) || a.index - b.index);
  const most = Math.max(...kernels.map((kernel) => kernel.ms)) || 1;
  fill(parts.heads, COLUMNS.map(headOf));
  fill(parts.rows, wanted.slice(0, table.most).map((kernel) => make("tr", { "data-index": kernel.index, class: kernel.index === lanes.picked ? "chosen" : "", onclick: () => pick(kernel.index) },
    COLUMNS.map((each) => make("td", { class: classOf(each) }, each.cell(kernel, most))))));
  const more = wanted.length - table.most;
  const sum = total(wanted.map((kernel) => kernel.ms));
  fill(parts.foot,
    make("span", { role: "status" }, `${counted(wanted.length, "kernel")}, ${inMs(sum)}, ${percent(sum, chosen.latency_ms)}`
      + (wanted.length === kernels.length ? `; overhead ${inMs(chosen.overhead_ms)}${chosen.free ? `; ${counted(chosen.free, "op")} without a kernel` : ""}` : "")),
    more > 0 && make("button", { type: "button", onclick: () => { table.most = Infinity; drawRows(); } }, `Show ${counted(more, "more kernel")}`));
}

/* ---- Light and dark ---- */

function offerThemes() {
  const button = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let given;
  const show = () => {
    const now = given === undefined ? dark.matches : given;
    document.documentElement.style.colorScheme = given === undefined ? "" : now ? "dark" : "light";
    button.textContent = now ? "Light theme" : "Dark theme";
  };
  button.addEventListener("click", () => { given = !(given === undefined ? dark.matches : given); show(); });
  dark.addEventListener("change", show);
  show();
}

offerThemes();
showSummary();
showLatencies();
if (data.command === "check") showFindings();
if (chosen) {
  showPicker();
  showTimeline();
  showBlocks();
  showKernels();
  choose(chosen);
}
