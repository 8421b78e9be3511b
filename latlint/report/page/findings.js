
/* ---- Findings ---- */

const FINDINGS = 25; // causes shown at first
const SEVERITIES = { error: ["Error", "bad"], warning: ["Warning", "warn"], note: ["Note", "hint"] };

/** Findings that say the same of one model on several targets, as one, which speaks for the target where it gains most. */
function merged(some) {
  const same = (finding) => JSON.stringify([finding.code, finding.model, finding.budget_ms === null ? finding.nodes : [], finding.target === null && finding.message]);
  return [...Map.groupBy(some, same).values()].map((each) => each.sort((a, b) => weight(b) - weight(a)));
}

function shareGained(finding) {
  const prediction = predictionOf(finding);
  return finding.gain_ms && prediction ? finding.gain_ms / prediction.latency_ms : 0;
}

const weight = (finding) => (finding.budget_ms === null ? shareGained(finding) : finding.latency_ms / finding.budget_ms);
const rank = (finding) => ["note", "warning", "error"].indexOf(finding.severity);

const RANKS = {
  severity: ["severity", (a, b) => rank(b) - rank(a) || weight(b) - weight(a)],
  gain: ["time saved", (a, b) => shareGained(b) - shareGained(a) || rank(b) - rank(a)],
};

/** The findings of each rule, the heaviest of each rule first, and the rules by it. */
function causesOf(some, order) {
  const by = ([a], [b]) => order(a, b);
  return [...Map.groupBy(merged(some), ([finding]) => finding.code).values()].map((cause) => cause.sort(by)).sort(([a], [b]) => by(a, b));
}

const foundBy = new Map(); // the number of a finding -> how to show it

function showFindings() {
  const list = make("div", { class: "card" });
  const show = { rank: "severity", severity: "all", model: "all", most: FINDINGS };
  const redraw = () => {
    const wanted = findings.filter((finding) => (show.severity === "all" || finding.severity === show.severity) && (show.model === "all" || finding.model === models[show.model]));
    const causes = causesOf(wanted, RANKS[show.rank][1]);
    const more = causes.length - show.most;
    foundBy.clear();
    fill(list, make("ol", { class: "findings" }, causes.slice(0, show.most).map(causeItem)),
      !wanted.length && make("p", { class: "empty" }, "Nothing found."),
      more > 0 && make("div", { class: "foot" }, make("button", { type: "button", onclick: () => { show.most = Infinity; redraw(); } }, `Show ${counted(more, "more rule")}`)));
  };
  const present = ["error", "warning", "note"].filter((severity) => findings.some((finding) => finding.severity === severity));
  const concerned = models.map((model, at) => [String(at), model]).filter(([, model]) => findings.some((finding) => finding.model === model));
  section("findings", "Findings", "By rule. Time saved is what the fix would save on that target, by planning and pricing the changed graph.",
    ...(present.length > 1 ? [choice("Show", [["all", "all"], ...present.map((severity) => [severity, `${severity}s`])], (value) => { show.severity = value; redraw(); })] : []),
    ...(concerned.length > 1 ? [choice("Models", [["all", "all models"], ...concerned], (value) => { show.model = value; redraw(); })] : []),
    ...(findings.length > 1 ? [choice("Rank by", Object.entries(RANKS).map(([key, [label]]) => [key, label]), (value) => { show.rank = value; redraw(); })] : []),
  ).append(list);
  showFinding.all = () => { Object.assign(show, { severity: "all", model: "all", most: Infinity }); redraw(); };
  onPaper.push(() => {
    show.most = Infinity;
    redraw();
    for (const fix of list.querySelectorAll(".fix")) fix.unfold();
  });
  redraw();
}

/** A rule: what it says of the model where it weighs most, how to fix it, and folded what it says of others. */
function causeItem(cause) {
  const [[finding]] = cause;
  const [label, mood] = SEVERITIES[finding.severity];
  const advice = data.advice[finding.code] || {};
  const others = cause.slice(1);
  const rest = others.length && folded(othersIn(others), () => make("ol", { class: "findings inner" }, others.map((same) => make("li", {}, findingBody(same)))));
  for (const same of cause) for (const each of same) for (const told of [each, ...each.under]) foundBy.set(told.id, { id: same[0].id, rest: same === cause[0] ? null : rest });
  return make("li", { class: "cause" },
    make("div", { class: "what" }, make("span", { class: `severity ${mood}` }, label), make("h3", {}, finding.name), make("span", { class: "code hint" }, finding.code)),
    findingBody(cause[0]),
    (advice.fix || advice.why) && folded("How to fix it", () => make("div", { class: "advice" },
      (advice.why || []).map((text) => make("p", { class: "hint" }, prose(text))), (advice.fix || []).map((text) => make("p", {}, prose(text))),
      make("p", { class: "hint" }, "All of the page: ", make("code", {}, `latlint rules ${finding.code}`), finding.page && [" or ", make("a", { href: finding.page, rel: "noopener" }, finding.page)])), { class: "fix" }),
    rest);
}

function othersIn(others) {
  const own = new Set(others.map(([finding]) => finding.model));
  const most = others.reduce((found, [finding]) => (shareGained(finding) > shareGained(found) ? finding : found), others[0][0]);
  return `${counted(others.length, "more finding")} in ${counted(own.size, "model")}${most.gain_ms ? `, up to −${inMs(most.gain_ms)}` : ""}`;
}

function findingBody(same) {
  const [finding] = same;
  const prediction = predictionOf(finding);
  const on = same.map((each) => each.target).filter(Boolean);
  const gains = same.filter((each) => each.gain_ms);
  return make("div", { class: "finding", id: finding.id, tabindex: "-1" },
    make("div", {},
      make("p", {}, finding.message),
      finding.why.length && make("ul", { class: "why" }, finding.why.map((line) => make("li", {}, line))),
      finding.under.length && folded(`${counted(finding.under.length, "finding")} with the same cause`, make("ul", { class: "under hint" }, finding.under.map((each) => make("li", {}, each.text)))),
      make("div", { class: "where" },
        make("span", {}, finding.model),
        on.length > 1 ? folded(counted(on.length, "target"), make("span", {}, on.join(", "))) : make("span", {}, on[0]),
        finding.nodes.length && folded(counted(finding.node_count, "node"), make("span", { class: "code" }, finding.nodes.join("\n"), finding.node_count > finding.nodes.length ? ", …" : "")),
        prediction && prediction.plan !== undefined && make("button", { type: "button", class: "plain link", onclick: () => showNodes(prediction, finding.nodes), "aria-label": `Show ${finding.code} on ${finding.target} in the timeline` }, "Show in the timeline"),
        make("a", { class: "anchor", href: `#${finding.id}`, "aria-label": `Link to ${finding.code} in ${finding.model}` }, "link"))),
    gains.length ? make("div", { class: "gain" },
      make("strong", {}, `−${inMs(finding.gain_ms)}`), " ", make("span", { class: "hint" }, prediction && percent(finding.gain_ms, prediction.latency_ms)),
      finding.gain_low_ms !== null && make("div", { class: "hint" }, `likely ${span(finding.gain_low_ms, finding.gain_high_ms, finding.gain_ms)}`),
      make("div", { class: "hint" }, on.length > 1 ? `at most, on ${finding.target}` : "predicted time saved"),
      prediction && make("div", { class: "meter", "aria-hidden": "true" }, make("span", { style: { width: css(Math.min(1, finding.gain_ms / prediction.latency_ms)) } }))) : make("div"));
}

/** Unfold what holds a finding, and go there. */
function showFinding(id) {
  if (!foundBy.has(id) && showFinding.all) showFinding.all();
  const found = foundBy.get(id);
  if (!found) return;
  if (found.rest) found.rest.unfold();
  const element = document.getElementById(found.id);
  for (const inner of element.querySelectorAll("details")) if (found.id !== id) inner.unfold();
  element.scrollIntoView();
  element.focus({ preventScroll: true });
}

function showNodes(prediction, nodes) {
  const own = kernelsIn(prediction);
  const named = own.find((kernel) => kernel.nodes.some((node) => nodes.includes(node)));
  showKernel(prediction, named ? named.index : slowestOf(own).index);
}
