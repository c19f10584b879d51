// Keeping a correction beside the prediction.

import { drawAll } from "./actions.js";
import { get, send } from "./api.js";
import { h, problem, say } from "./dom.js";
import { keptAs } from "./labels.js";
import { t } from "./texts.js";
import { correctedFile, redraw } from "./viewer.js";

const AUTHOR = "glioseg-author";

/** Ask by whom, and keep the labels beside the prediction. */
export function saveDialog(view) {
  if (view.saving) return undefined; // Its window was closed, and it is under way.
  if (!view.isUnsaved()) return say(t("save.nothing"));
  const by = h("input", { type: "text", id: "save-by", required: true, value: localStorage.getItem(AUTHOR) ?? "" });
  const note = h("input", { type: "text", id: "save-note" });
  const dialog = h("dialog", { "aria-labelledby": "save-title", onclose: () => dialog.remove() });
  const submit = async (event) => {
    event.preventDefault();
    if (!view.saving && (await save(view, by.value.trim(), note.value.trim(), dialog))) dialog.close();
  };
  dialog.append(
    h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "save-title" }, t("save.title")),
      h("p", { class: "muted" }, t("save.beside")),
      h("label", { class: "field" }, h("span", {}, t("save.by")), by),
      h("label", { class: "field" }, h("span", {}, t("save.note")), note),
      h("div", { class: "row" }, h("button", { class: "main" }, t("save.save")), h("button", { type: "button", onclick: () => dialog.close() }, t("close"))),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  view.dialog = dialog;
  return undefined;
}

async function save(view, by, note, dialog) {
  localStorage.setItem(AUTHOR, by);
  const labels = view.viewer.session.labels.slice();
  const query = new URLSearchParams({ by, note });
  view.saving = true;
  try {
    const { n } = await send("PUT", `/api/cases/${view.id}/mask?${query}`, await correctedFile(view.viewer));
    view.viewer.session = keptAs(view.viewer.session, labels);
    view.shown = n;
    view.lesion = -1;
    const { corrections, reference } = await get(`/api/cases/${view.id}`);
    Object.assign(view.detail, { corrections, reference });
    say(t("save.saved", { n }));
    if (view.viewer.closed) return true;
    view.followMask();
    redraw(view.viewer, false);
    drawAll(view);
    return true;
  } catch (error) {
    if (!dialog.open) say(error.message, "error");
    dialog.querySelector(".note-box")?.remove();
    dialog.firstElementChild.prepend(problem(error));
    return false;
  } finally {
    view.saving = false;
    view.keepDraft();
  }
}
