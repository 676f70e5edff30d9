"use strict";
const data = JSON.parse(at("data").textContent);
templates = data.themes;

at("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  redraw();
});

// A chart of several views with the control that selects one: a list, or a range from the first to the last.
const viewed = (id, control, shown = () => {}) => {
  const views = data.charts[id] ?? [], figure = at(id);
  if (!views.length) return;
  figure.closest("section").hidden = false;
  if (control instanceof HTMLSelectElement) views.forEach((view, i) => control.add(new Option(view.name, i)));
  else if (control) control.max = views.length - 1;
  const show = () => {
    const view = views[control?.value ?? 0];
    const extra = shown(view) ?? [];
    if (view.note) figure.querySelector(".said").textContent = view.note;
    drawChart(figure, { ...view, data: [...view.figure.data, ...extra], layout: view.figure.layout });
  };
  control?.addEventListener("input", show);
  show();
  return show;
};

viewed("thoughts", at("thought"));
viewed("sweep");
viewed("change");
viewed("path", at("share"), (view) => {
  at("share-said").textContent = view.name;
  at("between").textContent = view.text;
});

const say = (heading, text) => at("text").append(make("h3", { textContent: heading }), make("p", { textContent: text }));
let chosen = null;
const ring = () => {
  if (chosen === null) return [];
  const [x, y] = data.points[chosen].place;
  const line = { width: 3 };
  return [{ type: "scatter", mode: "markers", x: [x], y: [y], marker: { size: 18, symbol: "circle-open", color: templates[theme()].layout.font.color, line }, showlegend: false, hoverinfo: "skip" }];
};
const showMap = viewed("map", at("colour"), ring);
const choose = (i) => {
  chosen = i;
  at("point").value = i;
  const point = data.points[i];
  at("text").replaceChildren();
  say(point.name, point.text);
  for (const [by, other] of point.near) say(`Nearest by ${by}: ${data.points[other].name}`, data.points[other].text);
  showMap();
};
if (showMap) {
  data.points.forEach((point, i) => at("point").add(new Option(`${i + 1}. ${point.name}`, i)));
  at("point").addEventListener("input", () => choose(Number(at("point").value)));
  at("map").clicked = ({ points }) => { if (points[0].customdata !== undefined) choose(points[0].customdata); };
  choose(0);
}

if (data.readings.length) {
  at("tokens").closest("section").hidden = false;
  data.readings.forEach((text, i) => at("which").add(new Option(text.name, i)));
  at("by").add(new Option("all of them", "all"));
  data.charts.thoughts.forEach((thought, i) => at("by").add(new Option(thought.name, i)));
  at("measure").add(new Option("nats gained", "told"));
  at("measure").add(new Option("share of attention", "attention"));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const show = () => {
    const text = data.readings[at("which").value], all = at("by").value === "all", by = at("by").selectedOptions[0].text;
    const gained = all || at("measure").value === "told", values = all ? text.all : text[at("measure").value][at("by").value];
    at("measure").disabled = all;
    const scale = gained
      ? { label: "nats gained by the thoughts", unit: "nats" }
      : { label: `share of attention (even: ${data.even.toFixed(3)})`, unit: "of the attention", middle: data.even, least: 0.005 };
    tintTokens(at("tokens"), at("reading"), text.tokens, values, scale);
    at("reading-said").textContent = gained
      ? `log p(token | z from q) less log p(token | ${all ? "z" : by} from the prior), in nats: blue tokens cost less with ` +
        `${all ? "the thoughts" : "this thought"} of the text, orange ones more. Mean ${signed(mean(values), 4)} nats a token.`
      : `Share of its layer's attention that each token gives to ${by}, mean over heads: ${mean(values).toFixed(3)} on ` +
        `average, ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)}. Attention does not measure information.`;
  };
  for (const id of ["which", "by", "measure"]) at(id).addEventListener("input", show);
  show();
}
