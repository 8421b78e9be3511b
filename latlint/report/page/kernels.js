
/* ---- Kernels ---- */

const word = (at) => (at === null ? null : data.words[at]);

/** Names that are there by number, in words. */
function inWords(item, one, many) {
  for (const key of one) item[key] = word(item[key]);
  for (const key of many) item[key] = item[key].map(word);
  return item;
}

/** The kernels of a plan in the order in which they run. A plan is two numbers a kernel: what it computes, and how. */
function kernelsOf(plan, times, partitions) {
  return times.map((time, index) => {
    const [name, kind, macs, bytes, inputs, outputs, dtype, nodeCount, ...nodes] = data.work[plan[2 * index]];
    const [implementation, source, partition, reason] = data.ways[plan[2 * index + 1]];
    return {
      index, kind, macs, bytes, nodeCount,
      name: word(name),
      op: word(name).split(" + ")[0],
      inputs: word(inputs),
      outputs: word(outputs),
      dtype: word(dtype),
      nodes: nodes.map(word),
      node: nodes.length ? word(nodes[0]) : "",
      implementation: word(implementation),
      source: word(source),
      reason: word(reason),
      processor: partitions[partition] || "",
      ms: time / 1000,
    };
  });
}

const perMac = (kernel) => (kernel.macs ? `${((1e6 * kernel.ms) / kernel.macs).toPrecision(3)} ns` : "");
const shapes = (kernel) => (kernel.inputs || kernel.outputs ? `${kernel.inputs || "?"} → ${kernel.outputs || "?"}` : "");

/** Everything that is known of a kernel. `whole`: the milliseconds of all, on what `where` says. */
function detailsOf(kernel, whole, where, ...more) {
  const pair = (term, value) => value && make("div", {}, make("dt", {}, term), make("dd", {}, value));
  const nodes = kernel.nodes.join("\n") + (kernel.nodeCount > kernel.nodes.length ? `\n… ${kernel.nodeCount} nodes in all` : "");
  return [
    make("div", { class: "title" }, make("span", { class: `swatch k${kernel.kind}` }), make("span", {}, kernel.name), make("span", {}, kernel.source === "unknown" ? "unknown time" : inMs(kernel.ms)),
      make("span", { class: "hint" }, `${percent(kernel.ms, whole)} of ${where}`), more),
    make("dl", {},
      pair("runs as", kernel.implementation), pair("on", kernel.processor), pair("in", kernel.inputs), pair("out", kernel.outputs), pair("type", kernel.dtype),
      pair("source", kernel.source), pair("before", kernel.before), pair("MACs", kernel.macs && size(kernel.macs)), pair("time per MAC", perMac(kernel)),
      pair("bytes", kernel.bytes && size(kernel.bytes)), pair("because", kernel.reason), pair(kernel.nodeCount > 1 ? "nodes" : "node", nodes && make("span", { class: "code lines" }, nodes))),
  ];
}

/** A bar of kernels in order and of the overhead, each as wide as its share of `whole` milliseconds. */
function barOf(kernels, overhead_ms, whole, colour, properties = () => ({})) {
  let start = 0;
  const step = (ms) => { const left = start; start += ms / whole; return { left: css(left), width: css(ms / whole) }; };
  return make("div", { class: "strip" },
    kernels.map((kernel) => make("i", { class: `${colour(kernel)} ${kernel.source === "unknown" ? "blank" : ""} ${kernel.ms / whole < 0.006 ? "slim" : ""}`, style: step(kernel.ms), "data-index": kernel.index, ...properties(kernel) })),
    make("i", { class: "overhead", style: step(overhead_ms), "aria-hidden": "true" }));
}
