
/* ---- A treemap of blocks ---- */

/** A name in pieces, each with the separators before it. */
const pieces = (name) => name.match(/[/._:;-]*[^/._:;-]+/g) || [name];
const bare = (name) => name.replace(/^[/._:;-]+/, "");

/** Kernels by what their names begin with: a block has a `name`, its `kernels`, and the blocks in it, the slowest first. */
function blocksOf(kernels) {
  const made = (name) => ({ name, kernels: [], ms: 0, inner: new Map() });
  const root = made("");
  for (const kernel of kernels.filter((each) => each.ms > 0)) {
    let block = root;
    const enter = (key, name) => {
      block.kernels.push(kernel);
      block.ms += kernel.ms;
      if (!block.inner.has(key)) block.inner.set(key, made(name));
      block = block.inner.get(key);
    };
    for (const piece of pieces(kernel.node || kernel.op)) enter(piece, piece);
    enter(kernel.index, "");
    block.kernels.push(kernel);
    block.ms = kernel.ms;
  }
  return joined(root);
}

/** The same without blocks that have a single one in them: their names go together. */
function joined({ name, kernels, ms, inner }) {
  while (inner.size === 1) {
    const [only] = inner.values();
    name += only.name;
    inner = only.inner;
  }
  return { name, kernels, ms, inner: [...inner.values()].map(joined).sort((a, b) => b.ms - a.ms) };
}

/** Where there is something to see: blocks that are nearly all of the one around them are passed through. */
function interesting(path) {
  const block = path.at(-1);
  const [first] = block.inner;
  return first && first.inner.length && first.ms > 0.9 * block.ms ? interesting([...path, first]) : path;
}

/** A treemap in `host`. `scene`: its `kernels`, their time as a `whole`, their `colour`, and what `pick` does with one. */
function drawMap(host, scene, path = interesting([blocksOf(scene.kernels)])) {
  const open = (to) => { drawMap(host, scene, to); (host.querySelector(".crumbs li:nth-last-child(2) button") || host.querySelector(".block")).focus(); };
  const crumb = (block, depth) => {
    const name = depth ? bare(block.name) : "whole model";
    return make("li", {}, depth < path.length - 1 ? make("button", { type: "button", class: "plain link", onclick: () => open(path.slice(0, depth + 1)) }, name) : make("span", { "aria-current": "true" }, name));
  };
  const map = make("ul", { class: "map" });
  const blanks = scene.kernels.filter((kernel) => kernel.source === "unknown");
  fill(host, make("nav", { "aria-label": "Block" }, make("ol", { class: "crumbs" }, path.map(crumb))), map,
    blanks.length && make("p", { class: "key" }, `Not in the picture, because their time is unknown: ${[...new Set(blanks.map((kernel) => kernel.name))].slice(0, 12).join(", ")} (${counted(blanks.length, "kernel")}).`));
  const shape = map.clientHeight / map.clientWidth;
  const inner = path.at(-1).inner.length ? path.at(-1).inner : path;
  fill(map, tiles(inner, 1, shape).map(([block, box]) => make("li", { style: placed(box) }, blockTile(block, box, shape, scene, titleIn(path, block), () => open(interesting([...path, block]))))));
}

/** What a block is called in the one around it; a number alone says too little. */
function titleIn(path, block) {
  const name = bare(block.name) || block.kernels[0].op;
  return /^\d+$/.test(name) ? bare(pieces(path.at(-1).name).at(-1) + block.name) : name;
}

const placed = ([left, top, width, height]) => ({ left: css(left), top: css(top), width: css(width), height: css(height) });

function blockTile(block, [, , width, height], shape, scene, name, open) {
  const share = percent(block.ms, scene.whole);
  const single = block.kernels.length === 1;
  const nameless = height < 0.09 || width < 0.04;
  const inner = make("span", { class: "inner", "aria-hidden": "true" }, tiles([...block.kernels].sort((a, b) => b.ms - a.ms), width, height * shape)
    .map(([kernel, box]) => make("i", { class: scene.colour.of(kernel), style: placed(box) })));
  const label = `${name}, ${inMs(block.ms)}, ${share}`;
  const title = !nameless && make("span", { class: "name" }, make("b", {}, middle(name)), make("span", {}, `${inMs(block.ms)} · ${share}`));
  const properties = { class: `block ${nameless ? "bare" : ""}`, title: label, "aria-label": single ? `${label}, show in the timeline` : `${label}, ${counted(block.kernels.length, "kernel")}, open` };
  return make("button", { type: "button", ...properties, onclick: single ? () => scene.pick(block.kernels[0]) : open }, title, inner);
}

/** A squarified treemap (Bruls, Huizing, van Wijk 2000): each item with its box in shares of the whole, which is `width` by `height`. */
function tiles(items, width, height) {
  const sum = total(items.map((item) => item.ms));
  const boxes = [];
  let [left, top, across, down] = [0, 0, width, height];
  let rest = items.map((item) => ({ item, area: (item.ms / sum) * width * height }));
  const badness = (row, side) => {
    const area = total(row.map((each) => each.area));
    return Math.max(...row.map((each) => Math.max((side * side * each.area) / (area * area), (area * area) / (side * side * each.area))));
  };
  while (rest.length) {
    const side = Math.min(across, down);
    let count = 1;
    while (count < rest.length && badness(rest.slice(0, count + 1), side) <= badness(rest.slice(0, count), side)) count += 1;
    const row = rest.slice(0, count);
    const depth = total(row.map((each) => each.area)) / side;
    let along = 0;
    for (const { item, area } of row) {
      const length = area / depth;
      const box = across >= down ? [left, top + along, depth, length] : [left + along, top, length, depth];
      boxes.push([item, [box[0] / width, box[1] / height, box[2] / width, box[3] / height]]);
      along += length;
    }
    if (across >= down) { left += depth; across -= depth; } else { top += depth; down -= depth; }
    rest = rest.slice(count);
  }
  return boxes;
}
