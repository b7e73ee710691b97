// Runs in the page of a routing report: order and colours of languages, cells and points by keyboard, favourites, downloads.
const data = JSON.parse(document.getElementById("data").textContent);
const { names, layers, experts, vectors, orders, markings, favourites } = data;
const byId = (id) => document.getElementById(id);
const svgOf = (name) => byId(`figure-${name}`).querySelector("svg");
const drawn = "http://www.w3.org/2000/svg";

// Order of the heat map's rows.
const heat = svgOf("heat-map");
const grid = heat.querySelector(".rows");
const rows = new Map([...grid.children].map((row) => [Number(row.dataset.i), row]));
let order = orders.tree;
byId("order").addEventListener("change", (event) => {
  order = orders[event.target.value];
  order.forEach((language, at) => {
    const row = rows.get(language);
    row.setAttribute("transform", `translate(0 ${Number(grid.dataset.top) + at * Number(grid.dataset.tall)})`);
    grid.append(row);
  });
  cursor.remove();
});

// A cell of the heat map, told in words: by pointer, or by arrow keys once the map has the focus.
const { x: left, top, tall, wide, gap } = Object.fromEntries(Object.entries(grid.dataset).map(([k, v]) => [k, Number(v)]));
const cursor = document.createElementNS(drawn, "rect");
cursor.setAttribute("class", "cursor");
cursor.setAttribute("width", wide);
cursor.setAttribute("height", tall);
const cell = { row: 0, column: 0 };
function show(row, column) {
  cell.row = Math.max(0, Math.min(order.length - 1, row));
  cell.column = Math.max(0, Math.min(layers.length * experts - 1, column));
  const [language, layer] = [order[cell.row], Math.floor(cell.column / experts)];
  cursor.setAttribute("x", left + cell.column * wide + gap * layer);
  cursor.setAttribute("y", top + cell.row * tall);
  heat.append(cursor);
  const share = vectors[language][cell.column] / 100;
  byId("cell").textContent =
    `${names[language]}: ${share.toFixed(share < 1 ? 2 : 1)} % of its tokens in layer ${layers[layer]} go to expert ${cell.column % experts}`;
}
heat.addEventListener("pointermove", (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(heat.getScreenCTM().inverse());
  const layer = Math.floor((x - left) / (experts * wide + gap));
  const column = layer * experts + Math.floor((x - left - layer * (experts * wide + gap)) / wide);
  const row = Math.floor((y - top) / tall);
  if (x >= left && layer < layers.length && row >= 0 && row < order.length) show(row, column);
});
const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-10, 0], PageDown: [10, 0] };
heat.addEventListener("keydown", (event) => {
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  show(cell.row + move[0], cell.column + move[1]);
});
heat.addEventListener("focus", () => show(cell.row, cell.column));

// Points of a map: arrow keys go from one to the next, its name is told below.
for (const figure of document.querySelectorAll("figure.map")) {
  const points = [...figure.querySelectorAll(".point")];
  const told = figure.querySelector("output");
  const svg = figure.querySelector("svg");
  let current = -1;
  const tell = (i) => {
    points[current]?.classList.remove("chosen");
    current = (i + points.length) % points.length;
    const point = points[current];
    point.classList.add("chosen");
    point.parentNode.append(point);
    told.textContent = point.querySelector("title").textContent;
  };
  points.forEach((point, i) => point.addEventListener("pointerenter", () => tell(i)));
  svg.addEventListener("focus", () => tell(Math.max(0, current)));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    tell(current + step);
  });
}

// What colours and shapes stand for.
function marked(shape, colour) {
  const path = document.createElementNS(drawn, "path");
  path.setAttribute("d", shape);
  path.setAttribute("fill", colour);
  return path;
}
byId("colour").addEventListener("change", (event) => {
  const { marks, of } = markings[event.target.value];
  for (const figure of document.querySelectorAll("figure.languages")) {
    for (const path of figure.querySelectorAll(".mark")) {
      const mark = marks[of[path.dataset.i]];
      path.setAttribute("d", mark.shape);
      path.setAttribute("fill", mark.colour);
    }
    for (const branch of figure.querySelectorAll(".branch")) {
      const all = new Set(orders.tree.slice(Number(branch.dataset.first), Number(branch.dataset.last) + 1).map((i) => of[i]));
      const mark = all.size === 1 ? marks[[...all][0]] : undefined;
      branch.setAttribute("stroke", mark && mark.name !== "others" ? mark.colour : "#7a7a7a");
    }
    const legend = figure.querySelector(".key");
    if (legend) relabel(figure.querySelector("svg"), legend, marks);
  }
});
function relabel(svg, legend, marks) {
  const { x, y, columns } = Object.fromEntries(Object.entries(legend.dataset).map(([k, v]) => [k, Number(v)]));
  legend.replaceChildren(
    ...marks.flatMap(({ name, shape, colour }, i) => {
      const [left, top] = [x + (i % columns) * 180, y + Math.floor(i / columns) * 17];
      const path = marked(shape, colour);
      path.setAttribute("transform", `translate(${left + 6} ${top + 8})`);
      const text = document.createElementNS(drawn, "text");
      text.setAttribute("x", left + 16);
      text.setAttribute("y", top + 12);
      text.setAttribute("class", "ink");
      text.textContent = name;
      return [path, text];
    }),
  );
  const { width } = svg.viewBox.baseVal;
  const height = y + Math.ceil(marks.length / columns) * 17 + 8;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
}

// Favourite tokens.
const [language, expert] = [byId("language"), byId("expert")];
function favourite() {
  const list = favourites.lists[language.value][expert.value];
  const body = byId("favourites").tBodies[0];
  const lines = [];
  for (let i = 0; i < list.length; i += 3) {
    const line = document.createElement("tr");
    const [text, count, of] = [favourites.texts[list[i]], list[i + 1], list[i + 2]];
    const cells = [text.replaceAll(" ", "␣").replaceAll("\n", "⏎"), count, of, `${((100 * count) / of).toFixed(0)} %`];
    cells.forEach((value, k) => {
      const cell = document.createElement("td");
      cell.className = k === 0 ? "token" : "n";
      if (k === 0) cell.dir = "auto";
      cell.textContent = value;
      line.append(cell);
    });
    lines.push(line);
  }
  body.replaceChildren(...lines);
  byId("favourites-none").hidden = lines.length > 0;
}
// Each expert with its share of the language; the busiest one, unless the chosen one sees something too.
function ofLanguage() {
  const shares = vectors[language.value];
  for (const option of expert.options) {
    const i = Number(option.value);
    option.textContent = `layer ${layers[Math.floor(i / experts)]}, expert ${i % experts}: ${(shares[i] / 100).toFixed(1)} %`;
  }
  if (favourites.lists[language.value][expert.value].length === 0) expert.value = shares.indexOf(Math.max(...shares));
  favourite();
}
language.addEventListener("change", ofLanguage);
expert.addEventListener("change", favourite);
ofLanguage();

// A figure or its table as a file, made of what the page holds.
function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
for (const button of document.querySelectorAll("button[data-save]")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure");
    const name = figure.id.replace("figure-", "");
    if (button.dataset.save === "svg") save(`${name}.svg`, "image/svg+xml", figure.querySelector("svg").outerHTML);
    else {
      const lines = [...figure.querySelectorAll("tr")].map((line) =>
        [...line.cells].map(({ textContent: t }) => (/[",\n]/.test(t) ? `"${t.replaceAll('"', '""')}"` : t)).join(","),
      );
      save(`${name}.csv`, "text/csv", `${lines.join("\r\n")}\r\n`);
    }
  });
}
