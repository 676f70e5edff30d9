"use strict";
const at = (id) => document.getElementById(id);

// A panel: its button, and below it what it says, the curve of its fits and what it writes.
const panel = (id) => {
  const part = at(`${id}-part`), one = (name) => part.querySelector(name);
  return { id, status: one(".status"), figure: one("figure"), key: one(".key"), svg: one(".fitting"), stop: one(".stop"), written: one(".written") };
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

let running = null;
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
const settings = () => ({
  text: at("text").value, steps: Number(at("steps").value), seed: Math.trunc(Number(at("seed").value)),
});

// The curve of each text's fit, by the name under which the server tells of it.
const NAMES = { text: "text", other: "other text" };
const fitting = (where) => {
  const curves = new Map();
  where.figure.hidden = true;
  return (event) => {
    if (!curves.has(event.of)) curves.set(event.of, []);
    curves.get(event.of).push([event.step, event.cost]);
    where.figure.hidden = false;
    legend(where.key, [...curves.keys()].map((of) => `fit to the ${NAMES[of]}`));
    const points = [...curves.values()].flat();
    const x = { label: "fast step", low: 0, high: Math.max(...points.map(([step]) => step)) };
    const y = { label: "−ELBO, nats/token", ...ends(points.map(([, cost]) => cost)) };
    plot(where.svg, { x, y }, (frame) => {
      [...curves.values()].forEach((own, kind) => line(frame, own, kind, { marks: own.length < 12 }));
    });
  };
};
const thoughts = (layers) => {
  at("thoughts").parentElement.hidden = false;
  at("thoughts").style.display = layers ? "" : "none";
  if (!layers) {
    at("thoughts-told").textContent = "This q or prior does not split into thoughts.";
    return;
  }
  const every = layers.flatMap((layer, l) => layer.map((kl, k) => ({ kl, l, k, place: l * (layer.length + 1) + k })));
  const names = layers.map((layer, l) => [l * (layer.length + 1) + (layer.length - 1) / 2, `layer ${l + 1}`]);
  const x = { label: "thoughts, by layer", low: -0.7, high: every.at(-1).place + 0.7, ticks: names };
  const y = { label: "KL(q ‖ p), nats/text", low: 0, high: 1.05 * Math.max(...every.map(({ kl }) => kl), 1e-9) };
  plot(at("thoughts"), { x, y, height: 220 }, (frame) => {
    const width = 0.84 * (frame.x(1) - frame.x(0));
    for (const { kl, l, k, place } of every) {
      const bar = draw(frame.svg, "rect", {
        class: "bar", x: frame.x(place) - width / 2, width, y: frame.y(kl), height: Math.max(0, frame.bottom - frame.y(kl)),
      });
      draw(bar, "title", {}, `layer ${l + 1}, thought ${k + 1}: ${kl.toFixed(3)} nats`);
    }
  });
  const total = every.reduce((sum, { kl }) => sum + kl, 0);
  at("thoughts-told").textContent = `KL of each thought of q from the prior; all together ${total.toFixed(2)} nats for the text.`;
};
const numbers = (found) => {
  const told = found.elbo === undefined
    ? "No bound: this q has no density."
    : `Costs at most ${found.elbo.toFixed(4)} nats per token (ELBO; of this, KL ${found.kl.toFixed(4)}), at most ` +
      `${found.importance_weighted.toFixed(4)} (importance-weighted)`;
  at("numbers").textContent = `${told}; ${found.prior.toFixed(4)} with thoughts from the prior. ${found.draws} draws of ` +
    "fresh noise, which q was not fitted to.";
};
at("fit").addEventListener("click", () => {
  const where = panels.fit, point = fitting(where);
  at("numbers").textContent = "";
  at("thoughts").parentElement.hidden = true;
  ask(where, "fit", settings(), (event) => {
    if (event.step !== undefined) point(event);
    if ("thoughts" in event) thoughts(event.thoughts);
    if (event.numbers) numbers(event.numbers);
  });
});
const writing = (where, more) => {
  const point = fitting(where);
  where.written.textContent = "";
  const body = { ...settings(), tokens: Number(at("tokens").value), temperature: Number(at("temperature").value), ...more };
  ask(where, "write", body, (event) => {
    if (event.step !== undefined) point(event);
    if (event.piece) where.written.append(event.piece);
  });
};
at("continue").addEventListener("click", () => writing(panels.continue, {}));
at("between").addEventListener("click", () => writing(panels.between, { other: at("other").value, share: Number(at("share").value) }));
ACTIONS.forEach((id) => panels[id].stop.addEventListener("click", () => running?.abort()));

fetch("about").then((answer) => answer.json()).then((run) => {
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
