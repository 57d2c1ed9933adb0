// The tab that learns a threshold from good parts. Knows scores and the service's calibration; computes no threshold.

import * as api from "./api.js";
import { drawHistogram, noChart } from "./charts.js";
import { byId, make, score, show, takesFiles, writeList } from "./dom.js";
import { Problem } from "./problems.js";
import { problemText } from "./verdict.js";
import { showVersions } from "./versions.js";

const AT_ONCE = 2;
const TYPED_MS = 300;
let parts = []; // {file, name, score, problem, left}
let queue = []; // parts that are still to be inspected
let total = 0; // of those that are inspected together, how many there were
let done = 0;
let begun = 0;
let missed = 0; // parts that Stop or a failure left out
let broken = null; // what ended the last inspection early
let digest = null;
let stopping = null;
let asked = 0; // answers to earlier questions are dropped

const product = () => byId("cal-product").value.trim().replace(/\s+/g, " ");
const rate = () => byId("cal-rate").valueAsNumber / 100;
const needed = () => Math.ceil(1 / rate() - 1e-9) - 1;
const used = () => parts.filter((part) => part.score !== null && !part.left);
const validRate = () => rate() > 0 && rate() < 1;

function showNeeded() {
  byId("cal-needed").textContent = validRate()
    ? `A promise of ${+(100 * rate()).toFixed(3)} % takes at least ${needed().toLocaleString("en")} good parts.`
    : "Enter a number above 0 and below 100.";
}

function fail(error) {
  const problem = Problem.of(error);
  if (problem.asksForKey) document.dispatchEvent(new Event("keywanted"));
  byId("cal-problem").replaceChildren(...problemText(problem));
  show(byId("cal-problem"));
}

function uniqueName(name) {
  const taken = new Set(parts.map((part) => part.name));
  let chosen = name;
  for (let count = 2; taken.has(chosen); count += 1) chosen = `${name} (${count})`;
  return chosen;
}

async function take(files) {
  if (!files.length) return;
  show(byId("cal-problem"), false);
  if (!product()) {
    fail(new Problem("parameter_invalid", "Name the product first: the threshold belongs to it."));
    byId("cal-product").focus();
    return;
  }
  const added = files.map((file) => {
    const part = { file, name: uniqueName(file.name), score: null, problem: null, left: false };
    parts.push(part);
    return part;
  });
  asked += 1; // a proposal, or one that is under way, is not of these parts
  forgetProposal();
  queue.push(...added);
  total += added.length;
  if (stopping) { // they come after those before them
    showProgress();
    return;
  }
  await inspectAll();
  await propose();
  if (broken) fail(broken);
}

function showProgress() {
  byId("cal-bar").value = done / total;
  const left = done ? ((performance.now() - begun) / done / 1000) * (total - done) : null;
  const rest = left === null || done === total ? "" : `, ${Math.ceil(left)} s left`;
  byId("cal-count").textContent = `${done} of ${total} inspected${rest}`;
}

async function inspectAll() {
  begun = performance.now();
  done = missed = 0;
  broken = null;
  stopping = new AbortController();
  lock(true);
  const worker = async () => {
    while (queue.length && !stopping.signal.aborted) {
      await inspectOne(queue.shift());
      done += 1;
      showProgress();
    }
  };
  showProgress();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const before = parts.length;
  parts = parts.filter((part) => part.score !== null || part.problem);
  missed = before - parts.length;
  queue = [];
  total = 0;
  stopping = null;
  lock(false);
}

async function inspectOne(part) {
  try {
    const answer = await api.detect(part.file, { product: product(), heatmap: "none" }, stopping.signal);
    if (digest && answer.model.digest !== digest) throw new Problem("bundle_changed");
    digest = answer.model.digest;
    part.score = answer.score;
  } catch (error) {
    if (error.name === "AbortError") return;
    // What ails the service or the key ails every picture.
    if (error.status === 0 || error.status === 401 || error.status === 403 || error.status === 503) {
      stopping.abort();
      broken ??= error;
    } else {
      part.problem = Problem.of(error);
    }
  }
}

function lock(busy) {
  show(byId("cal-progress"), busy);
  show(byId("cal-clear"), !busy && parts.length > 0);
  byId("cal-product").disabled = busy;
}

const failedLines = (failed) => failed.slice(0, 5).map((part) => `${part.name}: ${part.problem.what}`);

// Ask what the threshold would be; nothing is saved.
async function propose() {
  const failed = parts.filter((part) => part.problem);
  const state = [`${used().length} good parts`, failed.length && `${failed.length} could not be inspected`, parts.some((p) => p.left) && `${parts.filter((p) => p.left).length} left out`, missed && `${missed} not inspected: add them again`];
  byId("cal-state").textContent = parts.length || missed ? state.filter(Boolean).join(", ") : "";
  forgetProposal();
  if (used().length) drawHistogram(byId("cal-chart"), used(), null, new Set());
  else noChart(byId("cal-chart"), "The histogram of the good parts' scores appears here.");
  writeList(byId("cal-warnings"), failedLines(failed));
  if (!used().length || !validRate() || !product()) return;
  asked += 1;
  const mine = asked;
  try {
    const answer = await calibrate(true);
    if (mine === asked) showProposal(answer, failed);
  } catch (error) {
    if (mine === asked) fail(error);
  }
}

const calibrate = (dryRun) => api.calibrate(product(), {
  scores: used().map((part) => ({ name: part.name, score: part.score })), digest, false_reject: rate(), dry_run: dryRun,
});

function forgetProposal() {
  byId("cal-save").disabled = true;
  byId("cal-saved").textContent = "";
  byId("cal-odd").replaceChildren();
  for (const id of ["cal-problem", "cal-sentence", "cal-text", "cal-warnings"]) show(byId(id), false);
}

const percent = (value) => `${+(100 * value).toPrecision(3)} %`;

function showProposal(answer, failed) {
  const { profile } = answer;
  const odd = new Set(answer.stands_out);
  drawHistogram(byId("cal-chart"), used(), profile.threshold, odd);
  byId("cal-sentence").textContent =
    `A part is NG from a score of ${score(profile.threshold)} on. Of good parts like these ${profile.n}, at most ` +
    `${percent(profile.false_reject)} are rejected on average; for this particular set the rate lies between ` +
    `${percent(profile.interval[0])} and ${percent(profile.interval[1])} (95 %).`;
  show(byId("cal-sentence"));
  writeList(byId("cal-warnings"), [...profile.warnings, ...failedLines(failed)]);
  byId("cal-odd").replaceChildren(...used().filter((part) => odd.has(part.name)).map(oddPart));
  byId("cal-save").disabled = false;
  showText(answer, false);
}

function oddPart(part) {
  const image = make("img", { alt: `${part.name}, stands out`, src: URL.createObjectURL(part.file) });
  for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(image.src));
  const leave = () => {
    part.left = true;
    propose();
  };
  return make("figure", {}, image, make("figcaption", {}, `${part.name}: ${score(part.score)}`), make("button", { onclick: leave }, "Leave it out"));
}

function showText(answer, open) {
  byId("cal-json").value = answer.text;
  byId("cal-copied").textContent = "";
  show(byId("cal-text"));
  byId("cal-text").open = open;
}

async function save() {
  byId("cal-save").disabled = true;
  show(byId("cal-problem"), false);
  try {
    const answer = await calibrate(false);
    byId("cal-saved").textContent = answer.saved
      ? `✓ Saved as version ${answer.profile.version}; it decides from now on.`
      : `Not saved: ${answer.reason}. Copy the text below into the products file.`;
    showText(answer, !answer.saved);
    document.dispatchEvent(new Event("productschanged"));
  } catch (error) {
    byId("cal-save").disabled = false;
    fail(error);
  }
}

async function copy() {
  const text = byId("cal-json");
  try {
    await navigator.clipboard.writeText(text.value);
    byId("cal-copied").textContent = "Copied.";
  } catch { // pages without https have no clipboard
    text.focus();
    text.select();
    byId("cal-copied").textContent = "Selected: press Ctrl+C.";
  }
}

function startOver() {
  asked += 1;
  parts = [];
  missed = 0;
  digest = null;
  show(byId("cal-clear"), false);
  propose();
  byId("cal-choose").focus();
}

// Not at the field's change: that comes with the click on Save, and would take the button from under it.
let typing = 0;
function rateTyped() {
  showNeeded();
  if (stopping || !parts.length) return;
  asked += 1;
  forgetProposal();
  clearTimeout(typing);
  typing = setTimeout(propose, TYPED_MS);
}

export function setUpCalibrate() {
  takesFiles(byId("cal-drop"), byId("cal-choose"), byId("cal-files"), take);
  byId("cal-rate").addEventListener("input", rateTyped);
  byId("cal-product").addEventListener("change", () => {
    showVersions(product());
    if (parts.length) startOver(); // a score belongs to the product it was asked for
  });
  byId("cal-stop").addEventListener("click", () => stopping?.abort());
  byId("cal-clear").addEventListener("click", startOver);
  byId("cal-save").addEventListener("click", save);
  byId("cal-copy").addEventListener("click", copy);
  document.addEventListener("productschanged", () => showVersions(product()));
  showNeeded();
}
