// Making elements. Text is only ever text: names of files and patients never become HTML.

import { t } from "./texts.js";

/**
 * An element with attributes and children. `on…` attributes are listeners, `true` and `false` set or leave out an
 * attribute, `dataset` is an object; children are elements, texts, or null for nothing.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else if (name === "style") for (const [key, own] of Object.entries(value)) element.style.setProperty(key, own);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Say something to everybody, screen readers too; it goes by itself. */
export function say(text, kind = "note") {
  const message = h("p", { class: `message ${kind}` }, text);
  document.getElementById("messages").append(message);
  setTimeout(() => message.remove(), kind === "error" ? 12000 : 5000);
}

/** What went wrong, in the server's words. */
export function problem(error) {
  const said = error.error ?? { what: error.message };
  return h(
    "div",
    { class: "note-box error", role: "alert" },
    h("p", {}, h("strong", {}, said.what)),
    said.file ? h("p", {}, t("error.file", { text: said.file })) : null,
    said.found ? h("p", {}, t("error.found", { text: said.found })) : null,
    said.expected ? h("p", {}, t("error.expected", { text: said.expected })) : null,
    said.remedy ? h("p", {}, said.remedy) : null,
  );
}
