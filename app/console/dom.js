// Making elements. Knows the document; text goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const make = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

export function show(element, shown = true) {
  element.hidden = !shown;
}

// A list that disappears when there is nothing in it.
export function writeList(list, texts) {
  list.replaceChildren(...texts.map((text) => make("li", {}, text)));
  show(list, texts.length > 0);
}

export const score = (value) => value.toFixed(4);

// A product's name as the service compares it: blanks collapsed, case folded, accents composed.
export const keyOf = (product) =>
  product.normalize("NFD").trim().replace(/\s+/g, " ").toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ").normalize("NFC");

// Pictures dropped on an element, or chosen through its file field.
export function takesFiles(area, button, field, take) {
  button.addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    take([...field.files]);
    field.value = ""; // the same file may be chosen again
  });
  const over = (is) => (event) => {
    event.preventDefault();
    area.classList.toggle("over", is);
  };
  area.addEventListener("dragover", over(true));
  area.addEventListener("dragleave", over(false));
  area.addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files]);
  });
}
