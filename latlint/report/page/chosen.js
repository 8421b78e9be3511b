
/* ---- One model on one target ---- */

const parts = { colour: "kind" }; // what is drawn anew when another prediction is chosen

const colour = () => COLOURS[parts.colour][1](kernels);
const sameModel = () => predictions.filter((each) => each.model === chosen.model);
const missing = () => make("p", { class: "empty" }, "The kernels of this prediction are not in this file; latlint predict shows them.");

function showPicker() {
  const pickModel = choice("Model", models.map((model, index) => [String(index), model]), (value) => {
    const same = predictions.filter((each) => each.model === models[value]);
    choose(same.find((each) => each.target === chosen.target) || same[0]);
  }, { id: "model" });
  const pickTarget = choice("Target", [], (value) => choose(predictions.find((each) => String(each.place) === value)), { id: "target" });
  const pickColour = choice("Colour", Object.entries(COLOURS).map(([key, [label]]) => [key, label]), (value) => { parts.colour = value; drawTimeline(); drawBlocks(); drawRows(); }, { id: "colour" });
  parts.now = make("div", { class: "now" });
  parts.about = make("div", { class: "about" });
  document.getElementById("main").append(make("div", { id: "picker", class: "picker card", role: "group", "aria-label": "Model and target of what follows" }, pickModel, pickTarget, pickColour, parts.now, parts.about));
}

function choose(prediction) {
  chosen = prediction;
  kernels = kernelsIn(prediction);
  const place = String(prediction.place);
  for (const row of document.querySelectorAll("#latency .row")) row.setAttribute("aria-pressed", String(row.dataset.place === place));
  for (const cell of document.querySelectorAll("#matrix .cell")) cell.setAttribute("aria-selected", String(cell.dataset.place === place));
  document.getElementById("model").value = String(models.indexOf(prediction.model));
  const target = document.getElementById("target");
  fill(target, sameModel().map((each) => make("option", { value: each.place }, each.target)));
  target.value = place;
  fill(parts.now, make("strong", {}, latency(prediction)), make("div", { class: "hint" }, `90% within ${range(prediction)} · ${prediction.runtime}`));
  const found = findings.filter((finding) => finding.model === prediction.model && (finding.target === null || finding.target === prediction.target));
  fill(parts.about,
    found.length && make("p", {}, `${counted(found.length, "finding")} here: `, found.slice(0, 12).flatMap((finding, index) => [index ? ", " : "", make("a", { href: `#${finding.id}` }, `${finding.code} ${finding.name}`)])),
    prediction.notes.length && folded(counted(prediction.notes.length, "note"), () => make("ul", { class: "notes" }, prediction.notes.map((note) => make("li", {}, note)))));
  drawTimeline();
  drawBlocks();
  drawKernels();
}

/* ---- Links to a finding and to a kernel ---- */

const kernelLink = (prediction, index) => `#k/${encodeURIComponent(prediction.model)}/${encodeURIComponent(prediction.target)}/${index + 1}`;

/** Show what the address names: `#f-…` a finding, `#k/MODEL/TARGET/NUMBER` a kernel. Other names are those of sections. */
function followAddress() {
  const hash = window.location.hash;
  if (hash.startsWith("#f-")) return showFinding(hash.slice(1));
  if (!hash.startsWith("#k/")) return;
  let [model, target, number] = hash.slice(3).split("/");
  try { [model, target] = [decodeURIComponent(model), decodeURIComponent(target || "")]; } catch { return; }
  const prediction = predictions.find((each) => each.model === model && each.target === target);
  if (prediction) showKernel(prediction, Number(number) - 1);
}

function showKernel(prediction, index) {
  if (prediction !== chosen) choose(prediction);
  if (kernels[index]) pick(index);
  document.getElementById("timeline").scrollIntoView();
  const track = document.getElementById("track");
  if (track) track.focus({ preventScroll: true });
}
