
/* ---- The document ---- */

// Everything from a model file is data: it reaches the page as text nodes and attribute values, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);

/** An element with properties, `on…` listeners, `style`, `aria-…` and other attributes, and children: nodes, text or nothing. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "style") for (const [name, given] of Object.entries(value)) element.style.setProperty(name, given);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(Boolean));
  return element;
}

function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

function section(id, title, hint, ...controls) {
  const body = make("div");
  const heading = make("div", { class: "heading" }, make("div", {}, make("h2", { id: `${id}-title` }, title), hint && make("p", { class: "hint" }, hint)),
    controls.length && make("div", { class: "controls" }, controls));
  const element = make("section", { id, "aria-labelledby": `${id}-title` }, heading, body);
  document.getElementById("main").append(element);
  document.getElementById("sections").append(make("a", { href: `#${id}` }, title));
  return body;
}

/* Nobody can press a button on paper: before the page is printed, each list shows all that it has. Of kernels that would be many pages: there the
   paper says how many are left out. */
const onPaper = [];
window.addEventListener("beforeprint", () => onPaper.forEach((showAll) => showAll()));

const notOnPaper = (more) => more > 0 && make("span", { class: "paper" }, `${more} more are not on paper: show them, then print`);

function choice(label, options, onchange, properties = {}) {
  const select = make("select", { onchange: () => onchange(select.value), ...properties },
    options.map(([value, text]) => make("option", { value }, text)));
  return make("label", {}, label, select);
}

function searchField(label, oninput) {
  const input = make("input", { type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false" });
  input.addEventListener("input", () => oninput(input.value.trim().toLowerCase()));
  return input;
}

/** A name that is cut in its middle where there is no room: its beginning gives way, its end stays. */
function middle(name) {
  if (name.length < 18) return make("span", { class: "middle" }, name);
  const at = name.length - Math.min(14, name.length >> 1);
  return make("span", { class: "middle" }, make("span", {}, name.slice(0, at)), make("span", {}, name.slice(at)));
}

/** A name that may go on in the next line after each slash or hyphen, and before an @. */
const breakable = (name) => name.split(/(?<=[/-])|(?=@)/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));

/** Text in which `code` stands between backticks, and *a term* between stars. */
const prose = (text) => text.replace(/^- /, "• ").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part.split(/\*(\w[^*]*)\*/).map((piece, at) => (at % 2 ? make("em", {}, piece) : piece))));

/** What unfolds. Of a function the content is made when it is first opened. */
function folded(summary, content, properties = {}) {
  const lazy = typeof content === "function";
  const element = make("details", properties, make("summary", {}, summary), lazy ? "" : content);
  const unfold = () => { if (lazy && element.childElementCount === 1) element.append(...[content()].flat()); };
  element.addEventListener("toggle", unfold);
  element.unfold = () => { unfold(); element.open = true; };
  return element;
}

/* ---- Tables that sort ---- */

const classOf = (column) => [column.class, column.number && "number", column.wide && "wide-only"].filter(Boolean).join(" ");

/** The row of heads. `show` has the `key` of the column that the table is sorted by, and whether `down`. */
function headsOf(columns, show, redraw) {
  return make("tr", {}, columns.map((column) => {
    if (!column.label) return make("td", { class: classOf(column) });
    const sorted = column.key === show.key;
    const sort = () => {
      show.down = sorted ? !show.down : Boolean(column.down);
      show.key = column.key;
      redraw().querySelector(`[data-key="${column.key}"]`).focus();
    };
    const arrow = sorted ? make("span", { "aria-hidden": "true" }, show.down ? " ↓" : " ↑") : "";
    return make("th", { scope: "col", class: classOf(column), "aria-sort": sorted && (show.down ? "descending" : "ascending") },
      make("button", { type: "button", class: "plain", "data-key": column.key, onclick: sort }, column.label, arrow));
  }));
}

function sortRows(rows, columns, show) {
  const column = columns.find(({ key }) => key === show.key);
  const value = column.sort || ((row) => row[column.key]);
  const compare = (a, b) => (typeof value(a) === "string" ? value(a).localeCompare(value(b), "en") : value(a) - value(b));
  return rows.sort((a, b) => (show.down ? compare(b, a) : compare(a, b)) || a.index - b.index || 0);
}
