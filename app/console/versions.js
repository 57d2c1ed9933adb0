// Versions of a product's threshold. Knows the history the service keeps, and the way back in it.

import * as api from "./api.js";
import { byId, keyOf, make, score } from "./dom.js";

let asked = 0;

const note = (text) => { byId("ver-note").textContent = text; };

export async function showVersions(product) {
  asked += 1;
  const mine = asked;
  byId("versions").replaceChildren();
  if (!product) return note("Name a product to see its versions.");
  try {
    const { products } = await api.products();
    const known = products.find((found) => found.product === keyOf(product));
    const found = known ? await api.history(product) : null;
    if (mine !== asked) return undefined;
    if (found) write(product, found, known);
    else note(`${product} has no threshold of its own yet: the model's default decides.`);
  } catch (error) {
    if (mine === asked) note(`${error.what} ${error.todo}`);
  }
  return undefined;
}

function sentence(product, current, known) {
  if (!current) return `No version is in use: the model's default decides for ${product}.`;
  if (!known.usable) return `Version ${current} is chosen for ${product}, but the model's default decides: ${known.reason}.`;
  const { roi } = known.current;
  return roi ? `Version ${current} decides for ${product} where roi=${roi} is sent, otherwise the model's default.` : `Version ${current} decides for ${product}.`;
}

function write(product, { current, history }, known) {
  note(sentence(product, current, known));
  const use = (version, text) => make("button", { onclick: () => go(product, version) }, text);
  const rows = [...history].reverse().map((profile) => {
    const mine = profile.version === current;
    const cells = [
      String(profile.version), score(profile.threshold), String(profile.n), `${+(100 * profile.false_reject).toPrecision(3)} %`,
      profile.created_at.slice(0, 16).replace("T", " "), `${profile.bundle.name} ${profile.bundle.version}`,
    ];
    return make("tr", { class: mine ? "current" : "" }, ...cells.map((text) => make("td", {}, text)),
      make("td", {}, mine ? (known.usable ? "● in use" : "● chosen, not used") : use(profile.version, `Use version ${profile.version}`)));
  });
  const heads = ["Version", "Threshold", "Good parts", "Promise", "Made (UTC)", "Model", ""];
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows));
  byId("versions").replaceChildren(table);
  if (current) byId("versions").append(make("div", { class: "row" }, use(0, "Use none: the model's default")));
}

async function go(product, version) {
  try {
    await api.rollBack(product, version);
    document.dispatchEvent(new Event("productschanged"));
  } catch (error) {
    note(`${error.what} ${error.todo} ${error.detail}`);
  }
}
