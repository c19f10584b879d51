// From what is dropped to a case in the queue: what was found, what is missing, which network.

import { get, send } from "./api.js";
import { h, problem, say } from "./dom.js";
import { droppedFiles, pickedFiles } from "./files.js";
import { job, showProgress } from "./progress.js";
import { bytes, number, t } from "./texts.js";

export async function intakeView(app, host) {
  const view = { app, host, title: t("new.title"), upload: null, forms: [], started: [], nRead: 0, closed: false };
  view.result = h("div", { id: "found" });
  view.jobs = h("div", { id: "jobs" });
  view.page = null;
  host.append(h("div", { class: "page" }, h("h1", {}, t("new.title")), dropZone(view), view.jobs, view.result));
  const onEvent = (event) => {
    if (!event.case || !showProgress(view.jobs, { id: event.case, ...event }, event)) follow(view);
  };
  app.listeners.add(onEvent);
  view.close = () => {
    view.closed = true;
    app.listeners.delete(onEvent);
  };
  return view;
}

function dropZone(view) {
  const files = h("input", { type: "file", multiple: true, hidden: true, id: "files", onchange: (event) => upload(view, pickedFiles(event.target)) });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, id: "folder", onchange: (event) => upload(view, pickedFiles(event.target)) });
  const { folder: served } = view.app.session;
  const inside = t("new.path", { folder: served.split(/[\\/]/).at(-1) });
  const path = h("input", { type: "text", id: "path", "aria-label": inside, placeholder: inside, title: served });
  const zone = h(
    "section",
    { class: "drop", "aria-label": t("new.drop") },
    h("h2", {}, t("new.drop")),
    h("p", { class: "muted" }, t("new.kinds")),
    h(
      "div",
      { class: "row" },
      h("button", { class: "main", onclick: () => files.click() }, t("new.files")),
      h("button", { onclick: () => folder.click() }, t("new.folder")),
    ),
    served
      ? h("form", { class: "row path", onsubmit: (event) => readPath(view, event, path.value) }, path, h("button", {}, t("new.read")))
      : null,
    files,
    folder,
  );
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    zone.classList.remove("over");
    upload(view, await droppedFiles(event.dataTransfer));
  });
  return zone;
}

async function upload(view, files) {
  if (files.length === 0) return;
  const refused = tooMuch(files, view.app.session.limits);
  if (refused) {
    view.result.replaceChildren(h("div", { class: "note-box error", role: "alert" }, refused));
    return;
  }
  const form = new FormData();
  for (const { file, path } of files) form.append("files", file, path);
  await read(view, files.length, () => send("POST", "/api/uploads", form));
}

/** Why files are not even sent: they would be refused after minutes. */
function tooMuch(files, limits) {
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  if (size > limits.bytes) return t("new.toolarge", { found: bytes(size), limit: bytes(limits.bytes) });
  if (files.length > (limits.files ?? Infinity)) return t("new.toomany", { found: number(files.length, 0), limit: number(limits.files, 0) });
  return "";
}

async function readPath(view, event, path) {
  event.preventDefault();
  if (path.trim()) await read(view, 1, () => send("POST", "/api/uploads/path", { path: path.trim() }));
}

async function read(view, n, ask) {
  view.result.replaceChildren(h("div", { class: "card", role: "status" }, h("p", {}, t("new.sending", { n })), h("progress", { "aria-label": t("new.sending", { n }) })));
  view.nRead += 1;
  const own = view.nRead;
  try {
    const [found, models] = await Promise.all([ask(), view.app.askModels()]);
    if (own !== view.nRead) return; // Other scans were dropped meanwhile.
    Object.assign(view, { upload: found, models });
  } catch (error) {
    if (own === view.nRead) view.result.replaceChildren(problem(error));
    return;
  }
  drawFound(view);
}

function drawFound(view) {
  const { upload, cases, findings } = view.upload;
  view.forms = cases.map((own) => ({ own, upload, taken: initial(own), byHand: new Set(), model: own.proposed, options: optionsOf(view.app.session, own), done: false }));
  view.result.replaceChildren(
    h("div", { class: "spread" }, h("h2", { tabindex: "-1", id: "found-title" }, title(cases.length)), cases.length > 1 ? allButton(view) : null),
    ...(findings.length ? [findingsBox(findings)] : []),
    ...view.forms.map((form) => {
      form.host = h("section", { class: "card" });
      drawForm(view, form);
      return form.host;
    }),
  );
  document.getElementById("found-title").focus();
}

/**
 * The switches of a prediction: their texts, whether they need millimetres, which pictures have not, whether they are on
 * at first for a case, and what is sent for on and off.
 */
const SWITCHES = {
  register: { text: "option.register", needsMm: true, first: (own) => !own.on_one_grid },
  brain_extract: { text: "option.brain", needsMm: true, first: () => false },
  atlas: { text: "option.atlas", needsMm: true, first: () => false, on: "mni", off: null },
  uncertainty: { text: "option.uncertainty", first: () => true },
  explain: { text: "option.explain", first: () => false },
};

/** Those switches that the server knows and that mean something for a case, as they are at first. */
function optionsOf({ options: known }, own) {
  const meant = known.filter((name) => name in SWITCHES && (own.has_mm || !SWITCHES[name].needsMm));
  return Object.fromEntries(meant.map((name) => [name, SWITCHES[name].first(own)]));
}

/** What is sent for them. */
function chosen(options) {
  return Object.fromEntries(
    Object.entries(options).map(([name, isOn]) => {
      const { on = true, off = false } = SWITCHES[name];
      return [name, isOn ? on : off];
    }),
  );
}

function title(n) {
  if (n === 0) return t("new.none");
  return n === 1 ? t("new.found.one") : t("new.found", { n });
}

/** Series -> the modality that it was taken for, "" for none. */
function initial(own) {
  const taken = new Map();
  for (const [modality, series] of Object.entries(own.modalities)) taken.set(String(series.series), modality);
  for (const series of own.others) if (!taken.has(String(series.series))) taken.set(String(series.series), "");
  return taken;
}

function allButton(view) {
  const { forms } = view;
  const start = async () => {
    for (const form of forms) if (!form.done && isReady(view, form)) await submit(view, form);
  };
  return h("button", { class: "main", onclick: start }, t("new.all", { n: forms.length }));
}

function findingsBox(findings) {
  const worst = ["error", "warning"].find((kind) => findings.some(({ severity }) => severity === kind)) ?? "note";
  return h(
    "section",
    { class: `note-box ${worst}`, "aria-label": t("new.findings") },
    h("h3", {}, t("new.findings")),
    ...findings.map(({ message, file }) => h("p", {}, file && !message.includes(file) ? `${file}: ${message}` : message)),
  );
}

function drawForm(view, form) {
  const { own } = form;
  const start = h("button", { class: "main", disabled: form.done || !isReady(view, form), onclick: () => submit(view, form) }, t("new.start"));
  form.host.replaceChildren(
    h("div", { class: "spread" }, h("h3", {}, own.name, own.patient && own.patient !== own.name ? h("span", { class: "muted" }, ` · ${t("new.patient", { name: own.patient })}`) : null), start),
    seriesTable(view, form),
    ...duplicates(form).map((modality) => h("p", { class: "note-box error", role: "alert" }, t("series.twice", { modality }))),
    networks(view, form),
    options(form),
  );
}

function seriesTable(view, form) {
  const all = [...Object.values(form.own.modalities), ...form.own.others];
  const heads = ["as", "file", "plane", "spacing", "slices", "why"].map((name) => h("th", { scope: "col", class: name === "slices" ? "number" : null }, t(`series.${name}`)));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("series.title", { name: form.own.name }) },
    h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, all.map((series) => seriesRow(view, form, series)))),
  );
}

function seriesRow(view, form, series) {
  const key = String(series.series);
  const pick = (event) => {
    form.taken.set(key, event.target.value);
    form.byHand.add(key);
    drawForm(view, form);
    form.host.querySelector(`select[data-series="${CSS.escape(key)}"]`).focus();
  };
  const modalities = ["", ...new Set([...view.models.flatMap((model) => model.modalities), ...Object.keys(form.own.modalities)])];
  const chosen = form.taken.get(key);
  return h(
    "tr",
    {},
    h(
      "td",
      {},
      h(
        "select",
        { "aria-label": t("series.asof", { file: series.file }), onchange: pick, dataset: { series: key } },
        modalities.map((name) => h("option", { value: name, selected: name === chosen }, name || t("series.unused"))),
      ),
    ),
    h("td", {}, series.file),
    h("td", {}, series.plane ? t(`plane.${series.plane}`) : "–"),
    h("td", { class: "nowrap" }, (series.spacing_mm ?? []).map((size) => number(size, 2)).join(" × ") || "–"),
    h("td", { class: "number" }, String(series.n_slices ?? "–")),
    h(
      "td",
      {},
      form.byHand.has(key) ? t("series.byhand") : (series.why ?? ""),
      chosen && !form.byHand.has(key) && series.confidence < 0.8 ? [" ", h("span", { class: "tag warning" }, t("series.unsure"))] : null,
    ),
  );
}

function duplicates(form) {
  const used = [...form.taken.values()].filter(Boolean);
  return [...new Set(used.filter((modality, at) => used.indexOf(modality) !== at))];
}

/** What a network lacks of a case: nothing, or the shortest list of modalities that would do. */
export function missing(model, taken) {
  const used = new Set(taken);
  const sets = model.modality_sets?.length ? model.modality_sets : [model.modalities];
  const lacking = sets.map((set) => set.filter((modality) => !used.has(modality)));
  return lacking.reduce((best, own) => (own.length < best.length ? own : best));
}

function isReady(view, form) {
  const model = view.models.find(({ name }) => name === form.model);
  return Boolean(model?.installed) && missing(model, form.taken.values()).length === 0 && duplicates(form).length === 0;
}

function networks(view, form) {
  const rank = (model) => (form.own.proposed === model.name ? 0 : model.installed ? 1 : 2);
  const models = [...view.models].sort((a, b) => rank(a) - rank(b));
  return h("fieldset", { class: "networks" }, h("legend", {}, t("network.title")), ...models.map((model) => networkCard(view, form, model)));
}

function networkCard(view, form, model) {
  const lacking = missing(model, form.taken.values());
  const pick = () => {
    form.model = model.name;
    drawForm(view, form);
    form.host.querySelector(`input[value="${CSS.escape(model.name)}"]`).focus();
  };
  const ready = model.installed && lacking.length === 0;
  const words = !model.installed
    ? t("network.uninstalled", { how: model.how_to_get ?? "" })
    : lacking.length
      ? t("network.missing", { list: lacking.join(", ") })
      : t("network.ready");
  return h(
    "label",
    { class: "network" },
    h(
      "span",
      { class: "row" },
      h("input", { type: "radio", name: `network-${form.own.key}`, value: model.name, checked: form.model === model.name, disabled: !model.installed, onchange: pick }),
      model.title,
      form.own.proposed === model.name ? h("span", { class: "tag good" }, t("network.proposed")) : null,
    ),
    h("p", { class: "small" }, model.about),
    h("span", { class: `tag ${ready ? "good" : "warning"}` }, words),
    h("details", { open: form.model === model.name }, h("summary", {}, t("network.card")), card(model)),
  );
}

/** What the card of a network says: needs, data, figures, limits. */
function card(model) {
  const sets = model.modality_sets?.length ? model.modality_sets : [model.modalities];
  const shortest = sets.filter((set) => !sets.some((other) => other.length < set.length && other.every((name) => set.includes(name))));
  const facts = [
    ["needs", [shortest.map((set) => set.join(" + ")).join(t("network.or"))]],
    ["regions", [model.regions.join(", ")]],
    ["figures", model.figures.map(({ text }) => text)],
    ["data", [model.data].flat().map((own) => own.name ?? own)],
    ["limits", [model.limits].flat()],
    ["terms", [model.terms].flat()],
  ];
  const entry = ([name, texts]) => [h("dt", {}, t(`network.${name}`)), h("dd", {}, texts.map((text) => h("p", {}, text)))];
  return h("dl", { tabindex: 0 }, facts.filter(([, texts]) => texts.some(Boolean)).flatMap(entry));
}

function options(form) {
  const flip = (name) => (event) => {
    form.options[name] = event.target.checked;
  };
  const why = (name) => (name === "register" && !form.own.on_one_grid ? h("span", { class: "tag note" }, t("option.register.why")) : null);
  const line = (name) => h("label", { class: "check" }, h("input", { type: "checkbox", name, checked: form.options[name], onchange: flip(name) }), t(SWITCHES[name].text), why(name));
  return h("fieldset", { class: "options" }, h("legend", {}, t("option.title")), ...Object.keys(form.options).map(line));
}

async function submit(view, form) {
  form.done = true;
  drawForm(view, form);
  const modalities = Object.fromEntries([...form.taken].filter(([, modality]) => modality).map(([series, modality]) => [modality, series]));
  try {
    const { id } = await send("POST", "/api/cases", { upload: form.upload, key: form.own.key, model: form.model, modalities, ...chosen(form.options) });
    view.started.push(id);
    view.app.names.set(id, form.own.name);
    say(t("new.started", { name: form.own.name }));
    form.host.remove();
  } catch (error) {
    form.done = false;
    drawForm(view, form);
    form.host.prepend(problem(error));
    return;
  }
  if (view.forms.every(({ done }) => done)) view.result.replaceChildren();
  await follow(view);
}

/** Show how far the cases are that were begun here; the only one opens by itself when it is done. */
async function follow(view) {
  if (view.started.length === 0) return;
  view.nAsked = (view.nAsked ?? 0) + 1;
  const asked = view.nAsked;
  let cases;
  try {
    cases = (await get("/api/cases")).filter(({ id }) => view.started.includes(id));
  } catch {
    return; // The banner says that the program does not answer.
  }
  if (asked !== view.nAsked || view.closed) return; // A later answer is on its way.
  const [only] = cases;
  if (view.started.length === 1 && only?.state === "done" && view.forms.every(({ done }) => done)) {
    location.hash = `#/case/${encodeURIComponent(only.id)}`;
    return;
  }
  view.jobs.replaceChildren(
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("cases.queue")),
      ...cases.map((own) => (["queued", "running"].includes(own.state) ? job(own, () => cancel(own)) : finished(own))),
    ),
  );
}

async function cancel(own) {
  try {
    await send("POST", `/api/cases/${own.id}/cancel`);
  } catch (error) {
    say(error.message, "error");
  }
}

function finished(own) {
  return h(
    "div",
    { class: "job" },
    h("strong", {}, own.name),
    own.error ? problem({ error: own.error }) : h("span", {}, t(`state.${own.state}`)),
    own.state === "done" ? h("a", { class: "button", href: `#/case/${encodeURIComponent(own.id)}` }, t("cases.open")) : h("span", {}),
  );
}
