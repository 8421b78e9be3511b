
/* ---- The report ---- */

offerThemes();
showSummary();
showStart();
showMatrix();
showLatencies();
if (data.command === "check") showFindings();
showTargets();
if (chosen) {
  showPicker();
  showTimeline();
  showBlocks();
  showKernels();
  choose(chosen);
}
window.addEventListener("hashchange", followAddress);
followAddress();
