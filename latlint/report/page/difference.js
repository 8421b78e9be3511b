
/* ---- Two states side by side ---- */

const changes = data.changes.map((each) => {
  inWords(each, ["model", "target", "status", "facts", "remarks"], ["totals"]);
  for (const side of [each.before, each.after]) if (side) inWords(side, ["interval", "runtime"], ["partitions"]);
  return { ...each, by: each.before && each.after ? each.after.latency_ms - each.before.latency_ms : null };
});

COLOURS.change = ["what changed", byChange];

const mood = (each) => (each.by === null || each.within || Math.abs(each.by) < 0.0005 ? "" : each.by > 0 ? "bad" : "good");
const taking = (side) => (side ? `${side.lower_bound ? "≥ " : ""}${inMs(side.latency_ms)}` : "–");

let shown = changes[0];
const parts = { colour: "change" };

/** Both sides' kernels, each with what became of it, where its counterpart is, and the pairs that changed. */
function stateOf(change) {
  const sides = [change.before, change.after].map((side, at) => (side && change.plans ? kernelsOf(change.plans[at], change.times[at], side.partitions) : []));
  const pairs = (change.pairs || []).map(([old, now, what], index) => {
    const pair = { index, old: sides[0][old], now: sides[1][now], what: what === undefined ? "" : word(what), changed: what !== undefined };
    pair.by = (pair.now ? pair.now.ms : 0) - (pair.old ? pair.old.ms : 0);
    const become = !pair.changed ? "same" : !pair.old ? "added" : !pair.now ? "removed" : changeBy(pair.by);
    for (const kernel of [pair.old, pair.now]) if (kernel) Object.assign(kernel, { pair, change: become });
    return Object.assign(pair, { change: become });
  });
  return { sides, pairs };
}

/* ---- All that changed ---- */

const TOTALS = [
  { key: "model", label: "Model", class: "node", cell: (each) => make("button", { type: "button", class: "plain link", "aria-pressed": String(each === shown), onclick: () => choose(each) }, breakable(each.model)) },
  { key: "target", label: "Target", cell: (each) => breakable(each.target) },
  { key: "before", label: "Before", number: true, wide: true, sort: (each) => (each.before ? each.before.latency_ms : 0), cell: (each) => taking(each.before) },
  { key: "after", label: "After", number: true, sort: (each) => (each.after ? each.after.latency_ms : 0), cell: (each) => taking(each.after) },
  { key: "by", label: "Change", number: true, down: true, sort: (each) => Math.abs(each.by || 0), cell: (each) => make("b", { class: mood(each) }, each.by === null ? each.status : signed(each.by)) },
  { key: "ratio", label: "", number: true, cell: (each) => (each.by !== null && each.before.latency_ms > 0 ? change(each.after.latency_ms / each.before.latency_ms) : "") },
  { key: "remarks", label: "Remarks", wide: true, cell: (each) => [each.status !== "modified" && `${each.status}. `, each.remarks].filter(Boolean) },
];

function showTotals() {
  const card = make("div", { class: "card" });
  const show = { key: "by", down: true, most: 40 };
  parts.drawTotals = () => {
    const rows = sortRows([...changes], TOTALS, show);
    const more = rows.length - show.most;
    const heads = headsOf(TOTALS, show, parts.drawTotals);
    fill(card, make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of models and targets" },
      make("table", {}, make("caption", { class: "hidden" }, "Latency before and after"), make("thead", {}, heads),
        make("tbody", {}, rows.slice(0, show.most).map((each) => make("tr", { class: each === shown ? "chosen" : "" }, TOTALS.map((column) => make("td", { class: classOf(column) }, column.cell(each)))))))),
    more > 0 && make("div", { class: "foot" }, make("button", { type: "button", onclick: () => { show.most = Infinity; parts.drawTotals(); } }, `Show ${counted(more, "more line")}`)));
    return heads;
  };
  onPaper.push(() => { show.most = Infinity; parts.drawTotals(); });
  section("changes", "Before and after", changes.length > 1 && "Choose a line to see what makes the difference.").append(card);
}

/* ---- One model on one target ---- */

function showDetails() {
  parts.why = section("why", "Why");
  parts.timeline = section("timeline", "Side by side", "Kernels in the order in which they run, on one scale of time. Point at one, or use the arrow keys, to see it and its counterpart.",
    choice("Colour", Object.entries(COLOURS).reverse().map(([key, [label]]) => [key, label]), (value) => { parts.colour = value; draw(); }, { id: "colour" }));
  parts.kernels = section("kernels", "What came and went", "Kernels that are not as they were, what changed most first.",
    searchField("Filter by op, kernel or node", (text) => { rows.text = text; drawPairs(); }),
    choice("Show", [["all", "all"], ...Object.entries(CHANGES).slice(0, 5)], (value) => { rows.only = value; drawPairs(); }));
  parts.blocks = section("blocks", "Blocks", "Both together, by what the names of nodes begin with. A kernel is as large as the longer of its times.");
}

function choose(each) {
  shown = each;
  parts.state = stateOf(each);
  parts.drawTotals();
  draw();
}

function draw() {
  const { by } = shown;
  fill(parts.why, make("div", { class: "card start" },
    make("p", {}, make("b", {}, shown.model), ` on ${shown.target}: ${taking(shown.before)} → `, make("b", { class: mood(shown) }, `${taking(shown.after)}${by === null ? "" : `, ${signed(by)}`}`)),
    make("div", {}, make("h3", {}, "What makes the difference"),
      shown.causes.length ? make("ol", {}, shown.causes.map(([ms, what, fix]) => make("li", {}, make("b", {}, signed(ms)), ` ${word(what)}`, ms > 0 && make("p", { class: "hint" }, make("b", {}, "To take it back: "), word(fix)))))
        : make("p", { class: "hint" }, by === null ? `The model is ${shown.status}.` : "Nothing: all kernels are as before.")),
    make("div", {}, make("h3", {}, "In numbers"), make("ul", { class: "notes" }, [shown.facts, ...shown.totals, shown.remarks].filter(Boolean).map((line) => make("li", {}, line))))));
  drawTimelines();
  drawPairs();
  drawBlocks();
}

const missing = () => make("p", { class: "empty" }, shown.pairs ? "There is no other state to compare with." : "The kernels of this change are not in this file; latlint diff shows them.");
const colourOf = (kernels) => COLOURS[parts.colour][1](kernels);

function drawTimelines() {
  const { sides } = parts.state;
  if (!sides[0].length && !sides[1].length) return fill(parts.timeline, make("div", { class: "card" }, missing()));
  const states = [["before", shown.before, sides[0]], ["after", shown.after, sides[1]]].filter(([, side]) => side);
  const whole = Math.max(...states.map(([, side]) => side.latency_ms));
  const list = make("div", { class: "lanes" });
  parts.zoom = zoomOf(list, whole);
  parts.details = make("div", { class: "details pair" });
  const all = [...sides[1], ...sides[0].filter((kernel) => kernel.change === "removed")];
  fill(list, make("div", { class: "lane" }, parts.zoom.ruler), states.map(([name, side, kernels]) => stateLane(name, side, kernels, whole)), parts.zoom.scroller);
  fill(parts.timeline, make("div", { class: "card" }, parts.zoom.buttons(), list,
    parts.colour === "change" ? changesLegend() : legendOf(all, 0, whole, colourOf(all), `Time by ${COLOURS[parts.colour][0]}`, parts.colour === "work"), parts.details));
  parts.zoom.to(1);
  const most = parts.state.pairs.reduce((found, pair) => (found && Math.abs(found.by) >= Math.abs(pair.by) ? found : pair), undefined);
  if (most) pick(most);
}

/** How many kernels became what, and what that changes. */
function changesLegend() {
  const by = Map.groupBy(parts.state.pairs, (pair) => pair.change);
  return make("ul", { class: "legend", "aria-label": "Kernels by what changed" }, Object.entries(CHANGES).filter(([change]) => by.has(change)).map(([change, label]) =>
    make("li", {}, make("span", { class: `swatch c-${change}` }), `${by.get(change).length} ${label}`, change !== "same" && make("b", {}, signed(total(by.get(change).map((pair) => pair.by)))))));
}

function stateLane(name, side, kernels, whole) {
  const said = (kernel) => ({ id: `${name}-${kernel.index}`, role: "option", "aria-selected": "false", "aria-label": `${kernel.name}, ${inMs(kernel.ms)}, ${CHANGES[kernel.change]}` });
  const track = make("div", { class: "track", id: name, tabindex: "0", role: "listbox", "aria-orientation": "horizontal", "aria-label": `Kernels ${name}, in execution order` },
    barOf(kernels, side.overhead_ms, whole, colourOf(kernels).of, said));
  const byPointer = (event) => { const at = event.target.dataset.index; if (at) pick(kernels[at].pair); };
  track.addEventListener("pointermove", byPointer);
  track.addEventListener("pointerdown", byPointer);
  track.addEventListener("keydown", (event) => {
    const now = kernels.findIndex((kernel) => kernel.pair === parts.picked);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: kernels.length - 1 }[event.key];
    const factor = { "+": 2, "=": 2, "-": 0.5, 0: 1 / MOST_ZOOM }[event.key];
    if (to === undefined && factor === undefined) return;
    event.preventDefault();
    if (factor) return parts.zoom.to(factor * parts.zoom.factor);
    const kernel = kernels[Math.min(kernels.length - 1, Math.max(0, to))];
    pick(kernel.pair);
    const { left, width } = document.getElementById(`${name}-${kernel.index}`).style;
    parts.zoom.reveal(parseFloat(left) / 100, (parseFloat(left) + parseFloat(width)) / 100);
  });
  return make("div", { class: "lane state" }, make("span", { class: "plain" }, name), track, make("span", { class: "ms" }, taking(side)), placesOf(kernels, whole, side.runtime));
}

/** Mark a kernel on both sides, and say what it was and is. */
function pick(pair) {
  parts.picked = pair;
  for (const before of document.querySelectorAll("#timeline .chosen")) {
    before.classList.remove("chosen");
    before.setAttribute("aria-selected", "false");
  }
  for (const [name, kernel] of [["before", pair.old], ["after", pair.now]]) {
    const option = kernel && document.getElementById(`${name}-${kernel.index}`);
    if (!option) continue;
    option.classList.add("chosen");
    option.setAttribute("aria-selected", "true");
    document.getElementById(name).setAttribute("aria-activedescendant", option.id);
  }
  const side = (name, kernel, state) => make("div", {}, make("h3", {}, name), kernel ? detailsOf(kernel, state.latency_ms, shown.target) : make("p", { class: "hint" }, "not there"));
  fill(parts.details, make("p", {}, make("span", { class: `swatch c-${pair.change}` }), ` ${CHANGES[pair.change]}, ${signed(pair.by)}${pair.what ? `: ${pair.what}` : ""}`),
    side("Before", pair.old, shown.before), side("After", pair.now, shown.after));
  for (const row of document.querySelectorAll("#kernels tbody tr")) row.classList.toggle("chosen", Number(row.dataset.index) === pair.index);
}

const rows = { key: "by", down: true, text: "", only: "all", most: 40 };
const either = (pair) => pair.now || pair.old;
const time = (kernel) => (kernel ? kernel.ms.toFixed(3) : "");

const PAIRS = [
  { key: "change", label: "What", class: "state", cell: (pair) => [make("span", { class: `swatch c-${pair.change}` }), CHANGES[pair.change]] },
  { key: "by", label: "Change", number: true, down: true, sort: (pair) => Math.abs(pair.by), cell: (pair) => signed(pair.by) },
  { key: "old", label: "Before", number: true, wide: true, sort: (pair) => (pair.old ? pair.old.ms : 0), cell: (pair) => time(pair.old) },
  { key: "now", label: "After", number: true, wide: true, sort: (pair) => (pair.now ? pair.now.ms : 0), cell: (pair) => time(pair.now) },
  { key: "name", label: "Op", sort: (pair) => either(pair).name, cell: (pair) => either(pair).name },
  { key: "what", label: "How", wide: true, class: "shapes", cell: (pair) => pair.what || shapes(either(pair)) },
  { key: "node", label: "Node", class: "node code", sort: (pair) => either(pair).node, cell: (pair) => breakable(either(pair).node) },
];

function drawPairs() {
  const { pairs } = parts.state;
  const wanted = sortRows(pairs.filter((pair) => pair.changed && (rows.only === "all" || pair.change === rows.only)
    && `${either(pair).name} ${either(pair).implementation} ${pair.what} ${either(pair).node}`.toLowerCase().includes(rows.text)), PAIRS, rows);
  const heads = headsOf(PAIRS, rows, drawPairs);
  const more = wanted.length - rows.most;
  fill(parts.kernels, make("div", { class: "card" }, !pairs.length ? missing() : [
    make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of kernels that changed" },
      make("table", {}, make("caption", { class: "hidden" }, `Kernels of ${shown.model} on ${shown.target} that changed`), make("thead", {}, heads),
        make("tbody", {}, wanted.slice(0, rows.most).map((pair) => make("tr", { "data-index": pair.index, class: pair === parts.picked ? "chosen" : "", onclick: () => pick(pair) }, PAIRS.map((column) => make("td", { class: classOf(column) }, column.cell(pair)))))))),
    make("div", { class: "foot" }, make("span", { role: "status" }, `${counted(wanted.length, "kernel")}, ${signed(total(wanted.map((pair) => pair.by)))}`),
      notOnPaper(more),
      more > 0 && make("button", { type: "button", onclick: () => { rows.most = Infinity; drawPairs(); } }, `Show ${counted(more, "more kernel")}`))]));
  return heads;
}

function drawBlocks() {
  const card = make("div", { class: "card" });
  fill(parts.blocks, card);
  const both = parts.state.pairs.map((pair) => ({ ...either(pair), ms: Math.max(...[pair.old, pair.now].filter(Boolean).map((kernel) => kernel.ms)), index: pair.index }));
  const pickIn = (kernel) => { pick(parts.state.pairs[kernel.index]); document.getElementById("timeline").scrollIntoView(); };
  if (both.some((kernel) => kernel.ms > 0)) drawMap(card, { kernels: both, whole: total(both.map((kernel) => kernel.ms)), colour: colourOf(both), pick: pickIn });
  else fill(card, missing());
}

function showNotes() {
  const notes = [
    ...data.errors.map((error) => make("li", { class: "bad" }, make("span", { class: "code" }, error.path), `: ${error.message} [${error.code}]`)),
    ...data.cuts.map((cut) => make("li", {}, `Not shown here: ${cut}.`)),
    ...data.notes.map((note) => make("li", {}, note)),
  ];
  if (notes.length) document.getElementById("main").append(make("ul", { class: "notes" }, notes));
}

offerThemes();
showNotes();
if (changes.length) {
  showTotals();
  showDetails();
  choose(shown);
}
