"use strict";
const at = (id) => document.getElementById(id);
const draw = (parent, name, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
};
const say = (text, bad = false) => {
  at("status").textContent = text;
  at("status").className = bad ? "bad" : "";
};

for (const id of ["steps", "temperature", "tokens", "share"]) {
  const show = () => { at(`${id}-told`).textContent = at(id).value; };
  at(id).addEventListener("input", show);
  show();
}

const ACTIONS = ["fit", "continue", "between"];
let running = null;
const ask = async (path, body, hear) => {
  running = new AbortController();
  ACTIONS.forEach((id) => { at(id).disabled = true; });
  at("stop").disabled = false;
  say("Asking ...");
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: running.signal,
    });
    if (!answer.ok) {
      say((await answer.json()).error ?? `The server says ${answer.status}.`, true);
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) heard(JSON.parse(line), hear);
    }
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : `The server cannot be reached: ${error.message}`, error.name !== "AbortError");
  } finally {
    ACTIONS.forEach((id) => { at(id).disabled = false; });
    at("stop").disabled = true;
    running = null;
  }
};
const heard = (event, hear) => {
  if (event.waiting) say(`Waiting for ${event.waiting} other${event.waiting > 1 ? "s" : ""} ...`);
  else if (event.error) say(event.error, true);
  else if (event.begun) say("Working ...");
  else if (event.done) { if (!at("status").dataset.note) say("Done."); else say(at("status").dataset.note); }
  else hear(event);
};
const settings = () => ({
  text: at("text").value, steps: Number(at("steps").value), seed: Math.trunc(Number(at("seed").value)),
});

const costs = [];
const curve = () => {
  at("curve").replaceChildren();
  if (!costs.length) return;
  const least = Math.min(...costs), range = Math.max(...costs) - least || 1;
  const x = (i) => 60 + (530 * i) / Math.max(1, costs.length - 1), y = (cost) => 170 - (155 * (cost - least)) / range;
  draw(at("curve"), "polyline", { class: "curve", points: costs.map((cost, i) => `${x(i)},${y(cost)}`).join(" ") });
  draw(at("curve"), "text", { class: "axis", x: 52, y: 20, "text-anchor": "end" }, (least + range).toFixed(2));
  draw(at("curve"), "text", { class: "axis", x: 52, y: 172, "text-anchor": "end" }, least.toFixed(2));
  draw(at("curve"), "text", { class: "axis", x: 590, y: 194, "text-anchor": "end" }, `${costs.length} steps`);
};
const thoughts = (layers) => {
  at("thoughts").replaceChildren();
  if (!layers) {
    at("thoughts-told").textContent = "This q or prior does not split into thoughts.";
    return;
  }
  const most = Math.max(...layers.flat(), 1e-9), width = 600 / (layers.flat().length + layers.length);
  let place = 0;
  layers.forEach((layer, l) => {
    layer.forEach((kl, k) => {
      const bar = draw(at("thoughts"), "rect", {
        class: "bar", x: place * width, width: width * 0.85, y: 140 - (130 * kl) / most, height: (130 * kl) / most,
      });
      draw(bar, "title", {}, `layer ${l + 1}, thought ${k + 1}: ${kl.toFixed(3)} nats`);
      place += 1;
    });
    draw(at("thoughts"), "text", { class: "axis", x: (place - layer.length / 2) * width, y: 156, "text-anchor": "middle" },
      `layer ${l + 1}`);
    place += 1;
  });
  const total = layers.flat().reduce((sum, kl) => sum + kl, 0);
  at("thoughts-told").textContent = `KL(q ‖ p) of each thought, nats for the text: the highest ${most.toFixed(2)}, all ` +
    `together ${total.toFixed(2)}. A group of bars is a layer.`;
};
const numbers = (found) => {
  const told = found.elbo === undefined
    ? "No bound: this q has no density."
    : `Costs at most ${found.elbo.toFixed(4)} nats per token (ELBO; of this, KL ${found.kl.toFixed(4)}), at most ` +
      `${found.importance_weighted.toFixed(4)} (importance-weighted)`;
  at("numbers").textContent = `${told}; ${found.prior.toFixed(4)} with thoughts from the prior. ${found.draws} draws of ` +
    "fresh noise, which q was not fitted to.";
};
const note = (event) => {
  if (event.tokens === undefined) return false;
  at("status").dataset.note = event.cut ? `Done. The text is too long: ${event.tokens} tokens of it were taken.` : "";
  return true;
};

at("fit").addEventListener("click", () => {
  costs.length = 0;
  curve();
  at("numbers").textContent = "";
  ask("fit", settings(), (event) => {
    if (note(event)) return;
    if (event.step !== undefined) { costs.push(event.cost); curve(); }
    if ("thoughts" in event) thoughts(event.thoughts);
    if (event.numbers) numbers(event.numbers);
  });
});
const writing = (more) => {
  at("written").textContent = "";
  at("status").dataset.note = "";
  costs.length = 0;
  const body = { ...settings(), tokens: Number(at("tokens").value), temperature: Number(at("temperature").value), ...more };
  ask("write", body, (event) => {
    if (note(event)) return;
    if (event.step !== undefined) { costs.push(event.cost); curve(); }
    if (event.piece) at("written").append(event.piece);
  });
};
at("continue").addEventListener("click", () => writing({}));
at("between").addEventListener("click", () => writing({ other: at("other").value, share: Number(at("share").value) }));
at("stop").addEventListener("click", () => running?.abort());

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
}).catch((error) => say(`The server cannot be reached: ${error.message}`, true));
