// The tab that inspects. Knows which pictures there are and what was said of them; verdict.js shows one of them.

import * as api from "./api.js";
import { setUpCamera } from "./camera.js";
import { drawHistory, noChart } from "./charts.js";
import { byId, keyOf, make, score, show, takesFiles } from "./dom.js";
import { Problem } from "./problems.js";
import { clearStage, setUpStage, showPicture, shownAs } from "./stage.js";
import { showProblem, showVerdict, showWaiting } from "./verdict.js";

const AT_ONCE = 2;
const MOST = 200; // older pictures are let go, or a shift's worth would fill the memory
const items = []; // oldest first
const waiting = [];
const moved = new Map(); // product: threshold of the slider
let working = 0;
let current = null;

const thresholdOf = (item) => moved.get(keyOf(item.product)) ?? item.answer.threshold;
const resultOf = (item) => (item.answer.score >= thresholdOf(item) ? "NG" : "OK");
const isMoved = (item) => moved.has(keyOf(item.product));

export function inspectFiles(files, product = byId("product").value) {
  const added = files.map((file) => ({ file, name: file.name, product: product.trim() || "object", url: URL.createObjectURL(file), answer: null, problem: null }));
  if (!added.length) return;
  items.push(...added);
  waiting.push(...added);
  forgetOldest();
  byId("inspect").classList.add("busy");
  if (!current?.answer) choose(added[0]);
  listItems();
  work();
}

function forgetOldest() {
  while (items.length > MOST && items[0] !== current && (items[0].answer || items[0].problem)) {
    URL.revokeObjectURL(items.shift().url);
  }
}

function work() {
  while (working < AT_ONCE && waiting.length) {
    working += 1;
    inspect(waiting.shift()).finally(() => {
      working -= 1;
      work();
    });
  }
}

async function canShow(file) {
  try {
    (await createImageBitmap(file)).close();
    return true;
  } catch {
    return false;
  }
}

async function inspect(item) {
  item.problem = null;
  try {
    const heatmap = (await canShow(item.file)) ? "map" : "overlay";
    item.answer = await api.detect(item.file, { product: item.product, heatmap });
  } catch (error) {
    item.problem = Problem.of(error);
    if (item.problem.asksForKey) document.dispatchEvent(new Event("keywanted"));
  }
  if (!items.includes(item)) return; // cleared meanwhile
  forgetOldest();
  choose(item); // the newest verdict is the one to read
}

export function retryFailed() {
  const again = items.filter((item) => item.problem?.asksForKey);
  waiting.push(...again);
  work();
}

function choose(item) {
  current = item;
  showCurrent();
  showPicture(item);
}

function showCurrent() {
  listItems();
  showHistory();
  if (!current) return;
  if (current.problem) showProblem(current, () => { showWaiting(current); waiting.push(current); work(); });
  else if (current.answer) showVerdict(current, resultOf(current), thresholdOf(current), isMoved(current));
  else showWaiting(current);
}

function listItems() {
  show(byId("list-card"), items.length > 0);
  const rows = [...items].reverse().map((item) => {
    const result = item.answer ? resultOf(item) : item.problem ? "Error" : "…";
    const image = item.problem ? make("span", { class: "blank" }) : make("img", { src: shownAs(item), alt: "" });
    const name = make("span", { class: "name" }, item.name, make("small", {}, item.answer ? `${score(item.answer.score)} · ${item.product}` : item.problem?.what ?? "waiting"));
    const badge = make("span", { class: `badge ${result.toLowerCase()}` }, result);
    const attributes = { onclick: () => choose(item), "aria-current": item === current ? "true" : "false" };
    return make("li", {}, make("button", attributes, image, name, badge));
  });
  const inside = byId("list").contains(document.activeElement);
  byId("list").replaceChildren(...rows);
  if (inside) byId("list").querySelector("[aria-current=true]")?.focus();
}

function showHistory() {
  const done = items.filter((item) => item.answer);
  if (!done.length) return noChart(byId("history"), "One mark for each inspected picture.");
  const points = done.slice(-60).map((item) => ({ score: item.answer.score, result: resultOf(item), current: item === current, name: item.name, choose: () => choose(item) }));
  return drawHistory(byId("history"), points, thresholdOf(current?.answer ? current : done.at(-1)));
}

export function step(by) {
  const next = items[items.indexOf(current) + by];
  if (next) choose(next);
}

function setThreshold(value) {
  if (!current?.answer || !Number.isFinite(value)) return;
  moved.set(keyOf(current.product), Math.min(1, Math.max(0, value)));
  showCurrent();
}

export function nudge(by) {
  if (current?.answer) setThreshold(Number((thresholdOf(current) + by).toFixed(4)));
}

export function resetThreshold() {
  if (!current?.answer) return;
  moved.delete(keyOf(current.product));
  showCurrent();
}

function clear() {
  items.forEach((item) => URL.revokeObjectURL(item.url));
  items.length = waiting.length = 0;
  current = null;
  byId("inspect").classList.remove("busy");
  clearStage();
  showCurrent();
  showWaiting(null);
  byId("choose").focus();
}

async function trySample(button) {
  byId("product").value = button.dataset.product;
  byId("product").dispatchEvent(new Event("input"));
  try {
    const response = await fetch(`console/samples/${button.dataset.file}`);
    const blob = await response.blob();
    inspectFiles([new File([blob], button.dataset.file, { type: "image/png" })]);
  } catch {
    byId("product-note").textContent = new Problem("unreachable").what;
  }
}

export function setUpInspect() {
  setUpStage();
  setUpCamera((files) => inspectFiles(files));
  takesFiles(byId("drop"), byId("choose"), byId("files"), (files) => inspectFiles(files));
  for (const sample of document.querySelectorAll(".sample")) sample.addEventListener("click", () => trySample(sample));
  byId("clear").addEventListener("click", clear);
  byId("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
  byId("threshold-number").addEventListener("change", (event) => setThreshold(event.target.valueAsNumber));
  byId("threshold-reset").addEventListener("click", resetThreshold);
}
