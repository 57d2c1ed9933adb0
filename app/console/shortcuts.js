// Single keys. Knows which does what; they can be turned off, and are off while something is typed.

import * as camera from "./camera.js";
import { byId } from "./dom.js";
import { nudge, resetThreshold, step } from "./inspect.js";
import { toggleHeat } from "./stage.js";

const isTyping = (element) => element.matches("input:not([type=range]):not([type=checkbox]), textarea, select");

export function setUpShortcuts(selectTab) {
  const help = byId("help");
  const on = byId("shortcuts-on");
  on.checked = localStorage.getItem("ssvp-shortcuts") !== "off";
  on.addEventListener("change", () => localStorage.setItem("ssvp-shortcuts", on.checked ? "on" : "off"));
  byId("help-button").addEventListener("click", () => help.showModal());
  const inspecting = () => !byId("inspect").hidden;
  const keys = {
    1: () => selectTab("inspect", true),
    2: () => selectTab("calibrate", true),
    "?": () => help.showModal(),
    o: () => byId(inspecting() ? "choose" : "cal-choose").click(),
  };
  const inspectKeys = {
    c: () => byId(camera.isOpen() ? "shoot" : "camera-button").click(),
    j: () => step(1),
    k: () => step(-1),
    h: toggleHeat,
    r: () => byId("regions").click(),
    "+": () => nudge(0.01),
    "-": () => nudge(-0.01),
    0: resetThreshold,
  };
  document.addEventListener("keydown", (event) => {
    if (!on.checked || help.open || event.repeat && event.key.toLowerCase() === "c" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const act = keys[event.key.toLowerCase()] ?? (inspecting() ? inspectKeys[event.key.toLowerCase()] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  });
}
