// What was said of one picture. Knows the answer's members and the elements that show them.

import { byId, draw, make, score, show, writeList } from "./dom.js";

const FACES = {
  OK: { look: "ok", sign: "✓", text: "Good part" },
  NG: { look: "ng", sign: "✕", text: "Reject this part" },
};
const SOURCES = {
  request: "this call",
  profile: "the product's own, from good parts",
  bundle: "the model's default, not from your parts",
};
const STAGES = { decode: "Reading", queue: "Waiting", inference: "Model", render: "Drawing", total: "Total" };

function face(look, sign, word, text) {
  byId("verdict").className = `verdict ${look}`;
  byId("verdict-sign").textContent = sign;
  byId("verdict-word").textContent = word;
  byId("verdict-text").textContent = text;
}

const enable = (on) => ["threshold", "threshold-number"].forEach((id) => { byId(id).disabled = !on; });

function define(pairs) {
  byId("details").replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function showWaiting(item) {
  show(byId("problem"), false);
  writeList(byId("warnings"), []);
  enable(false);
  byId("threshold-reset").disabled = true;
  byId("threshold-note").textContent = "";
  byId("timing").replaceChildren(make("p", { class: "empty" }, "Nothing measured yet."));
  if (item) face("none error", "", "Inspecting…", item.name);
  else face("none error", "", "No picture yet", "Drop one, or try a sample.");
  define(item ? [["File", item.name], ["Product", item.product]] : [["Score", "–"]]);
}

export function problemText(problem, again) {
  const parts = [make("strong", {}, problem.what), problem.todo];
  const small = [problem.detail, problem.requestId && `Request ${problem.requestId}`].filter(Boolean).join(" · ");
  if (small) parts.push(make("p", {}, make("small", {}, small)));
  if (again) parts.push(make("div", { class: "row" }, make("button", { onclick: again }, "Try again")));
  return parts;
}

export function showProblem(item, again) {
  showWaiting(item);
  face("none error", "!", "No result", `${item.name}: not inspected. Do not treat it as a good part.`);
  byId("problem").replaceChildren(...problemText(item.problem, again));
  show(byId("problem"));
}

export function showVerdict(item, result, threshold, moved) {
  const { answer } = item;
  show(byId("problem"), false);
  const { look, sign, text } = FACES[result];
  const scored = `score ${score(answer.score)}, NG from ${score(threshold)}`;
  // Nobody may take a threshold that is being tried for the service's verdict.
  if (moved) face(`${look} tried`, sign, result, `Try-out: ${scored}. The service says ${answer.result} (NG from ${score(answer.threshold)}).`);
  else face(look, sign, result, `${text}: ${scored}`);
  enable(true);
  if (document.activeElement !== byId("threshold-number")) byId("threshold-number").value = score(threshold);
  byId("threshold").value = threshold;
  byId("threshold").setAttribute("aria-valuetext", score(threshold));
  byId("threshold-reset").disabled = !moved;
  byId("threshold-note").textContent = moved
    ? `Moved in this page, for all pictures of ${item.product}. The service decides at ${score(answer.threshold)} and says ${answer.result}.`
    : `NG from this score on: ${SOURCES[answer.threshold_source] ?? answer.threshold_source}. Moving it changes the verdict in this page only.`;
  const source = answer.profile_version ? `${answer.threshold_source}, version ${answer.profile_version}` : answer.threshold_source;
  define([
    ["File", item.name],
    ["Product", answer.product],
    ["Score", `${score(answer.score)} (whole ${score(answer.score_global)}, local ${score(answer.score_local)})`],
    ["Service's threshold", `${score(answer.threshold)} (${source})`],
    ["Regions", answer.regions.length ? `${answer.regions.length}, largest ${Math.max(...answer.regions.map((r) => r.area_px))} px` : "none"],
    ["Model", `${answer.model.name} ${answer.model.version}`],
    ["Request", answer.request_id],
  ]);
  writeList(byId("warnings"), answer.warnings ?? []);
  showTiming(answer.timing_ms);
}

function showTiming(timing) {
  const longest = Math.max(timing.total, 1);
  const rows = Object.entries(STAGES).filter(([name]) => name in timing).flatMap(([name, label]) => {
    const width = `${Math.min(100, (100 * timing[name]) / longest)}%`;
    const bar = draw("svg", { "aria-hidden": "true" }, draw("rect", { width, height: "100%" }));
    return [make("span", {}, label), bar, make("span", { class: "value" }, `${timing[name].toFixed(1)} ms`)];
  });
  byId("timing").replaceChildren(...rows);
}
