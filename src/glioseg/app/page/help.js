// What the keys and the mouse do.

import { h } from "./dom.js";
import { KEYS, setSingleKeys, shown, singleKeys } from "./keys.js";
import { t } from "./texts.js";

export function helpDialog(dialog) {
  if (dialog.open) return;
  const lines = new Map();
  for (const line of KEYS) lines.set(line.text, [...(lines.get(line.text) ?? []), ...shown(line)]);
  lines.set("key.help", ["?"]);
  const flip = (event) => setSingleKeys(event.target.checked);
  dialog.setAttribute("aria-labelledby", "help-title");
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, t("help.title")),
    h(
      "div",
      { class: "keys" },
      ...[...lines].map(([text, keys]) => h("div", {}, h("span", {}, t(text)), h("span", { class: "nowrap" }, keys.map((key) => h("kbd", {}, key))))),
    ),
    h("h2", {}, t("help.mouse")),
    h("ul", {}, ...["wheel", "right", "middle", "drag", "touch"].map((name) => h("li", {}, t(`help.${name}`)))),
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: singleKeys(), onchange: flip }), t("help.single")),
    h("form", { method: "dialog" }, h("button", { class: "main", autofocus: true }, t("close"))),
  );
  dialog.showModal();
}
