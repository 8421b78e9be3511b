
/* ---- The table of kernels ---- */

const TABLE_ROWS = 25;

const table = { key: "ms", down: true, text: "", kind: "all", source: "all", most: TABLE_ROWS };

const COLUMNS = [
  { key: "index", label: "#", number: true, wide: true, cell: (kernel) => String(kernel.index + 1) },
  { key: "name", label: "Op", class: "op", cell: (kernel, most, of) => [make("span", { class: `swatch ${of(kernel)}` }), kernel.name] },
  { key: "ms", label: "ms", number: true, down: true, cell: (kernel) => (kernel.source === "unknown" ? "?" : kernel.ms.toFixed(3)) },
  { key: "share", label: "Share", number: true, down: true, wide: true, sort: (kernel) => kernel.ms, cell: (kernel) => percent(kernel.ms, chosen.latency_ms) },
  { key: "meter", wide: true, class: "meter-cell", cell: (kernel, most, of) => make("span", { class: of(kernel), style: { width: css(kernel.ms / most) } }) },
  { key: "implementation", label: "Runs as", wide: true, cell: (kernel) => kernel.implementation },
  { key: "source", label: "Source", wide: true, cell: (kernel) => kernel.source },
  { key: "macs", label: "MACs", number: true, down: true, wide: true, cell: (kernel) => (kernel.macs ? size(kernel.macs) : "") },
  { key: "bytes", label: "Bytes", number: true, down: true, wide: true, cell: (kernel) => (kernel.bytes ? size(kernel.bytes) : "") },
  { key: "inputs", label: "Shapes", class: "shapes", wide: true, cell: (kernel) => [shapes(kernel), " ", make("span", { class: "hint" }, kernel.dtype)] },
  { key: "node", label: "Node", class: "node code", cell: (kernel) => breakable(kernel.node) },
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
  parts.heads = make("thead");
  parts.rows = make("tbody");
  parts.foot = make("div", { class: "foot" });
  fill(parts.kernels, make("div", { class: "card" },
    make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Table of kernels" },
      make("table", {}, make("caption", { class: "hidden" }, `Kernels of ${chosen.model} on ${chosen.target}`), parts.heads, parts.rows)), parts.foot));
  drawRows();
}

function drawRows() {
  if (!kernels.length) return undefined;
  const wanted = kernels
    .filter((kernel) => (table.kind === "all" || String(kernel.kind) === table.kind) && (table.source === "all" || kernel.source === table.source))
    .filter((kernel) => `${kernel.name} ${kernel.implementation} ${shapes(kernel)} ${kernel.dtype} ${kernel.nodes.join(" ")}`.toLowerCase().includes(table.text));
  sortRows(wanted, COLUMNS, table);
  const most = Math.max(...kernels.map((kernel) => kernel.ms)) || 1;
  const heads = headsOf(COLUMNS, table, drawRows);
  const { of } = colour();
  fill(parts.heads, heads);
  fill(parts.rows, wanted.slice(0, table.most).map((kernel) => make("tr", { "data-index": kernel.index, class: kernel.index === lanes.picked ? "chosen" : "", onclick: () => pick(kernel.index) },
    COLUMNS.map((each) => make("td", { class: classOf(each) }, each.cell(kernel, most, of))))));
  const more = wanted.length - table.most;
  const sum = total(wanted.map((kernel) => kernel.ms));
  fill(parts.foot,
    make("span", { role: "status" }, `${counted(wanted.length, "kernel")}, ${inMs(sum)}, ${percent(sum, chosen.latency_ms)}`
      + (wanted.length === kernels.length ? `; overhead ${inMs(chosen.overhead_ms)}${chosen.free ? `; ${counted(chosen.free, "op")} without a kernel` : ""}` : "")),
    notOnPaper(more),
    more > 0 && make("button", { type: "button", onclick: () => { table.most = Infinity; drawRows(); } }, `Show ${counted(more, "more kernel")}`));
  return heads;
}
