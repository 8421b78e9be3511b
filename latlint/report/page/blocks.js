
/* ---- Blocks ---- */

function showBlocks() {
  parts.blocks = section("blocks", "Blocks", "The same time by what the names of nodes begin with, as large as it is slow. Open a block to look into it.");
}

function drawBlocks() {
  const card = make("div", { class: "card" }, !kernels.length && missing());
  fill(parts.blocks, card);
  const pickIn = (kernel) => { pick(kernel.index); document.getElementById("timeline").scrollIntoView(); };
  if (kernels.some((kernel) => kernel.ms > 0)) drawMap(card, { kernels, whole: chosen.latency_ms, colour: colour(), pick: pickIn });
}
