
/* ---- Colours ---- */

const SOURCES = { predicted: "predicted from measurements", derived: "derived from a simpler model", unknown: "unknown, counted as nothing" };
const STEPS = [0.5, 1, 2, 4, 8];

/** What a kernel's colour tells: of some kernels, the class of each (`of`) and what the classes mean. */
const COLOURS = {
  kind: ["kind of op", () => ({ of: (kernel) => `k${kernel.kind}`, means: data.kinds.map((label, kind) => [`k${kind}`, label]) })],
  work: ["time per MAC", (kernels) => {
    const working = kernels.filter((kernel) => kernel.macs);
    const average = total(working.map((kernel) => kernel.ms)) / total(working.map((kernel) => kernel.macs)) || 1;
    const level = (kernel) => STEPS.filter((step) => kernel.ms / kernel.macs > step * average).length;
    const between = (at) => (at === 0 ? `below ×${STEPS[0]}` : at === STEPS.length ? `above ×${STEPS[at - 1]}` : `×${STEPS[at - 1]} to ×${STEPS[at]}`);
    return {
      of: (kernel) => (kernel.macs ? `h${level(kernel)}` : "no-macs"),
      means: [...[...STEPS, Infinity].map((step, at) => [`h${at}`, between(at)]), ["no-macs", "no MACs"]],
      note: `×1 is the average of the model, ${(1e6 * average).toPrecision(3)} ns a MAC`,
    };
  }],
  source: ["source of the time", () => ({ of: (kernel) => `s-${kernel.source}`, means: Object.entries(SOURCES).map(([source, label]) => [`s-${source}`, label]) })],
};

/* What became of a kernel since a commit, where that is known. */
const CHANGES = { added: "added", removed: "removed", slower: "slower", faster: "faster", alike: "changed, takes as long", same: "as before" };
const changeBy = (ms) => (Math.abs(ms) < 0.0005 ? "alike" : ms > 0 ? "slower" : "faster");
const byChange = () => ({ of: (kernel) => `c-${kernel.change || "none"}`, means: [...Object.entries(CHANGES), ["none", "not compared"]].map(([change, label]) => [`c-${change}`, label]) });

/** What the colours mean that are there, with the time of each; in the order of the time where they have none of their own. */
function legendOf(kernels, overhead_ms, whole, colour, label, ordered) {
  const sums = colour.means
    .map(([swatch, name]) => ({ swatch, name, of: kernels.filter((kernel) => colour.of(kernel) === swatch) }))
    .filter((each) => each.of.length)
    .map((each) => ({ ...each, ms: total(each.of.map((kernel) => kernel.ms)) }));
  const item = (swatch, name, ms) => make("li", {}, make("span", { class: `swatch ${swatch}` }), name, make("b", {}, inMs(ms)), make("span", { class: "hint" }, percent(ms, whole)));
  return make("ul", { class: "legend", "aria-label": label },
    (ordered ? sums : sums.sort((a, b) => b.ms - a.ms)).map((each) => item(each.swatch, each.name, each.ms)),
    overhead_ms > 0 && item("overhead", "Overhead", overhead_ms), colour.note && make("li", { class: "hint" }, colour.note));
}
