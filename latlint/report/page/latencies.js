
/* ---- Latency and budgets ---- */

const GROUPS = 6; // models shown at first

function showLatencies() {
  const list = make("div", { class: `card ${judged.length ? "" : "no-budget"}` });
  const show = { order: "given", text: "", only: "all", most: GROUPS };
  const many = predictions.length > 8;
  const redraw = () => drawLatencies(list, show);
  section("latency", judged.length ? "Latency and budgets" : "Latency", predictions.length > 1 && "Choose a line to see where its time goes.",
    ...(many ? [searchField("Filter by model or target", (text) => { show.text = text; redraw(); })] : []),
    ...(many && over.length ? [choice("Show", [["all", "all"], ["over", "over budget"]], (value) => { show.only = value; redraw(); })] : []),
    ...(predictions.length > 1 ? [choice("Order", orders(), (value) => { show.order = value; redraw(); })] : []),
  ).append(list);
  onPaper.push(() => { show.most = Infinity; redraw(); });
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
    judged.length && make("span", {}, make("span", { class: "gauge" }, make("span", { class: "limit" })), "budget"),
    predictions.some((each) => each.coverage < 0.995) && make("span", {}, "covered: the share that rests on measured kernels"));
  const more = groups.length - show.most;
  fill(list, groups.slice(0, show.most).map(latencyGroup),
    more > 0 && make("div", { class: "foot" }, make("button", { type: "button", onclick: () => { show.most += 10 * GROUPS; drawLatencies(list, show); } }, `Show ${counted(more, "more model")}`)),
    groups.length ? key : make("p", { class: "empty" }, predictions.length ? "Nothing matches." : "No model was predicted."));
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
