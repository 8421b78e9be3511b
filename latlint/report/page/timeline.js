
/* ---- The timeline of one model ---- */

const LANES = 12; // timelines shown at first
const lanes = { all: false, scale: "share", picked: 0, zoom: null };

function showTimeline() {
  parts.timeline = section("timeline", "Timeline", "Kernels in the order in which they run, as wide as they are slow. Point at one, or use the arrow keys, for its details; + and − zoom.",
    ...(models.some((model) => predictions.filter((each) => each.model === model).length > 1)
      ? [choice("Scale", [["share", "each to full width"], ["ms", "same milliseconds"]], (value) => { lanes.scale = value; drawTimeline(); })] : []));
  onPaper.push(() => { lanes.all = true; drawTimeline(); });
}

function drawTimeline() {
  if (!kernels.length) return fill(parts.timeline, make("div", { class: "card" }, missing()));
  const comparable = sameModel().filter((each) => each.plan !== undefined);
  const others = comparable.filter((each) => each !== chosen);
  const shown = lanes.all ? comparable : comparable.filter((each) => each === chosen || others.indexOf(each) < LANES - 1);
  const most = Math.max(...shown.map((each) => each.latency_ms));
  const rest = comparable.length - shown.length;
  const whole = (each) => (lanes.scale === "ms" ? most : each.latency_ms);
  const list = make("div", { class: "lanes" });
  lanes.picked = slowestOf(kernels).index;
  lanes.zoom = zoomOf(list, whole(chosen));
  parts.details = make("div", { class: "details" });
  fill(list, shown.map((each) => lane(each, whole(each))), lanes.zoom.scroller);
  fill(parts.timeline, make("div", { class: "card" }, lanes.zoom.buttons(), list,
    rest > 0 && make("div", { class: "lanes" }, make("button", { type: "button", onclick: () => { lanes.all = true; drawTimeline(); } }, `Show ${counted(rest, "more target")}`)),
    legendOf(kernels, chosen.overhead_ms, chosen.latency_ms, colour(), `Time by ${COLOURS[parts.colour][0]} on ${chosen.target}`, parts.colour === "work"), parts.details));
  lanes.zoom.to(1);
  pick(lanes.picked);
}

function lane(prediction, whole) {
  const now = prediction === chosen;
  const own = now ? kernels : kernelsIn(prediction);
  const name = make("button", { type: "button", class: "plain", onclick: () => choose(prediction), "aria-pressed": String(now) }, prediction.target);
  const ms = make("span", { class: "ms" }, latency(prediction));
  const said = (kernel) => (now ? { id: `kernel-${kernel.index}`, role: "option", "aria-selected": "false", "aria-label": spoken(kernel) } : {});
  const track = make("div", { class: "track" }, barOf(own, prediction.overhead_ms, whole, COLOURS[parts.colour][1](own).of, said));
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
  return make("div", { class: "lane now" }, lanes.zoom.ruler, name, track, ms, placesOf(own, whole, prediction.runtime));
}

const spoken = (kernel) => [kernel.name, inMs(kernel.ms), percent(kernel.ms, chosen.latency_ms), kernel.node].filter(Boolean).join(", ");

function moveByKey(event) {
  const last = kernels.length - 1;
  const factor = { "+": 2, "=": 2, "-": 0.5, 0: 1 / MOST_ZOOM }[event.key];
  const to = { ArrowRight: lanes.picked + 1, ArrowLeft: lanes.picked - 1, Home: 0, End: last }[event.key];
  if (factor === undefined && to === undefined) return;
  event.preventDefault();
  if (factor) return lanes.zoom.to(factor * lanes.zoom.factor, spanOf(lanes.picked)[0]);
  pick(Math.min(last, Math.max(0, to)));
  lanes.zoom.reveal(...spanOf(lanes.picked));
}

/** Where a kernel begins and ends, in shares of the ruler. */
function spanOf(index) {
  const option = document.getElementById(`kernel-${index}`);
  const start = parseFloat(option.style.left) / 100;
  return [start, start + parseFloat(option.style.width) / 100];
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
  fill(parts.details, ...detailsOf(kernel, prediction.latency_ms, `${prediction.target} · kernel ${kernel.index + 1} of ${prediction.kernels_us.length}`,
    make("a", { class: "anchor", href: kernelLink(prediction, kernel.index), "aria-label": `Link to kernel ${kernel.index + 1} on ${prediction.target}` }, "link")));
}
