
/* ---- Timeline ---- */

const MOST_ZOOM = 64;

/** Zoom for all bars in `lanes`: `ruler` gets ticks, `bar` scrolls. `whole` is what the ruler measures, in milliseconds. */
function zoomOf(lanes, whole) {
  const wide = make("div");
  const scroller = make("div", { class: "scroller", role: "region", "aria-label": "Which part of the timeline is shown" }, wide);
  const strip = make("div", { class: "strip" });
  const ruler = make("div", { class: "ruler", "aria-hidden": "true" }, strip);
  const view = { factor: 1, scroller, ruler };
  const follow = () => lanes.style.setProperty("--from", scroller.scrollLeft / scroller.scrollWidth || 0);
  view.to = (factor, at = (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth || 0) => {
    view.factor = Math.min(MOST_ZOOM, Math.max(1, factor));
    lanes.style.setProperty("--zoom", view.factor);
    wide.style.width = css(view.factor);
    scroller.toggleAttribute("hidden", view.factor === 1);
    if (view.factor === 1) scroller.removeAttribute("tabindex");
    else scroller.tabIndex = 0;
    scroller.scrollLeft = at * scroller.scrollWidth - scroller.clientWidth / 2;
    follow();
    const every = nice((90 * whole) / (view.factor * (ruler.clientWidth || 800)));
    const places = Array.from({ length: Math.floor(whole / every) + 1 }, (_, count) => count * every).filter((ms) => ms < whole * (1 - 0.04 / view.factor));
    fill(strip, places.map((ms) => make("span", { style: { left: css(ms / whole) } }, ms === 0 ? "0 ms" : String(+ms.toPrecision(6)))));
  };
  view.reveal = (start, end) => {
    const [left, shown] = [scroller.scrollLeft / scroller.scrollWidth, 1 / view.factor];
    if (view.factor > 1 && (start < left || end > left + shown)) view.to(view.factor, (start + end) / 2);
  };
  view.buttons = () => make("div", { class: "controls zoom" },
    make("button", { type: "button", onclick: () => view.to(2 * view.factor) }, "Zoom in"), make("button", { type: "button", onclick: () => view.to(view.factor / 2) }, "Zoom out"),
    make("button", { type: "button", onclick: () => view.to(1) }, "Whole"));
  scroller.addEventListener("scroll", follow);
  lanes.addEventListener("wheel", (event) => { if (event.deltaX && view.factor > 1) { event.preventDefault(); scroller.scrollLeft += event.deltaX; } }, { passive: false });
  lanes.addEventListener("dblclick", (event) => {
    const box = strip.getBoundingClientRect();
    view.to(2 * view.factor, (event.clientX - box.left) / box.width);
  });
  return view;
}

/** The next of 1, 2 and 5 times a power of ten. */
function nice(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= number * 0.999);
}

/** Under a bar, where the model is cut: which processor runs which stretch. */
function placesOf(kernels, whole, runtime) {
  if (new Set(kernels.map((kernel) => kernel.processor)).size < 2) return "";
  const strip = make("div", { class: "strip" });
  const first = runtime.endsWith("/builtin") ? "builtin" : kernels.find((kernel) => kernel.processor !== "builtin").processor;
  let start = 0;
  for (let from = 0, to; from < kernels.length; from = to) {
    to = from;
    while (to < kernels.length && kernels[to].processor === kernels[from].processor) to += 1;
    const width = total(kernels.slice(from, to).map((kernel) => kernel.ms)) / whole;
    const { processor } = kernels[from];
    strip.append(make("span", { class: processor === first ? "" : "elsewhere", style: { left: css(start), width: css(width) }, title: processor }, processor));
    start += width;
  }
  return make("div", { class: "places", "aria-hidden": "true" }, strip);
}

/* ---- The timeline of one model ---- */

const LANES = 12; // timelines shown at first
const lanes = { all: false, scale: "share", picked: 0, zoom: null };

function showTimeline() {
  parts.timeline = section("timeline", "Timeline", "Kernels in the order in which they run, as wide as they are slow. Point at one, or use the arrow keys, for its details; + and − zoom.",
    ...(models.some((model) => predictions.filter((each) => each.model === model).length > 1)
      ? [choice("Scale", [["share", "each to full width"], ["ms", "same milliseconds"]], (value) => { lanes.scale = value; drawTimeline(); })] : []));
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
