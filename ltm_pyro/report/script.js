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
  const light = 25 + 60 * i / Math.max(1, data.points.length - 1);
  const circle = draw(at("map"), "circle", {
    cx: 20 + 560 * xs[i], cy: 380 - 360 * ys[i], r: 8, fill: `hsl(202 75% ${light}%)`,
    tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": point.name,
  });
  draw(circle, "title", {}, point.name);
  circle.addEventListener("click", () => choose(i));
  circle.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(i); }
  });
  circles.push(circle);
});
at("axes").textContent = `→ ${data.axes[0]};  ↑ ${data.axes[1]}`;
