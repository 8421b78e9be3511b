
/* ---- Light and dark ---- */

function offerThemes() {
  const button = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let given;
  const show = () => {
    const now = given === undefined ? dark.matches : given;
    document.documentElement.style.colorScheme = given === undefined ? "" : now ? "dark" : "light";
    button.textContent = now ? "Light theme" : "Dark theme";
  };
  button.addEventListener("click", () => { given = !(given === undefined ? dark.matches : given); show(); });
  dark.addEventListener("change", show);
  show();
}
