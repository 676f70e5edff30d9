"use strict";
// Charts by plotly.js in the colours of the page, each with a text alternative and its values as a table.
const at = (id) => document.getElementById(id);
const make = (tag, members = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), members);
  node.append(...inside);
  return node;
};
const named = (node, role, label) => { // as attributes: not all browsers reflect the members
  node.setAttribute("role", role);
  node.setAttribute("aria-label", label);
  return node;
};
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme ?? (systemDark.matches ? "dark" : "light");
const CONFIG = { displayModeBar: false, doubleClick: false, showTips: false };
let templates = {};
const drawings = new Map(); // by figure, so that all can be drawn again in other colours
const redraw = () => drawings.forEach((drawing, figure) => { if (!figure.hidden) drawing(); });
systemDark.addEventListener("change", redraw);

// The parts of a <figure class="chart">: made once, the plot first, the caption where the page has it, the table last.
const partsOf = (figure) => {
  if (!figure.parts) {
    const plot = make("div", { className: "plot" }), table = make("table");
    new ResizeObserver(() => { if (plot.layout && plot.clientWidth) Plotly.Plots.resize(plot); }).observe(plot);
    const scroll = named(make("div", { className: "wide", tabIndex: 0 }, table), "region", "Values of the chart");
    figure.prepend(plot);
    figure.append(make("details", {}, make("summary", { textContent: "Values as a table" }), scroll));
    figure.parts = { plot, table };
  }
  return figure.parts;
};
const tabulate = (table, rows) => {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, { textContent: cell })));
  table.replaceChildren(make("thead", {}, line(rows[0], "th")), make("tbody", {}, ...rows.slice(1).map((row) => line(row, "td"))));
};
// Drawn anew unless told otherwise: with Plotly.react a legend in the place of a colour bar would lie over the points.
const plotInto = (figure, data, layout, description, draw = Plotly.newPlot) => {
  const { plot } = partsOf(figure);
  const height = layout.height ?? 320;
  named(plot, "img", description);
  plot.style.height = `${height}px`;
  draw(plot, data, { ...structuredClone(layout), height, template: templates[theme()] }, CONFIG);
  if (figure.clicked && draw === Plotly.newPlot) plot.on("plotly_click", figure.clicked);
};
const drawChart = (figure, { data, layout, description, table }) => {
  if (table) tabulate(partsOf(figure).table, table);
  drawings.set(figure, () => plotInto(figure, data, layout, description));
  drawings.get(figure)();
};

// Tokens tinted on both sides of a middle value, with a colour bar: the deepest tint is the largest distance from it.
const TINTS = { light: ["213,94,0", "0,114,178", 0.75], dark: ["230,159,0", "86,180,233", 0.55] };
const signed = (value, digits) => value.toFixed(digits).replace("-", "−");
const tintTokens = (figure, box, tokens, values, { label, unit, middle = 0, least = 1e-9, digits = 3 }) => {
  const most = Math.max(least, ...values.map((value) => Math.abs(value - middle)));
  const draw = () => {
    const [below, above, deepest] = TINTS[theme()];
    const colorscale = [[0, `rgba(${below},${deepest})`], [0.5, `rgba(${below},0)`], [0.5, `rgba(${above},0)`], [1, `rgba(${above},${deepest})`]];
    box.replaceChildren(...tokens.map((token, i) => {
      const apart = values[i] - middle, span = make("span", { textContent: token, title: `${signed(values[i], digits)} ${unit}` });
      span.style.backgroundColor = `rgba(${apart < 0 ? below : above},${((deepest * Math.abs(apart)) / most).toFixed(3)})`;
      return span;
    }));
    const colorbar = {
      orientation: "h", thickness: 14, thicknessmode: "pixels", len: 1, x: 0, xanchor: "left", xpad: 4, y: 0, yanchor: "bottom", ypad: 0,
      outlinewidth: 1, outlinecolor: "rgba(128,128,128,.6)", ticks: "outside", title: { text: label, side: "top" }, nticks: 7,
    };
    const marker = { color: [middle], cmin: middle - most, cmax: middle + most, colorscale, showscale: true, opacity: 0, colorbar };
    plotInto(figure, [{ type: "scatter", mode: "markers", x: [0], y: [0], marker, hoverinfo: "skip" }], {
      height: 86, margin: { l: 4, r: 4, t: 4, b: 4 }, xaxis: { visible: false }, yaxis: { visible: false },
    }, `Colour bar, ${label}: orange down to ${signed(middle - most, digits)}, no colour at ${signed(middle, digits)}, ` +
      `blue up to ${signed(middle + most, digits)}.`);
  };
  tabulate(partsOf(figure).table, [["token", unit], ...tokens.map((token, i) => [JSON.stringify(token), signed(values[i], digits)])]);
  drawings.set(figure, draw);
  draw();
};
