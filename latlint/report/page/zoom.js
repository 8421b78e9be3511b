
/* ---- Zoom and ticks of a timeline ---- */

const MOST_ZOOM = 64;

/** Zoom for all bars in `lanes`: `ruler` gets ticks, `bar` scrolls. `whole` is what the ruler measures, in milliseconds. */
function zoomOf(lanes, whole) {
  const wide = make("div");
  const scroller = make("div", { class: "scroller", role: "region", "aria-label": "Scroll the timeline" }, wide);
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
