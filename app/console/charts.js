// Two charts. Knows numbers and shapes; knows nothing of pictures. Shapes differ as well as colours.

import { draw, make, score } from "./dom.js";

const LEFT = 34;
const RIGHT = 12;

// Of a hidden tab it is 0.
const widthOf = (holder) => holder.clientWidth || 640;

const limitLine = (x1, y1, x2, y2) => draw("line", { class: "limit", x1, y1, x2, y2 });

// points: [{score, result, current, name, choose}]
export function drawHistory(holder, points, threshold) {
  const width = widthOf(holder);
  const height = 144;
  const top = 10;
  const bottom = height - 12;
  const y = (value) => bottom - value * (bottom - top);
  const step = Math.min(26, (width - LEFT - RIGHT) / Math.max(points.length, 1));
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Scores of ${points.length} pictures, threshold ${score(threshold)}` });
  for (const value of [0, 0.5, 1]) {
    svg.append(draw("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toString()));
  }
  svg.append(limitLine(LEFT, y(threshold), width - RIGHT, y(threshold)));
  points.forEach((point, index) => {
    const x = LEFT + step * (index + 0.5);
    const cy = y(point.score);
    const mark = point.result === "NG"
      ? draw("path", { class: "mark-ng", d: `M${x} ${cy - 7}l7 7-7 7-7-7z` })
      : draw("circle", { class: "mark-ok", cx: x, cy, r: 5.5 });
    mark.append(draw("title", {}, `${point.name}: ${score(point.score)}, ${point.result}`));
    mark.addEventListener("click", point.choose);
    svg.append(mark);
    if (point.current) svg.append(draw("circle", { class: "current", cx: x, cy, r: 10 }));
  });
  holder.replaceChildren(svg);
}

export const noChart = (holder, text) => holder.replaceChildren(make("p", { class: "empty small" }, text));

// Bins from the lowest score to the highest or the threshold, whichever is further.
export function drawHistogram(holder, scores, threshold, odd) {
  const width = widthOf(holder);
  const height = 272;
  const bottom = height - 34;
  const top = 30;
  const known = threshold === null ? scores.map((s) => s.score) : [...scores.map((s) => s.score), threshold];
  const span = Math.max(0.02, Math.max(...known) - Math.min(...known));
  const size = (1.1 * span) / Math.max(10, Math.min(40, Math.round(2.5 * Math.sqrt(scores.length))));
  const edge = threshold ?? Math.min(...known); // no bin lies on both sides of the threshold
  const low = edge - Math.ceil((edge - Math.min(...known)) / size + 0.2) * size;
  const count = Math.ceil((Math.max(...known) - low) / size + 0.2);
  const high = low + count * size;
  const bins = Array.from({ length: count }, () => ({ all: 0, odd: 0 }));
  for (const found of scores) {
    const bin = bins[Math.min(count - 1, Math.floor(((found.score - low) / (high - low)) * count))];
    bin.all += 1;
    if (odd.has(found.name)) bin.odd += 1;
  }
  const most = Math.max(...bins.map((bin) => bin.all));
  const x = (value) => LEFT + ((value - low) / (high - low)) * (width - LEFT - RIGHT);
  const y = (number) => bottom - (number / most) * (bottom - top);
  const label = `Histogram of ${scores.length} good parts' scores` + (threshold === null ? "" : `, threshold ${score(threshold)}`);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  svg.append(draw("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: bottom, y2: bottom }));
  svg.append(draw("text", { x: LEFT - 6, y: y(most) + 4, "text-anchor": "end" }, String(most)));
  svg.append(draw("text", { x: LEFT - 6, y: bottom + 4, "text-anchor": "end" }, "0"));
  const wide = (width - LEFT - RIGHT) / count;
  bins.forEach((bin, index) => {
    const at = LEFT + index * wide;
    const bar = (name, from, to) => draw("rect", { class: name, x: at + 1, width: Math.max(1, wide - 2), y: y(to), height: y(from) - y(to) });
    if (bin.all > bin.odd) svg.append(bar("bars", 0, bin.all - bin.odd));
    if (bin.odd) svg.append(bar("bars odd", bin.all - bin.odd, bin.all));
  });
  for (let tick = 0; tick <= 4; tick += 1) {
    const value = low + (tick / 4) * (high - low);
    svg.append(draw("text", { x: x(value), y: bottom + 18, "text-anchor": tick === 0 ? "start" : tick === 4 ? "end" : "middle" }, value.toFixed(3)));
  }
  svg.append(draw("text", { x: (width + LEFT - RIGHT) / 2, y: height - 2, "text-anchor": "middle" }, "score"));
  if (threshold !== null) {
    svg.append(limitLine(x(threshold), top - 8, x(threshold), bottom));
    svg.append(draw("text", { class: "limit-text", x: x(threshold) - 6, y: top - 12, "text-anchor": "end" }, `threshold ${score(threshold)}`));
  }
  holder.replaceChildren(svg);
}
