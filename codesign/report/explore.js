"use strict";
// Everything that can be clicked on the exploration page. `found` is what explore.json holds, with
// the command that rebuilds each design; `titles` the objectives' names, units and directions.
const { found, titles } = JSON.parse(document.getElementById("data").textContent);
const front = new Set(found.front);
const designs = found.outcomes.filter((o) => !o.failed && found.objectives.every((n) => n in o.values));
const known = Object.keys(titles).filter((n) => designs.length && designs.every((o) => n in o.values));
const choices = [...new Set(designs.flatMap((o) => Object.keys(o.choice)))].filter(
  (name) => new Set(designs.map((o) => String(o.choice[name]))).size > 1,
);
const brushes = new Map(); // axis name -> [low, high] in 0..1
const sure = found.outcomes.find((o) => front.has(o.number) && o.fidelity === "verified");
let selected = sure ? sure.number : found.front.length ? found.front[0] : null;

const NS = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
function make(tag, attributes = {}, ...children) {
  const svg = "svg g line circle path polyline rect text title".split(" ").includes(tag);
  const node = svg ? document.createElementNS(NS, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function show(value) {
  if (value === undefined || value === null) return "–";
  if (typeof value === "object") return Object.entries(value).map(([k, v]) => `${k}: ${v}`).join(", ");
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}
function amount(name, value) {
  if (value === undefined) return "–";
  if (share(name)) return `${(100 * value).toFixed(1)} %`;
  return show(value) + (titles[name]?.unit ? ` ${titles[name].unit}` : "");
}

const share = (name) => name === "accuracy" || name === "coverage";
const mark = (name, value) => (share(name) ? `${Number((100 * value).toPrecision(4))} %` : show(value));

// value -> 0..1: of numbers, logarithmic where they span more than 1:20; of words, or of at most `few`
// distinct numbers, in equal steps.
function scale(values, few = 0) {
  const distinct = [...new Set(values)];
  if (values.every((v) => typeof v === "number") && distinct.length > few) {
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const log = low > 0 && high / low > 20;
    const map = log ? Math.log10 : (v) => v;
    [low, high] = [map(low), map(high)];
    const pad = (high - low || Math.abs(high) || 1) * 0.04;
    const at = (v) => (map(v) - low + pad) / (high - low + 2 * pad);
    const step = log ? 1 : nice((high - low) / 5 || 1);
    let ticks = [];
    for (let t = Math.ceil((low - pad) / step) * step; t <= high + pad; t += step)
      ticks.push(log ? 10 ** t : Number(t.toPrecision(12)));
    if (ticks.length < 2) ticks = [...new Set([Math.min(...values), Math.max(...values)])];
    return { at, ticks };
  }
  const words = distinct.sort((a, b) => a - b || String(a).localeCompare(String(b))).map(String);
  return { at: (v) => (words.indexOf(String(v)) + 0.5) / words.length, ticks: distinct };
}
function nice(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((k) => k * power >= step);
}

function kept(o) {
  return axes.every((axis) => {
    const range = brushes.get(axis.name);
    if (!range || axis.value(o) === undefined) return !range;
    const at = axis.scale.at(axis.value(o));
    return at >= range[0] && at <= range[1];
  });
}
const kind = (o) => `dot ${o.fidelity}${front.has(o.number) ? " front" : ""}${kept(o) ? "" : " out"}${
  Object.keys(o.broken).length ? " broken" : ""}${o.number === selected ? " selected" : ""}`;
const label = (o) => `design ${o.number}\n` + known.map((n) => `${titles[n].title}: ${amount(n, o.values[n])}`).join("\n");

function select(number) {
  selected = number;
  draw();
}

function scatter() {
  const [wide, tall, left, bottom] = [640, 400, 70, 44];
  const [x, y] = [byId("x").value, byId("y").value];
  const svg = make("svg", { viewBox: `0 0 ${left + wide + 20} ${tall + bottom + 16}`, role: "img",
    "aria-label": `${titles[y].title} over ${titles[x].title}` });
  const able = designs.filter((o) => !Object.keys(o.broken).length);
  const [sx, sy] = [x, y].map((n) => scale((able.length ? able : designs).map((o) => o.values[n])));
  const inside = (o) => [sx.at(o.values[x]), sy.at(o.values[y])].every((at) => at >= 0 && at <= 1);
  const px = (v) => left + sx.at(v) * wide;
  const py = (v) => 12 + (1 - sy.at(v)) * tall;
  for (const t of sy.ticks)
    svg.append(make("line", { x1: left, x2: left + wide, y1: py(t), y2: py(t), class: "zero" }),
      make("text", { x: left - 8, y: py(t) + 4, class: "dim", "text-anchor": "end" }, mark(y, t)));
  for (const t of sx.ticks)
    svg.append(make("text", { x: px(t), y: tall + 30, class: "dim", "text-anchor": "middle" }, mark(x, t)));
  const unit = (n) => titles[n].title + (titles[n].unit ? `, ${titles[n].unit}` : "");
  svg.append(make("text", { x: left + wide, y: tall + 50, class: "dim", "text-anchor": "end" }, unit(x)),
    make("text", { x: left, y: tall + 50, class: "dim" }, `↑ ${unit(y)}`));
  // The two objectives' own front: a staircase through the designs that no other beats in both.
  const better = (n, a, b) => (titles[n].maximise ? a > b : a < b);
  const shown = able.filter(kept);
  const best = shown.filter((o) => !shown.some((p) =>
    !better(x, o.values[x], p.values[x]) && !better(y, o.values[y], p.values[y]) &&
    (better(x, p.values[x], o.values[x]) || better(y, p.values[y], o.values[y]))));
  best.sort((a, b) => px(a.values[x]) - px(b.values[x]));
  let path = "";
  best.forEach((o, k) => {
    const [a, b] = [px(o.values[x]), py(o.values[y])];
    // A corner is what both neighbours reach: the worse of each.
    path += k ? (titles[x].maximise ? `V${b}H${a}` : `H${a}V${b}`) : `M${a},${b}`;
  });
  svg.append(make("path", { d: path || "M0,0", class: "stairs" }));
  const order = (o) => (o.number === selected ? 2 : front.has(o.number) ? 1 : 0);
  for (const o of designs.filter(inside).sort((a, b) => order(a) - order(b)))
    svg.append(make("circle", { cx: px(o.values[x]), cy: py(o.values[y]), r: front.has(o.number) ? 5.5 : 3.5,
      class: kind(o), onclick: () => select(o.number) }, make("title", {}, label(o))));
  byId("scatter").replaceChildren(svg);
}

const axes = [
  ...choices.map((name) => ({ name, title: name, value: (o) => o.choice[name] })),
  ...known.filter((n) => found.objectives.includes(n) || n === "fmax_mhz").map((name) => ({
    name: `= ${name}`, title: titles[name].title, value: (o) => o.values[name] })),
];
for (const axis of axes) {
  const plain = axis.value;
  axis.value = (o) => { const v = plain(o); return v !== undefined && typeof v !== "number" ? show(v) : v; };
  axis.scale = scale(designs.map(axis.value).filter((v) => v !== undefined), 10);
}

function parallel() {
  const [gap, tall, top] = [Math.max(86, 1000 / Math.max(axes.length - 1, 1)), 300, 46];
  const wide = gap * Math.max(axes.length - 1, 1);
  const svg = make("svg", { viewBox: `0 0 ${wide + 130} ${tall + top + 20}`, role: "img",
    "aria-label": "Parallel coordinates of choices and objectives" });
  svg.style.minWidth = `${Math.min(wide + 130, 1500)}px`;
  const px = (k) => 50 + k * gap;
  const py = (at) => top + (1 - at) * tall;
  const order = (o) => (o.number === selected ? 2 : front.has(o.number) ? 1 : 0);
  for (const o of [...designs].filter((d) => !Object.keys(d.broken).length).sort((a, b) => order(a) - order(b))) {
    const points = [];
    axes.forEach((axis, k) => {
      if (axis.value(o) !== undefined) points.push(`${px(k).toFixed(1)},${py(axis.scale.at(axis.value(o))).toFixed(1)}`);
    });
    svg.append(make("polyline", { points: points.join(" "), class: kind(o).replace("dot", "way"),
      onclick: () => select(o.number) }, make("title", {}, label(o))));
  }
  axes.forEach((axis, k) => {
    svg.append(make("line", { x1: px(k), x2: px(k), y1: top, y2: top + tall, class: "axis" }),
      make("text", { x: px(k), y: k % 2 ? 14 : 30, "text-anchor": "middle", class: "strong" }, axis.title));
    for (const t of axis.scale.ticks)
      svg.append(make("text", { x: px(k) + 5, y: py(axis.scale.at(t)) + 4, class: "dim" }, show(t)));
    const range = brushes.get(axis.name);
    if (range) svg.append(make("rect", { x: px(k) - 7, width: 14, y: py(range[1]),
      height: (range[1] - range[0]) * tall, class: "brush" }));
    const grip = make("rect", { x: px(k) - 16, width: 32, y: top - 6, height: tall + 12, class: "grip" });
    grip.addEventListener("pointerdown", (event) => {
      const at = (e) => {
        const box = svg.getBoundingClientRect();
        const y = ((e.clientY - box.top) * (tall + top + 20)) / box.height;
        return Math.min(Math.max(1 - (y - top) / tall, 0), 1);
      };
      const from = at(event);
      const move = (e) => {
        const to = at(e);
        if (Math.abs(to - from) > 0.02) brushes.set(axis.name, [Math.min(from, to), Math.max(from, to)]);
      };
      const up = (e) => {
        move(e);
        if (Math.abs(at(e) - from) <= 0.02) brushes.delete(axis.name);
        window.removeEventListener("pointerup", up);
        draw();
      };
      window.addEventListener("pointerup", up);
      event.preventDefault();
    });
    svg.append(grip);
  });
  byId("parallel").replaceChildren(svg);
}

let sorted = { name: found.objectives[0], down: titles[found.objectives[0]].maximise };
function rows() {
  const names = known.filter((n) => found.objectives.includes(n) || ["fmax_mhz", "bram"].includes(n));
  const head = make("tr", {}, make("th", {}, "design"), ...names.map((n) => make("th", { class: "r sort",
    onclick: () => { sorted = { name: n, down: sorted.name === n && !sorted.down }; rows(); } },
  titles[n].title + (sorted.name === n ? (sorted.down ? " ↓" : " ↑") : ""))),
  ...choices.map((n) => make("th", {}, n)), make("th", {}, "numbers are"));
  const shown = designs.filter((o) => front.has(o.number) && kept(o));
  shown.sort((a, b) => (a.values[sorted.name] - b.values[sorted.name]) * (sorted.down ? -1 : 1));
  const body = shown.map((o) => make("tr", { class: o.number === selected ? "picked" : "", tabindex: 0,
    onclick: () => select(o.number), onkeydown: (e) => { if (e.key === "Enter") select(o.number); } },
  make("td", {}, String(o.number)), ...names.map((n) => make("td", { class: "r" }, amount(n, o.values[n]))),
  ...choices.map((n) => make("td", {}, show(o.choice[n]))), make("td", {}, chip(o))));
  byId("front").replaceChildren(make("table", {}, head, ...body));
}
function chip(o) {
  const words = { estimate: "estimated", synthesis: "placed and routed", verified: "verified" };
  return make("span", { class: `chip ${o.fidelity === "estimate" ? "" : "pass"}` }, words[o.fidelity]);
}

function detail() {
  const o = found.outcomes.find((d) => d.number === selected);
  if (!o) return byId("detail").replaceChildren(make("p", { class: "hint" }, "Click a design."));
  const head = make("h3", {}, `Design ${o.number} `, chip(o));
  const cells = known.map((n) => make("tr", {}, make("td", {}, titles[n].title),
    make("td", { class: "r" }, amount(n, o.values[n])), make("td", { class: "r" }, amount(n, o.estimate[n])),
    make("td", { class: "r" }, n in o.estimate && o.estimate[n] ? (o.values[n] / o.estimate[n]).toFixed(3) : "–")));
  const values = make("table", {}, make("tr", {}, make("th", {}, ""), make("th", { class: "r" }, "value"),
    make("th", { class: "r" }, "cost model"), make("th", { class: "r" }, "ratio")), ...cells);
  const list = make("dl");
  for (const [name, value] of Object.entries(o.choice)) list.append(make("dt", {}, name), make("dd", {}, show(value)));
  const line = make("code", {}, o.command);
  const copy = make("button", { type: "button", onclick: () => navigator.clipboard?.writeText(o.command) }, "copy");
  const more = [];
  if (o.directory) more.push(make("p", {}, "Built: ", make("a", { href: `${o.directory}/report.html` }, `${o.directory}/report.html`)));
  for (const [name, by] of Object.entries(o.broken)) more.push(make("p", { class: "bad" }, `Breaks ${name} by ${(100 * by).toFixed(1)} %`));
  for (const text of o.warnings) more.push(make("p", { class: "warn" }, text));
  byId("detail").replaceChildren(head, make("div", { class: "two" }, values, list), ...more,
    make("p", { class: "rebuild" }, line, " ", copy));
}

function draw() {
  scatter();
  parallel();
  rows();
  detail();
  const left = designs.filter(kept).length;
  byId("shown").textContent = brushes.size ? `${left} of ${designs.length} designs pass the brushes; click an axis to clear its brush.` : "";
}

for (const [id, start] of [["x", 1], ["y", 0]]) {
  const names = [...found.objectives, ...known.filter((n) => !found.objectives.includes(n))];
  byId(id).append(...names.map((n) => make("option", { value: n }, titles[n].title)));
  byId(id).value = names[Math.min(start, names.length - 1)];
  byId(id).addEventListener("change", scatter);
}
if (designs.length) draw();
