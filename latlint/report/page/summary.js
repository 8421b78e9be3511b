
/* ---- Summary ---- */

function showSummary() {
  const tile = (term, value, more, mood) => make("div", { class: "tile card" }, make("dt", {}, term), make("dd", { class: mood }, value, more && make("div", { class: "more" }, more)));
  const named = (each) => (models.length > 1 ? `${base(each.model)} on ${each.target}` : each.target);
  const told = findings.flatMap((finding) => [finding, ...finding.under]);
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
    tiles.push(tile(predictions.length > 1 ? "Lowest coverage" : "Coverage", `${(100 * least.coverage).toFixed(0)}%`, predictions.length > 1 ? named(least) : "of the time is from measured kernels", least.coverage < 0.8 ? "warn" : ""));
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

/* ---- Where to start ---- */

/** The worst prediction: how it stands, its slowest layers, what makes it slow and what would help. */
function showStart() {
  if (!chosen || chosen.plan === undefined) return;
  const own = kernelsIn(chosen);
  const standing = chosen.budget_ms === null ? "" : `, ${change(ratio(chosen))} against its budget of ${limit(chosen.budget_ms)}`;
  section("start", "Start here").append(make("div", { class: "card start" },
    make("p", {}, make("b", {}, base(chosen.model)), ` on ${chosen.target}: `, make("b", { class: MOODS[chosen.verdict] }, `${latency(chosen)}${standing}`)),
    make("div", {}, make("h3", {}, "Slowest layers"), slowestLayers(own)),
    make("div", {}, make("h3", {}, data.command === "check" ? "Cause and fix" : "Cause"), make("ol", {}, [...causesIn(own), ...fixesOf(chosen)].map((content) => make("li", {}, content))))));
}

function slowestLayers(own) {
  const alike = [...Map.groupBy([...own].sort((a, b) => b.ms - a.ms), (kernel) => kernel.name).values()].slice(0, 3);
  return make("ol", {}, alike.map(([kernel, ...others]) => make("li", {},
    make("a", { href: kernelLink(chosen, kernel.index) }, kernel.name), make("b", {}, ` ${inMs(kernel.ms)}`), make("span", { class: "hint" }, ` ${percent(kernel.ms, chosen.latency_ms)}`),
    make("div", { class: "meter", "aria-hidden": "true" }, make("span", { class: `k${kernel.kind}`, style: { width: css(kernel.ms / alike[0][0].ms) } })),
    kernel.node && make("div", { class: "code" }, middle(kernel.node)), make("div", { class: "hint" }, shapes(kernel)),
    others.length && make("div", { class: "hint" }, `${others.length} more ${kernel.name}: ${inMs(total(others.map((each) => each.ms)))} more`))));
}

/** What makes it slow: a change, the kind of work that takes most of the time, and that another processor of the device is faster. */
function causesIn(own) {
  const changed = findings.find((finding) => finding.model === chosen.model && finding.target === chosen.target && finding.why.length);
  const [[kind, of]] = [...Map.groupBy(own, (kernel) => kernel.kind)].sort(([, a], [, b]) => sumOf(b) - sumOf(a));
  const macs = total(of.map((kernel) => kernel.macs));
  const device = chosen.target.split("/")[0];
  const rival = sameModel().filter((each) => each.target.startsWith(`${device}/`) && each.high_ms !== null).sort((a, b) => a.latency_ms - b.latency_ms)[0];
  return [
    changed && make("ul", { class: "why" }, changed.why.map((line) => make("li", {}, line))),
    [make("b", {}, percent(sumOf(of), chosen.latency_ms)), ` of the time goes to ${counted(of.length, "kernel")} of kind “${data.kinds[kind]}”${macs ? ` (${size(macs)} MACs)` : ""}.`],
    rival && rival.latency_ms < 0.9 * chosen.latency_ms && ["Faster on the same device: ", make("b", {}, rival.target), `, ${latency(rival)}.`],
  ].filter(Boolean);
}

const sumOf = (some) => total(some.map((kernel) => kernel.ms));

/** The two findings whose fix would save most, with the fix. */
function fixesOf(prediction) {
  if (data.command !== "check") return [];
  const helps = findings.filter((finding) => predictionOf(finding) === prediction && finding.gain_ms).sort(RANKS.gain[1]).slice(0, 2);
  if (!helps.length) return [make("span", { class: "hint" }, "No rule knows a faster form of this graph for this target: less work, or another processor, is what is left.")];
  return helps.map((finding) => [
    make("a", { href: `#${finding.id}` }, `${finding.code} ${finding.name}`), make("b", { class: "good" }, ` −${inMs(finding.gain_ms)}`),
    make("p", {}, finding.message),
    data.advice[finding.code] && data.advice[finding.code].fix && make("p", { class: "hint" }, make("b", {}, "Fix: "), prose(data.advice[finding.code].fix[0])),
  ]);
}
