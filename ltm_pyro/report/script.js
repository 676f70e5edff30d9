"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const draw = (parent, name, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return parent.appendChild(node);
};

at("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

const showThought = () => {
  const values = [...data.thoughts[at("thought").value].kl].sort((a, b) => b - a);
  const most = Math.max(...values, 1e-12), width = 600 / values.length;
  at("bars").replaceChildren();
  values.forEach((value, i) => draw(at("bars"), "rect", {
    class: "bar", x: i * width, width: width * 0.85, y: 160 - 155 * value / most, height: 155 * value / most,
  }));
  at("scale").textContent = `KL(q ‖ p) of its ${values.length} dimensions, largest first: ` +
    `from ${values[0].toFixed(4)} to ${values.at(-1).toFixed(4)} nats per text, each thought on its own scale.`;
};
data.thoughts.forEach((thought, i) => at("thought").add(new Option(thought.name, i)));
at("thought").addEventListener("change", showThought);
showThought();

const say = (heading, text) => {
  const head = document.createElement("h3"), body = document.createElement("p");
  head.textContent = heading;
  body.textContent = text;
  at("text").append(head, body);
};
const circles = [];
const choose = (i) => {
  circles.forEach((circle, j) => circle.setAttribute("aria-pressed", String(i === j)));
  const point = data.points[i];
  at("text").replaceChildren();
  say(point.name, point.text);
  for (const [how, other] of point.near) say(`Nearest by ${how}: ${data.points[other].name}`, data.points[other].text);
};
const spread = (axis) => {
  const values = data.points.map((point) => point.place[axis]);
  const least = Math.min(...values), range = Math.max(...values) - least || 1;
  return values.map((value) => (value - least) / range);
};
const [xs, ys] = [spread(0), spread(1)];
data.points.forEach((point, i) => {
  const circle = draw(at("map"), "circle", {
    cx: 20 + 560 * xs[i], cy: 380 - 360 * ys[i], r: 8,
    tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": point.name,
  });
  draw(circle, "title", {}, point.name);
  circle.addEventListener("click", () => choose(i));
  circle.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(i); }
  });
  circles.push(circle);
});
const colour = () => {
  const values = data.points.map((point) => point.about[at("colour").value]);
  const numbers = values.every((value) => typeof value === "number");
  const least = Math.min(...values), most = Math.max(...values);
  const names = [...new Set(values)].sort();
  circles.forEach((circle, i) => {
    const share = numbers ? (values[i] - least) / (most - least || 1) : 0;
    const fill = numbers ? `hsl(202 75% ${25 + 60 * share}%)`
      : values[i] === undefined ? "none" : `hsl(${(360 * names.indexOf(values[i])) / names.length} 65% 50%)`;
    circle.setAttribute("fill", fill);
    circle.firstChild.textContent = `${data.points[i].name}, ${at("colour").value} ${values[i] ?? "unknown"}`;
  });
  at("key").textContent = numbers ? `dark ${least}, light ${most}` : `${names.length} of them, each its own colour`;
};
const known = [...new Set(data.points.flatMap((point) => Object.keys(point.about)))];
known.forEach((name) => at("colour").add(new Option(name, name)));
at("colour").value = known.includes("year") ? "year" : known[0];
at("colour").addEventListener("change", colour);
colour();
at("axes").textContent = `→ ${data.axes[0]};  ↑ ${data.axes[1]}`;

if (data.dial.length) {
  at("dial-part").hidden = false;
  const costs = data.dial.flatMap((one) => [one.elbo, one.iw]);
  const least = Math.min(...costs), range = Math.max(...costs) - least || 1;
  const x = (i) => 30 + (540 * i) / Math.max(1, data.dial.length - 1), y = (cost) => 150 - (130 * (cost - least)) / range;
  for (const key of ["elbo", "iw"])
    draw(at("dial"), "polyline", { class: "line", points: data.dial.map((one, i) => `${x(i)},${y(one[key])}`).join(" ") });
  data.dial.forEach((one, i) => {
    draw(at("dial"), "circle", { class: "mark", cx: x(i), cy: y(one.elbo), r: 4 });
    draw(at("dial"), "rect", { class: "mark", x: x(i) - 4, y: y(one.iw) - 4, width: 8, height: 8 });
    draw(at("dial"), "text", { class: "tick", x: x(i), y: 172, "text-anchor": "middle" }, String(one.steps));
  });
  const here = draw(at("dial"), "line", { class: "here", y1: 8, y2: 156 });
  at("steps").max = data.dial.length - 1;
  const show = () => {
    const i = Number(at("steps").value), one = data.dial[i];
    here.setAttribute("x1", x(i));
    here.setAttribute("x2", x(i));
    at("steps-told").textContent = `${one.steps} steps: ELBO ${one.elbo.toFixed(4)}, importance-weighted ` +
      `${one.iw.toFixed(4)}, KL ${one.kl.toFixed(4)} nats/token`;
  };
  at("steps").addEventListener("input", show);
  show();
}

if (data.texts.length) {
  at("reading-part").hidden = false;
  data.texts.forEach((text, i) => at("which").add(new Option(text.name, i)));
  at("by").add(new Option("all of them", "all"));
  data.thoughts.forEach((thought, i) => at("by").add(new Option(thought.name, i)));
  at("how").add(new Option("what it tells, nats", "told"));
  at("how").add(new Option("share of attention", "attention"));
  const show = () => {
    const text = data.texts[at("which").value], all = at("by").value === "all";
    const tells = all || at("how").value === "told";
    at("how").disabled = all;
    const values = all ? text.all : text[at("how").value][at("by").value];
    const most = Math.max(...values.map(Math.abs), 1e-9);
    at("reading").replaceChildren(...text.tokens.map((token, i) => {
      const span = document.createElement("span"), share = tells ? Math.abs(values[i]) / most : values[i];
      span.textContent = token;
      span.title = tells ? `${values[i].toFixed(3)} nats` : `${(100 * values[i]).toFixed(0)} % of its attention`;
      span.className = tells && values[i] < 0 ? "loses" : "gains";
      span.style.setProperty("--share", `${Math.round(75 * share)}%`);
      return span;
    }));
    const total = values.reduce((sum, value) => sum + value, 0) / values.length;
    at("reading-told").textContent = tells
      ? `How much less each token costs than with thoughts from the prior in this place; the other colour: more. Mean ` +
        `${total.toFixed(4)}, darkest ${most.toFixed(2)} nats.`
      : `Its share of its layer's attention, mean over heads: ${(100 * total).toFixed(0)} % on average. Where a token ` +
        `looks says nothing of what it finds there.`;
  };
  for (const id of ["which", "by", "how"]) at(id).addEventListener("change", show);
  show();
}

if (data.way) {
  at("way-part").hidden = false;
  at("share").max = data.way.stages.length - 1;
  const show = () => {
    const stage = data.way.stages[at("share").value];
    at("share-told").textContent = `${(100 * stage.share).toFixed(0)} %: the first text costs ${stage.first.toFixed(3)}, ` +
      `the second ${stage.second.toFixed(3)} nats/token`;
    at("between").textContent = stage.text;
  };
  at("share").addEventListener("input", show);
  show();
  at("ends").textContent = `From ${data.way.ends[0]} to ${data.way.ends[1]}, on the great circle; written with one noise.`;
}
