// The page's frame: tabs, theme, key, what the service is. Knows the two tabs; knows nothing of pictures.

import * as api from "./api.js";
import { setUpCalibrate } from "./calibrate.js";
import { byId, keyOf, make, show } from "./dom.js";
import { retryFailed, setUpInspect } from "./inspect.js";
import { Problem } from "./problems.js";
import { setUpShortcuts } from "./shortcuts.js";
import { showVersions } from "./versions.js";

const POLL_MS = 2000;
const REFRESH_MS = 15000;
const TABS = ["inspect", "calibrate"];
let products = [];
let timer = 0;
let keyAsked = false; // whoever closed the panel is not asked again at every poll

export function selectTab(name, focus = false) {
  for (const tab of TABS) {
    const button = byId(`tab-${tab}`);
    button.setAttribute("aria-selected", String(tab === name));
    button.tabIndex = tab === name ? 0 : -1;
    show(byId(tab), tab === name);
  }
  if (focus) byId(`tab-${name}`).focus();
  if (name === "calibrate" && !byId("cal-product").value && byId("product").value !== "object") {
    byId("cal-product").value = byId("product").value;
  }
  if (name === "calibrate") showVersions(byId("cal-product").value.trim());
}

function setUpTabs() {
  TABS.forEach((name, at) => {
    const button = byId(`tab-${name}`);
    button.addEventListener("click", () => selectTab(name));
    button.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") selectTab(TABS[1 - at], true);
    });
  });
}

// theme.js paints; this is the switch.
function setUpTheme() {
  const root = document.documentElement;
  const other = () => (root.dataset.theme === "dark" ? "light" : "dark");
  const name = () => { byId("theme").textContent = other() === "dark" ? "Dark" : "Light"; };
  byId("theme").addEventListener("click", () => {
    localStorage.setItem("ssvp-theme", other());
    document.dispatchEvent(new Event("themechosen"));
  });
  new MutationObserver(name).observe(root, { attributeFilter: ["data-theme"] });
  name();
}

function say(look, text) {
  byId("service").className = `service ${look}`;
  if (byId("service-text").textContent !== text) byId("service-text").textContent = text;
}

const STATES = { starting: "The service is starting: it is loading its model", unreachable: "The service cannot be reached", draining: "The service is shutting down" };

async function ask() {
  clearTimeout(timer);
  const { ready, status, reason } = await api.readiness();
  if (!ready) say("down", STATES[status] ?? `Not ready to inspect: ${reason || status}`);
  else await askProducts();
  timer = setTimeout(ask, ready ? REFRESH_MS : POLL_MS);
}

async function askProducts() {
  try {
    const found = await api.products();
    products = found.products;
    say("ready", `Ready · model ${found.bundle.name} ${found.bundle.version}`);
    show(byId("demo"), found.bundle.name === "ssvp-nano");
    byId("known").replaceChildren(...products.map(({ product }) => make("option", { value: product })));
    noteProduct();
  } catch (thrown) {
    const error = Problem.of(thrown);
    if (error.asksForKey && !keyAsked) wantKey(error);
    keyAsked ||= error.asksForKey;
    say(error.asksForKey ? "" : "down", error.what);
  }
}

function noteProduct() {
  const name = keyOf(byId("product").value);
  const known = products.find((found) => found.product === name);
  let text = products.length ? "Any name is fine; known products are suggested." : "Any name is fine.";
  if (known?.usable) text = `Has its own threshold: ${known.current.threshold.toFixed(4)}, version ${known.current.version}${onlyFor(known.current)}.`;
  else if (known) text = `Its own threshold is not used: ${known.reason}.`;
  byId("product-note").textContent = text;
}

const onlyFor = ({ roi }) => (roi ? `, for calls with roi=${roi} only` : "");

function wantKey(error) {
  const opened = byId("key-panel").hidden;
  show(byId("key-panel"));
  if (error?.code === "key_wrong") byId("key-note").textContent = `${error.what} ${error.todo}`;
  if (opened) byId("key").focus();
}

function setUpKey() {
  byId("key").value = api.key.get();
  byId("key-button").addEventListener("click", () => {
    if (byId("key-panel").hidden) wantKey();
    else show(byId("key-panel"), false);
  });
  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    api.key.set(byId("key").value.trim());
    show(byId("key-panel"), false);
    keyAsked = false;
    byId("key-note").textContent = "Kept in this browser tab only, and gone when the tab is closed.";
    await ask();
    if (byId("key-panel").hidden) retryFailed();
  });
  byId("key-forget").addEventListener("click", () => {
    api.key.set("");
    byId("key").value = "";
    byId("key").focus();
  });
  document.addEventListener("keywanted", () => wantKey());
}

setUpTheme();
setUpTabs();
setUpKey();
setUpInspect();
setUpCalibrate();
setUpShortcuts(selectTab);
byId("product").addEventListener("input", noteProduct);
document.addEventListener("productschanged", ask);
for (const event of ["dragover", "drop"]) window.addEventListener(event, (e) => e.preventDefault()); // never leave the page
ask();
