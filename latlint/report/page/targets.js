
/* ---- Targets side by side ---- */

const TARGET_COLUMNS = [
  { key: "target", label: "Target", cell: (row) => row.target },
  { key: "runtime", label: "Runtime", wide: true, cell: (row) => row.runtime },
  { key: "kept", label: "In budget", number: true, budget: true, cell: (row) => (row.judged ? `${row.kept} of ${row.judged}` : "–") },
  { key: "ms", label: "Latency", number: true, cell: (row) => inMs(row.ms) },
  { key: "times", label: "Against the fastest", number: true, cell: (row) => `×${row.times.toPrecision(3)}` },
  { key: "times", class: "meter-cell", wide: true, cell: (row, most) => make("span", { style: { width: css(row.times / most) } }) },
  { key: "elsewhere", label: "Left to the CPU", number: true, down: true, wide: true, cell: (row) => (row.elsewhere ? percent(row.elsewhere, 1) : "–") },
  { key: "coverage", label: "Coverage", number: true, wide: true, cell: (row) => `${(100 * row.coverage).toFixed(0)}%` },
  { key: "slowest", label: "Slowest model", wide: true, cell: (row) => `${base(row.slowest.model)}, ${latency(row.slowest)}` },
];

const geometric = (numbers) => Math.exp(total(numbers.map(Math.log)) / numbers.length);

/** A target by what models take there. Against the fastest: each model's time over its time on the target where it is fastest. */
function targetRow(target, some) {
  const own = some.filter((each) => each.target === target);
  const timed = own.filter((each) => each.latency_ms > 0);
  const least = (model) => Math.min(...some.filter((each) => each.model === model && each.latency_ms > 0).map((each) => each.latency_ms));
  return {
    target,
    runtime: own[0].runtime,
    judged: own.filter((each) => each.verdict).length,
    kept: own.filter((each) => ["pass", "warn"].includes(each.verdict)).length,
    ms: timed.length ? geometric(timed.map((each) => each.latency_ms)) : 0,
    times: timed.length ? geometric(timed.map((each) => each.latency_ms / least(each.model))) : 0,
    elsewhere: total(own.map((each) => each.elsewhere_ms)) / total(own.map((each) => each.latency_ms)) || 0,
    coverage: Math.min(...own.map((each) => each.coverage)),
    slowest: own.reduce((most, each) => (each.latency_ms > most.latency_ms ? each : most)),
  };
}

function showTargets() {
  if (targets.length < 2) return;
  const card = make("div", { class: "card" });
  const show = { key: "times", down: false, model: "all" };
  const columns = TARGET_COLUMNS.filter((column) => (judged.length || !column.budget) && (models.length > 1 || column.key !== "slowest"));
  const redraw = () => {
    const some = predictions.filter((each) => show.model === "all" || each.model === models[show.model]);
    const rows = targets.filter((target) => some.some((each) => each.target === target)).map((target) => targetRow(target, some));
    const most = Math.max(...rows.map((row) => row.times));
    sortRows(rows, columns, show);
    const heads = headsOf(columns, show, redraw);
    fill(card, make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of targets" },
      make("table", {}, make("caption", { class: "hidden" }, "Targets by the latency of these models"), make("thead", {}, heads),
        make("tbody", {}, rows.map((row) => make("tr", {}, columns.map((column) => make("td", { class: classOf(column) }, column.cell(row, most)))))))));
    return heads;
  };
  section("targets", "Targets", models.length > 1 ? "Latency is the geometric mean of the models. Against the fastest: of each model's time over its time where it is fastest, the geometric mean." : "The same model on every target, the fastest first.",
    ...(models.length > 1 ? [choice("Models", [["all", "all models"], ...models.map((model, at) => [String(at), model])], (value) => { show.model = value; redraw(); })] : []),
  ).append(card);
  redraw();
}
