"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);

at("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

const showThought = () => {
  const values = [...data.thoughts[at("thought").value].kl].sort((a, b) => b - a);
  const y = { label: "KL(q ‖ p), nats/text", low: 0, high: 1.05 * Math.max(...values, 1e-12) };
  plot(at("bars"), { x: { label: "dimension, largest first", low: 0.4, high: values.length + 0.6 }, y, height: 220 }, (frame) => {
    const width = frame.x(1) - frame.x(0);
    values.forEach((value, i) => draw(frame.svg, "rect", {
      class: "bar", x: frame.x(i + 1) - 0.42 * width, width: 0.84 * width,
      y: frame.y(value), height: Math.max(0, frame.bottom - frame.y(value)),
    }));
  });
  at("scale").textContent = `KL of the ${values.length} dimensions of this thought, mean over texts: from ` +
    `${values[0].toFixed(4)} to ${values.at(-1).toFixed(4)} nats per text. Each thought has a scale of its own.`;
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
let circles = [], chosen = -1;
const choose = (i) => {
  chosen = i;
  circles.forEach((circle, j) => circle.setAttribute("aria-pressed", String(i === j)));
  const point = data.points[i];
  at("text").replaceChildren();
  say(point.name, point.text);
  for (const [how, other] of point.near) say(`Nearest by ${how}: ${data.points[other].name}`, data.points[other].text);
};
const [first, second] = [0, 1].map((axis) => ({ label: data.axes[axis], ...ends(data.points.map((point) => point.place[axis])) }));
const SHADE = (share) => `hsl(202 75% ${25 + 60 * share}%)`;
const colours = () => {
  const name = at("colour").value, values = data.points.map((point) => point.about[name]);
  if (values.every((value) => typeof value === "number")) {
    const least = Math.min(...values), most = Math.max(...values);
    ramp(at("key"), `linear-gradient(to right, ${[0, 0.5, 1].map(SHADE).join(", ")})`, [`${name} ${least}`, String(most)]);
    return values.map((value) => SHADE((value - least) / (most - least || 1)));
  }
  const names = [...new Set(values)].filter((value) => value !== undefined).sort();
  const hue = (value) => (value === undefined ? "none" : `hsl(${(360 * names.indexOf(value)) / names.length} 65% 50%)`);
  swatches(at("key"), names.map((value) => [value, hue(value)]).concat(values.includes(undefined) ? [["unknown", "none"]] : []));
  return values.map(hue);
};
const dot = (frame, point, i, fill) => {
  const circle = draw(frame.svg, "circle", {
    cx: frame.x(point.place[0]), cy: frame.y(point.place[1]), r: 7, fill,
    tabindex: 0, role: "button", "aria-pressed": String(i === chosen), "aria-label": point.name,
  });
  draw(circle, "title", {}, `${point.name}, ${at("colour").value} ${point.about[at("colour").value] ?? "unknown"}`);
  circle.addEventListener("click", () => choose(i));
  circle.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(i); }
  });
  return circle;
};
const colour = () => {
  const fills = colours();
  plot(at("map"), { x: first, y: second, height: 400 }, (frame) => {
    circles = data.points.map((point, i) => dot(frame, point, i, fills[i]));
  });
};
const known = [...new Set(data.points.flatMap((point) => Object.keys(point.about)))];
known.forEach((name) => at("colour").add(new Option(name, name)));
at("colour").value = known.includes("year") ? "year" : known[0];
at("colour").addEventListener("change", colour);
colour();

const BOUNDS = [["elbo", "−ELBO"], ["iw", "−importance-weighted bound"]];
const bars = (svg, label, pick) => {
  const points = BOUNDS.map(([key]) => data.dial.map((one, i) => [i, ...pick(one, key)]));
  const reach = points.flat().flatMap(([, value, error]) => [value - (error || 0), value + (error || 0)]);
  const steps = { label: "fast steps", low: -0.4, high: data.dial.length - 0.6, ticks: data.dial.map((one, i) => [i, one.steps]) };
  plot(svg, { x: steps, y: { label, ...ends(reach) } }, (frame) => {
    const here = frame.x(Number(at("steps").value));
    draw(frame.svg, "line", { class: "here", x1: here, x2: here, y1: frame.top, y2: frame.bottom });
    points.forEach((own, kind) => line(frame, own, kind, { aside: 8 * kind - 4 }));
  });
};
if (data.dial.length) {
  at("dial-part").hidden = false;
  legend(at("dial-key"), BOUNDS.map(([, name]) => name));
  at("steps").max = data.dial.length - 1;
  const show = () => {
    const one = data.dial[at("steps").value];
    bars(at("dial"), "cost, nats/token", (setting, key) => [setting[key], setting[`${key}_error`]]);
    bars(at("dial-change"), `cost less that at ${data.dial[0].steps}, nats/token`, (setting, key) => setting[`${key}_change`]);
    at("steps-told").textContent = `${one.steps} steps: ELBO ${one.elbo.toFixed(4)}, importance-weighted ` +
      `${one.iw.toFixed(4)}, KL ${one.kl.toFixed(4)} nats/token`;
  };
  at("steps").addEventListener("input", show);
  show();
}

const SHADES = ["--bad 75%", "--bad 0%", "--bar 0%", "--bar 75%"]
  .map((part) => part.split(" ")).map(([name, share]) => `color-mix(in srgb, var(${name}) ${share}, transparent)`);
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
    const middle = tells ? 0 : data.even, most = Math.max(...values.map((value) => Math.abs(value - middle)), tells ? 1e-9 : 0.005);
    at("reading").replaceChildren(...text.tokens.map((token, i) => {
      const span = document.createElement("span"), apart = values[i] - middle;
      span.textContent = token;
      span.title = tells ? `${values[i].toFixed(3)} nats` : `${(100 * values[i]).toFixed(1)} % of its attention`;
      span.className = apart < 0 ? "loses" : "gains";
      span.style.setProperty("--share", `${Math.round((75 * Math.abs(apart)) / most)}%`);
      return span;
    }));
    const end = (side) => (tells ? `${side < 0 ? "−" : "+"}${most.toFixed(2)} nats` : `${(100 * (middle + side * most)).toFixed(1)} %`);
    ramp(at("reading-key"), `linear-gradient(to right, ${SHADES.join(", ")})`, [end(-1), tells ? "0" : `${(100 * middle).toFixed(1)} %, an even share`, end(1)]);
    const total = values.reduce((sum, value) => sum + value, 0) / values.length;
    at("reading-told").textContent = tells
      ? `Nats that each token costs less than with thoughts from the prior in this place; below zero it costs more. Mean ` +
        `${total.toFixed(4)} nats.`
      : `Share of the attention of its layer that each token gives to this thought, mean over heads: ` +
        `${(100 * total).toFixed(1)} % on average. Where a token looks says nothing of what it finds there.`;
  };
  for (const id of ["which", "by", "how"]) at(id).addEventListener("change", show);
  show();
}

if (data.way) {
  at("way-part").hidden = false;
  at("share").max = data.way.stages.length - 1;
  const stages = data.way.stages, sides = ["first", "second"];
  legend(at("way-key"), data.way.ends);
  const costs = sides.map((side) => stages.map((stage) => [stage.share, stage[side]]));
  const x = { label: "share of the way from first to second text", low: 0, high: 1 };
  const y = { label: "−log p(x | z), nats/token", ...ends(costs.flat().map(([, cost]) => cost)) };
  const show = () => {
    const stage = stages[at("share").value];
    plot(at("way"), { x, y }, (frame) => {
      const here = frame.x(stage.share);
      draw(frame.svg, "line", { class: "here", x1: here, x2: here, y1: frame.top, y2: frame.bottom });
      costs.forEach((own, kind) => line(frame, own, kind));
    });
    at("share-told").textContent = `${(100 * stage.share).toFixed(0)} %: the first text costs ${stage.first.toFixed(3)}, ` +
      `the second ${stage.second.toFixed(3)} nats/token`;
    at("between").textContent = stage.text;
  };
  at("share").addEventListener("input", show);
  show();
  at("ends").textContent = `From ${data.way.ends[0]} to ${data.way.ends[1]}, on the great circle; written with one noise.`;
}
