"use strict";
const NAMES = { text: "text", other: "other text" }; // of the texts, by the name that the server gives them
let run = null, running = null;

// A panel: its button, and below it what the server says, the curve of the fits, and the answers.
const panel = (id) => {
  const part = at(`${id}-part`), one = (name) => part.querySelector(name);
  return { id, status: one(".status"), figure: one(".fitting"), stop: one(".stop"), history: one(".history"), clear: one(".clear") };
};
const ACTIONS = ["fit", "continue", "between"];
const panels = Object.fromEntries(ACTIONS.map((id) => [id, panel(id)]));
const say = (where, text, bad = false) => {
  where.status.textContent = text;
  where.status.className = bad ? "status bad" : "status";
};
for (const id of ["steps", "temperature", "tokens", "share"]) {
  const show = () => { at(`${id}-told`).textContent = at(id).value; };
  at(id).addEventListener("input", show);
  show();
}

const busy = (where, is) => {
  ACTIONS.forEach((id) => { at(id).disabled = is; });
  where.stop.disabled = !is;
};
const ask = async (where, path, body, hear) => {
  running = new AbortController();
  const cut = [];
  busy(where, true);
  say(where, "Asking ...");
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: running.signal,
    });
    if (!answer.ok) {
      say(where, (await answer.json()).error ?? `The server says ${answer.status}.`, true);
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) heard(where, JSON.parse(line), cut, hear);
    }
  } catch (error) {
    const stopped = error.name === "AbortError";
    say(where, stopped ? "Stopped." : `The server cannot be reached: ${error.message}`, !stopped);
  } finally {
    busy(where, false);
    running = null;
  }
};
const heard = (where, event, cut, hear) => {
  if (event.waiting) say(where, `Waiting for ${event.waiting} other${event.waiting > 1 ? "s" : ""} ...`);
  else if (event.error) say(where, event.error, true);
  else if (event.begun) say(where, "Working ...");
  else if (event.done) say(where, ["Done.", ...cut].join(" "));
  else if (event.tokens === undefined) hear(event);
  else if (event.cut) cut.push(`The ${NAMES[event.of]} is too long: ${event.tokens} tokens of it were taken.`);
};
const settings = () => ({ steps: Number(at("steps").value), seed: Math.trunc(Number(at("seed").value)) });

// The curve of each text's fit, drawn at most once a frame while its steps arrive: each step, and their running mean.
const fitting = (where) => {
  const fits = new Map(), { figure } = where;
  let waits = false;
  figure.hidden = true;
  const draw = () => {
    waits = false;
    const colours = templates[theme()].layout.colorway;
    const data = [...fits].flatMap(([of, { x, cost, mean }], i) => {
      const name = fits.size > 1 || where.id === "between" ? `${NAMES[of]}: ` : "", color = colours[i];
      const hovertemplate = "step %{x}: %{y:.4f} nats/token<extra></extra>";
      return [
        { type: "scatter", mode: "markers", x: [...x], y: [...cost], name: `${name}each step`, marker: { color, opacity: 0.6, size: 6, symbol: i ? "square" : "circle" }, hovertemplate },
        { type: "scatter", mode: "lines", x: [...x], y: [...mean], name: `${name}mean of ${run.window} steps`, line: { color, width: 2.5, dash: i ? "dash" : "solid" }, hovertemplate },
      ];
    });
    const ends = ([of, { cost, mean }]) => `${NAMES[of]}, ${cost.length} steps, from ${cost[0].toFixed(3)} to a running mean of ${mean.at(-1).toFixed(3)}`;
    plotInto(figure, data, run.layouts.fitting, `Line chart of minus the ELBO by fast step, nats per token: ${[...fits].map(ends).join("; ")}.`, Plotly.react);
  };
  return (event) => {
    if (!fits.has(event.of)) fits.set(event.of, { x: [], cost: [], mean: [] });
    const fit = fits.get(event.of);
    fit.x.push(event.step);
    fit.cost.push(event.cost);
    fit.mean.push(event.mean);
    figure.hidden = false;
    drawings.set(figure, draw);
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      draw();
      const rows = [...fits].flatMap(([of, own]) => own.x.map((step, i) => [NAMES[of], step, own.cost[i].toFixed(4), own.mean[i].toFixed(4)]));
      tabulate(partsOf(figure).table, [["text", "step", "−ELBO, nats/token", "running mean"], ...rows]);
    });
  };
};
const thoughts = (layers) => {
  const figure = at("thoughts");
  figure.hidden = !layers;
  if (!layers) return;
  const every = layers.flatMap((layer, l) => layer.map((kl, k) => [`layer ${l + 1}`, `${k + 1}`, kl]));
  const [names, places, values] = [0, 1, 2].map((i) => every.map((row) => row[i])), total = values.reduce((sum, kl) => sum + kl, 0);
  const rows = every.map(([layer, thought, kl]) => [layer, thought, kl.toFixed(4)]);
  at("thoughts-told").textContent = `KL of each thought of q from the prior; all together ${total.toFixed(2)} nats for the text.`;
  drawChart(figure, {
    data: [{ type: "bar", x: [names, places], y: values, hovertemplate: "%{x}: %{y:.3f} nats<extra></extra>" }], layout: run.layouts.thoughts,
    description: `Bar chart: KL of ${values.length} thoughts, from ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)} nats.`,
    table: [["layer", "thought", "KL, nats/text"], ...rows],
  });
};
const numbers = (scores) => {
  const bounds = scores.elbo === undefined
    ? "No bound: this q has no density."
    : `Costs at most ${scores.elbo.toFixed(4)} nats per token (ELBO; of this, KL ${scores.kl.toFixed(4)}), at most ` +
      `${scores.importance_weighted.toFixed(4)} (importance-weighted)`;
  at("numbers").textContent = `${bounds}; ${scores.prior.toFixed(4)} with thoughts from the prior. ${scores.draws} draws of ` +
    `fresh noise, which q was not fitted to.${at("thoughts").hidden ? " This q or prior does not split into thoughts." : ""}`;
};
const reading = ({ tokens, gained }) => {
  at("reading").hidden = false;
  const mean = gained.reduce((sum, nats) => sum + nats, 0) / gained.length;
  tintTokens(at("reading"), at("reading-tokens"), tokens, gained, { label: "nats gained by the thoughts", unit: "nats" });
  at("reading-told").textContent = "log p(token | z from q) less log p(token | z from the prior): blue tokens cost less with the " +
    `thoughts of the text, orange ones more. Mean ${signed(mean, 4)} nats a token, before their KL is paid.`;
};
at("fit").addEventListener("click", () => {
  const where = panels.fit, point = fitting(where);
  at("numbers").textContent = "";
  for (const id of ["thoughts", "reading"]) at(id).hidden = true;
  ask(where, "fit", { text: at("text").value, ...settings() }, (event) => {
    if (event.step !== undefined) point(event);
    if ("thoughts" in event) thoughts(event.thoughts);
    if (event.numbers) numbers(event.numbers);
    if (event.reading) reading(event.reading);
  });
});

// An entry of a panel's history: the texts side by side, the settings, and the answer as it arrives.
const entry = (where, texts, body) => {
  const asked = make("div", { className: "asked beside" }, ...texts.map((text) => make("div", { textContent: text || "(no text: thoughts from the prior)" })));
  const answer = make("p", { className: "answer" });
  answer.setAttribute("aria-live", "polite");
  const facts = [`${body.steps} fast steps`, `seed ${body.seed}`, `temperature ${body.temperature}`];
  if (body.share !== undefined) facts.push(`${Math.round(100 * body.share)} % of the way`);
  where.history.append(make("li", {}, asked, make("p", { className: "note", textContent: facts.join(", ") }), answer));
  where.clear.hidden = false;
  return answer;
};
const writing = (where, texts, more) => {
  const point = fitting(where);
  const body = { ...settings(), tokens: Number(at("tokens").value), temperature: Number(at("temperature").value), ...more };
  const answer = entry(where, texts, body);
  ask(where, "write", body, (event) => {
    if (event.step !== undefined) point(event);
    if (event.piece) answer.append(event.piece);
  }).then(() => { if (!answer.textContent) answer.textContent = "(no answer)"; });
};
at("continue").addEventListener("click", () => writing(panels.continue, [at("text").value], { text: at("text").value }));
at("between").addEventListener("click", () => {
  const text = at("one").value, other = at("other").value;
  writing(panels.between, [text, other], { text, other, share: Number(at("share").value) });
});
Object.values(panels).forEach((where) => {
  where.stop.addEventListener("click", () => running?.abort());
  where.clear?.addEventListener("click", () => { where.history.replaceChildren(); where.clear.hidden = true; });
});

fetch("about").then((answer) => answer.json()).then((about) => {
  run = about;
  templates = run.themes;
  document.title = `Thoughts of ${run.name}`;
  at("name").textContent = run.name;
  at("about").textContent = `${run.layers} layers of ${run.thoughts} thoughts of ${run.width}; ${run.prior}, ${run.guide}; ` +
    `texts of up to ${run.length} tokens.`;
  at("steps").max = run.limits.steps;
  at("steps").value = run.fast_steps;
  at("tokens").max = run.limits.tokens;
  at("tokens").min = Math.min(8, run.limits.tokens);
  at("tokens").value = Math.min(64, Math.ceil(run.limits.tokens / 2));
  for (const id of ["steps", "tokens"]) at(id).dispatchEvent(new Event("input"));
}).catch((error) => say(panels.fit, `The server cannot be reached: ${error.message}`, true));
