
/* ---- All models on all targets ---- */

const MARKS = { fail: "✕", unjudged: "?", warn: "!", accepted: "○" };
const MATRIX_ROWS = 100;

/** Seven steps of heat: of the budget, where there is one; else of the time, from the fastest to the slowest here. */
function heatOf() {
  const times = predictions.map((each) => each.latency_ms).filter((ms) => ms > 0);
  const [least, most] = [Math.min(...times), Math.max(...times)];
  const tempo = (ms) => (most > least && ms > 0 ? Math.min(5, Math.floor((6 * Math.log(ms / least)) / Math.log(most / least))) : 0);
  const step = (each) => [0.5, 0.8, 1, 1.25, 2].filter((end) => ratio(each) > end).length;
  if (!judged.length) return { of: (each) => `h${tempo(each.latency_ms)}`, means: [["h0", `from ${inMs(least)}`], ["h2", ""], ["h5", `to ${inMs(most)}`]] };
  const ends = ["up to ½ of the budget", "up to 80%", "up to all of it", "over by up to 25%", "up to twice", "more"];
  return { of: (each) => (each.budget_ms === null || each.gated_ms === null ? "" : `b${step(each)}`), means: ends.map((name, at) => [`b${at}`, name]) };
}

function showMatrix() {
  if (models.length < 2) return;
  const card = make("div", { class: "card" });
  const show = { order: judged.length ? "budget" : "given", text: "", only: "all", most: MATRIX_ROWS };
  const redraw = () => drawMatrix(card, show);
  section("matrix", "All models", `Milliseconds of ${counted(models.length, "model")} on ${counted(targets.length, "target")}. Choose a cell, or use the arrow keys and Enter, to see where its time goes.`,
    ...(models.length > 8 ? [searchField("Filter the models", (text) => { show.text = text; redraw(); })] : []),
    ...(over.length && over.length < judged.length ? [choice("Show", [["all", "all"], ["over", "over budget"]], (value) => { show.only = value; redraw(); })] : []),
    choice("Order", orders(), (value) => { show.order = value; redraw(); }, { id: "matrix-order" }),
  ).append(card);
  document.getElementById("matrix-order").value = show.order;
  onPaper.push(() => { show.most = Infinity; redraw(); });
  redraw();
}

function drawMatrix(card, show) {
  const compare = ORDERS[show.order][1];
  const rows = models
    .map((model) => ({ model, cells: new Map(predictions.filter((each) => each.model === model).map((each) => [each.target, each])) }))
    .map((row) => ({ ...row, first: [...row.cells.values()].sort(compare)[0] }))
    .filter(({ model, cells }) => model.toLowerCase().includes(show.text) && (show.only === "all" || [...cells.values()].some((each) => each.verdict === "fail")));
  if (show.order !== "given") rows.sort((a, b) => compare(a.first, b.first));
  const more = rows.length - show.most;
  const heat = heatOf();
  const devices = [...Map.groupBy(targets, (target) => target.split("/")[0])];
  const grid = make("table", { class: "matrix", role: "grid", "aria-label": "Latency of every model on every target", onkeydown: moveInMatrix },
    make("thead", {},
      make("tr", {}, make("td", {}), devices.map(([device, own]) => make("th", { scope: "colgroup", colspan: own.length, class: "device" }, device))),
      make("tr", {}, make("th", { scope: "col" }, "Model"), devices.flatMap(([, own]) => own.map((target, at) => make("th", { scope: "col", class: at ? "" : "first" }, make("span", {}, breakable(target.split("/").slice(1).join("/") || target))))))),
    make("tbody", {}, rows.slice(0, show.most).map(({ model, cells }) => make("tr", {}, make("th", { scope: "row", title: model }, middle(model)),
      devices.flatMap(([, own]) => own.map((target, at) => cellOf(cells.get(target), heat, at ? "" : "first")))))));
  const legend = [
    ...heat.means.map(([swatch, name]) => make("span", {}, make("span", { class: `swatch ${swatch}` }), name)),
    ...Object.entries(MARKS).filter(([word]) => judged.some((each) => each.verdict === word)).map(([word, mark]) => make("span", {}, make("b", { class: MOODS[word] }, mark), { fail: "over budget", unjudged: "not judged", warn: "budget warning", accepted: "over and accepted" }[word])),
  ];
  fill(card, make("div", { class: "scroll", role: "region", "aria-label": "Table of all models" }, grid), make("div", { class: "key" }, legend),
    !rows.length && make("p", { class: "empty" }, "Nothing matches."),
    more > 0 && make("div", { class: "foot" }, make("button", { type: "button", onclick: () => { show.most = Infinity; drawMatrix(card, show); } }, `Show ${counted(more, "more model")}`)));
  const first = grid.querySelector(`[data-place="${chosen.place}"]`) || grid.querySelector("[data-place]");
  if (first) first.tabIndex = 0;
}

function cellOf(each, heat, side) {
  if (!each) return make("td", { role: "gridcell", class: side }, "–");
  const said = [each.verdict.toUpperCase(), `${each.model} on ${each.target}`, latency(each), each.budget_ms !== null && `budget ${limit(each.budget_ms)}`].filter(Boolean).join(", ");
  const show = () => { choose(each); document.getElementById("picker").scrollIntoView(); };
  return make("td", { role: "gridcell", class: `cell ${heat.of(each)} ${each.verdict} ${side}`, tabindex: "-1", "data-place": each.place, "aria-label": said, title: said, "aria-selected": String(each === chosen), onclick: show },
    MARKS[each.verdict] && make("b", { class: MOODS[each.verdict] }, `${MARKS[each.verdict]} `), (each.high_ms === null ? "≥ " : "") + each.latency_ms.toFixed(digits(each.latency_ms)));
}

function moveInMatrix(event) {
  const cell = event.target.closest("[data-place]");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); return cell.click(); }
  const [across, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] || [0, 0];
  if (!across && !down) return;
  event.preventDefault();
  const rows = [...cell.closest("tbody").rows];
  let [row, column] = [rows.indexOf(cell.parentElement) + down, cell.cellIndex + across];
  while (rows[row] && rows[row].cells[column] && !rows[row].cells[column].dataset.place) { row += down; column += across; }
  const next = rows[row] && rows[row].cells[column];
  if (!next || !next.dataset.place) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
