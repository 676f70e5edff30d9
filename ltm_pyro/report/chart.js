"use strict";
// Charts as SVG, drawn in CSS pixels and again when their width changes, so that letters keep their size on a phone.
const draw = (parent, name, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
};

// Round numbers between two ends, as [value, text], at most so many or so.
const ticks = (low, high, count) => {
  const raw = (high - low || 1) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i += 1) {
    found.push([i * step, (i * step).toFixed(Math.min(digits, 9)).replace("-", "−").replace(/^−(0(\.0+)?)$/, "$1")]);
  }
  return found;
};

// The ends of an axis: those of the values, a little wider, and with zero if it is to be there.
const ends = (values, zero = false) => {
  const known = values.filter(Number.isFinite).concat(zero || !values.length ? [0] : []);
  const low = Math.min(...known), high = Math.max(...known), room = 0.05 * (high - low || Math.abs(high) || 1);
  return { low: zero && low === 0 ? 0 : low - room, high: high + room };
};

// Axes with ticks, labels and units; `paint` then draws into them with the scales x and y.
const plot = (svg, { x, y, height = 260 }, paint) => {
  svg.render = () => {
    const width = svg.clientWidth || 600, top = 10, right = 16, bottom = height - 46;
    const below = x.ticks ?? ticks(x.low, x.high, width / 75), aside = y.ticks ?? ticks(y.low, y.high, height / 50);
    const left = 34 + 7.2 * Math.max(...aside.map(([, text]) => text.length), 1);
    const scale = (axis, from, to) => (value) => from + ((to - from) * (value - axis.low)) / (axis.high - axis.low || 1);
    const frame = { svg, left, right: width - right, top, bottom, x: scale(x, left, width - right), y: scale(y, bottom, top) };
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const [value, text] of aside) {
      draw(svg, "line", { class: "grid", x1: left, x2: frame.right, y1: frame.y(value), y2: frame.y(value) });
      draw(svg, "text", { class: "tick", x: left - 7, y: frame.y(value) + 4.5, "text-anchor": "end" }, text);
    }
    for (const [value, text] of below) {
      draw(svg, "line", { class: "axis-line", x1: frame.x(value), x2: frame.x(value), y1: bottom, y2: bottom + 5 });
      draw(svg, "text", { class: "tick", x: frame.x(value), y: bottom + 19, "text-anchor": "middle" }, text);
    }
    draw(svg, "polyline", { class: "axis-line", points: `${left},${top} ${left},${bottom} ${frame.right},${bottom}` });
    draw(svg, "text", { class: "axis", x: width / 2, y: height - 6, "text-anchor": "middle" }, x.label);
    const middle = (top + bottom) / 2;
    draw(svg, "text", { class: "axis", transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, y.label);
    paint(frame);
  };
  svg.render();
  if (!svg.watched) {
    let width = svg.clientWidth;
    svg.watched = new ResizeObserver(() => { if (svg.clientWidth !== width) { width = svg.clientWidth; svg.render(); } });
    svg.watched.observe(svg);
  }
};

// A series of points [x, y, error]: a line, a mark at each, a bar of one standard error; set aside by some pixels.
const MARKS = [
  (x, y) => `M${x - 4},${y} a4,4 0 1,0 8,0 a4,4 0 1,0 -8,0`,
  (x, y) => `M${x - 4},${y - 4} h8 v8 h-8 z`,
];
const line = (frame, points, kind, { marks = true, aside = 0 } = {}) => {
  const places = points.map(([x, y]) => [frame.x(x) + aside, frame.y(y)]);
  draw(frame.svg, "polyline", { class: `curve s${kind}`, points: places.map((place) => place.join(",")).join(" ") });
  points.forEach(([, y, error], i) => {
    const [x] = places[i];
    if (error > 0) draw(frame.svg, "path", { class: `curve s${kind} error`, d: `M${x},${frame.y(y - error)} V${frame.y(y + error)}` });
    if (marks) draw(frame.svg, "path", { class: `mark s${kind}`, d: MARKS[kind](...places[i]) });
  });
};

// What the colours of series mean.
const legend = (node, names) => {
  node.classList.add("legend");
  node.replaceChildren(...names.map((name, kind) => {
    const entry = document.createElement("span"), svg = draw(entry, "svg", { width: 30, height: 14, viewBox: "0 0 30 14" });
    draw(svg, "polyline", { class: `curve s${kind}`, points: "1,7 29,7" });
    draw(svg, "path", { class: `mark s${kind}`, d: MARKS[kind](15, 7) });
    entry.append(` ${name}`);
    return entry;
  }));
};

// A bar of colours with what its ends, and its middle, mean; and swatches of colours with a name each.
const ramp = (node, background, labels) => {
  const bar = document.createElement("span"), words = document.createElement("span");
  node.classList.add("ramp");
  bar.className = "bar-of-colours";
  bar.style.background = background;
  words.className = "ends";
  words.append(...labels.map((label) => Object.assign(document.createElement("span"), { textContent: label })));
  node.replaceChildren(bar, words);
};
const swatches = (node, pairs) => {
  node.classList.remove("ramp");
  node.replaceChildren(...pairs.map(([name, colour]) => {
    const entry = document.createElement("span"), patch = document.createElement("i");
    entry.className = "swatch";
    patch.style.background = colour;
    entry.append(patch, ` ${name}`);
    return entry;
  }));
};
