// The picture with the heat map over it. Knows pixels; knows neither scores nor the service.

import { byId, draw, make, show } from "./dom.js";

const stage = byId("stage");
const view = { opacity: 0.5, regions: true };
let frame = null;

// The map's 0 to 255 as colour: nothing where it is low, then yellow, orange, red.
const COLOURS = colours();

function colours() {
  const table = new Uint8ClampedArray(4 * 256);
  for (let grey = 0; grey < 256; grey += 1) {
    const value = grey / 255;
    const rise = Math.min(1, Math.max(0, (value - 0.35) / 0.35));
    const heat = Math.min(1, Math.max(0, (value - 0.35) / 0.6));
    table.set([255 - 45 * heat * heat, 225 * (1 - heat) ** 1.2, 30 * heat, 255 * rise * rise * (3 - 2 * rise)], 4 * grey);
  }
  return table;
}

async function coloured(heatmap) {
  const picture = new Image();
  picture.src = `data:${heatmap.media_type};base64,${heatmap.data}`;
  await picture.decode();
  const canvas = make("canvas", { width: picture.naturalWidth, height: picture.naturalHeight, "aria-hidden": "true" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    const from = 4 * data[at];
    for (let channel = 0; channel < 4; channel += 1) data[at + channel] = COLOURS[from + channel];
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function outlines(regions, width, height) {
  const rects = regions.flatMap(({ x, y, width: w, height: h }) =>
    ["under", "over"].map((name) => draw("rect", { class: name, x, y, width: w, height: h })));
  return draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...rects);
}

function apply() {
  if (frame?.heat) frame.heat.style.opacity = view.opacity;
  if (frame?.outline) frame.outline.style.display = view.regions ? "" : "none";
}

export function clearStage() {
  frame = null;
  stage.replaceChildren(make("p", { class: "empty" }, "The picture appears here, with the heat map over it."));
  show(byId("stage-note"), false);
}

// A picture the browser cannot show comes drawn by the service, heat map and all.
const isDrawn = (item) => item.answer?.heatmap?.kind === "overlay";

export function shownAs(item) {
  if (!isDrawn(item)) return item.url;
  const { media_type: kind, data } = item.answer.heatmap;
  return `data:${kind};base64,${data}`;
}

export async function showPicture(item) {
  const { answer } = item;
  const drawn = isDrawn(item);
  const note = byId("stage-note");
  show(note, drawn);
  note.textContent = drawn ? "This browser cannot show the file itself: this is the picture as the service drew it, heat map included." : "";
  const picture = make("img", { alt: `Inspected picture ${item.name}` });
  picture.src = shownAs(item);
  const mine = { heat: null, outline: null };
  frame = mine;
  try {
    await picture.decode();
  } catch {
    if (frame === mine) stage.replaceChildren(make("p", { class: "empty" }, `${item.name} cannot be shown.`));
    return;
  }
  if (answer) {
    if (answer.heatmap?.kind === "map") mine.heat = await coloured(answer.heatmap);
    if (!drawn) mine.outline = outlines(answer.regions, picture.naturalWidth, picture.naturalHeight);
  }
  if (frame !== mine) return; // another picture was chosen meanwhile
  const box = make("div", { class: "frame" }, ...[picture, mine.heat, mine.outline].filter(Boolean));
  // The box has the picture's own shape, so that whatever lies over it lies where it belongs.
  box.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
  stage.replaceChildren(box);
  apply();
}

export function setUpStage() {
  const slider = byId("opacity");
  slider.addEventListener("input", () => {
    view.opacity = slider.value / 100;
    byId("opacity-value").textContent = `${slider.value} %`;
    apply();
  });
  byId("regions").addEventListener("change", (event) => {
    view.regions = event.target.checked;
    apply();
  });
}

let kept = "50";
export function toggleHeat() {
  const slider = byId("opacity");
  if (slider.value !== "0") kept = slider.value;
  slider.value = slider.value === "0" ? kept : "0";
  slider.dispatchEvent(new Event("input"));
}
