// What is known of a case, on its right: volumes, confidence, layers, reference, what is kept.

import { fetchFile, get } from "./api.js";
import { h, say } from "./dom.js";
import { volumeOf } from "./labels.js";
import { byTime, date, modalityWord, number, t, unitWord, when } from "./texts.js";
import { redraw, setLayerOpacity, setWindow, windowOf } from "./viewer.js";
import { keep } from "./worklist.js";

const FORMS = ["nifti", "seg", "stl", "probabilities", "pdf", "html", "csv"];

/** Those that may name somebody. */
const NAMING = new Set(["seg", "pdf", "html", "csv"]);

export function drawSide(view) {
  const focused = document.activeElement?.id;
  view.side.replaceChildren(
    ...[warnings(view), volumes(view), confidence(view), picture(view), mask(view), diameters(view), reference(view), keeping(view), otherTimes(view)].filter(Boolean),
  );
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function part(title, ...content) {
  return h("section", {}, h("h2", {}, title), ...content);
}

/** What to distrust of this mask, as the network and the readers said it. */
function warnings(view) {
  const own = view.detail.warnings ?? [];
  if (own.length === 0) return null;
  return part(t("warnings.title"), h("div", { class: "note-box warning small" }, own.map((text) => h("p", {}, text))), ofNetwork(view));
}

/** Said where what the network said of its own mask stands beside another one. */
function ofNetwork(view) {
  return view.shown || view.isUnsaved() ? h("p", { class: "small muted" }, t("mask.ofnetwork")) : null;
}

function volumes(view) {
  const buttons = h(
    "div",
    { class: "row" },
    h("button", { class: "tight", id: "largest", onclick: () => view.act.jumpLargest(view) }, t("jump.largest")),
    h("button", { class: "tight", id: "lesion", onclick: () => view.act.jumpLesion(view) }, t("jump.lesion")),
  );
  const waits = view.isUnsaved() ? h("p", { class: "small muted", id: "measured-later" }, t("regions.later")) : null;
  return part(t("regions.title"), h("div", { id: "volumes" }, volumeTable(view)), waits, buttons);
}

/** Only the table of volumes, which follows the brush. */
export function drawVolumes(view) {
  view.side.querySelector("#volumes")?.replaceChildren(volumeTable(view));
}

function volumeTable(view) {
  const { session } = view.viewer;
  const unit = unitWord(view.detail.unit);
  const heads = ["region", "volume", "interval", ...(view.reference ? ["dice", "hd95"] : [])];
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col", class: name === "region" ? null : "number" }, name === "volume" ? unit : t(`regions.${name}`))))),
    h("tbody", {}, view.detail.regions.map((region) => volumeRow(view, region, volumeOf(session, region.labels)))),
  );
}

function volumeRow(view, region, now) {
  const { intervals, scores: all } = view.facts;
  const changed = Math.abs(now - region.volume_ml) >= 0.05;
  const words = (volume) => number(volume, view.viewer.isPicture ? 0 : 1);
  const interval = intervals[region.name]?.map(words).join(" – ") ?? "–";
  const scores = all?.[region.name];
  return h(
    "tr",
    { dataset: { region: region.name } },
    h("td", {}, h("span", { class: "swatch", style: { "--own": region.colour } }), ` ${region.name}`),
    h("td", { class: "number volume", title: changed ? t("regions.was", { volume: words(region.volume_ml) }) : null }, changed ? h("strong", {}, words(now)) : words(now)),
    h("td", { class: "number nowrap" }, interval),
    ...(view.reference ? [h("td", { class: "number" }, number(scores?.dice, 2)), h("td", { class: "number" }, number(scores?.hd95))] : []),
  );
}

function confidence(view) {
  const own = view.detail.confidence;
  if (!own) return part(t("confidence.title"), h("p", { class: "small muted" }, t("confidence.none")));
  return part(
    t("confidence.title"),
    h("p", {}, h("span", { class: `tag ${own.low ? "warning" : "good"}` }, number(own.value, 2)), " ", own.words),
    own.reasons.length ? h("ul", { class: "small" }, own.reasons.map((reason) => h("li", {}, reason))) : null,
    ofNetwork(view),
  );
}

function picture(view) {
  const { viewer, detail } = view;
  const { low, high, min, max } = windowOf(viewer);
  const slider = (id, key, value, set) =>
    h("label", { class: "field" }, h("span", {}, t(key)), h("input", { type: "range", id, min, max, step: "any", value: String(value), oninput: (event) => set(Number(event.target.value)) }));
  return part(
    t("view.title"),
    h(
      "label",
      { class: "field" },
      h("span", {}, t("view.modality")),
      h("select", { id: "modality", onchange: (event) => view.act.setModality(view, event.target.value) }, detail.modalities.map((own) => h("option", { value: own.name, selected: own.name === viewer.modality }, modalityWord(own)))),
    ),
    slider("window-low", "view.low", low, (value) => setWindow(viewer, value, windowOf(viewer).high)),
    slider("window-high", "view.high", high, (value) => setWindow(viewer, windowOf(viewer).low, value)),
    detail.maps.length ? layers(view) : null,
    h("button", { class: "tight", onclick: () => view.act.resetView(view) }, t("view.reset")),
  );
}

function layers(view) {
  const { detail, viewer } = view;
  const options = detail.maps.map((map, row) => h("option", { value: String(row), selected: row === view.layer }, t(`layer.${map.kind}`, { region: map.region })));
  return h(
    "div",
    {},
    h(
      "label",
      { class: "field" },
      h("span", {}, t("layer.title")),
      h("select", { id: "layer", onchange: (event) => view.act.setLayer(view, Number(event.target.value)) }, h("option", { value: "-1", selected: view.layer < 0 }, t("layer.none")), options),
    ),
    view.layer < 0
      ? null
      : h("label", { class: "field" }, h("span", {}, t("layer.opacity")), h("input", { type: "range", id: "layer-opacity", min: 0, max: 1, step: 0.05, value: String(viewer.layerOpacity), oninput: (event) => setLayerOpacity(viewer, Number(event.target.value)) })),
  );
}

/** What a mask of the case is called: 0 as predicted, n the n-th correction. */
function maskWords({ detail }, n) {
  const own = detail.corrections.find((each) => each.n === n);
  return own ? t("mask.correction", { n, by: own.by, at: date(own.at, true) }) : t("mask.original");
}

function mask(view) {
  const { viewer, detail } = view;
  const numbers = [0, ...detail.corrections.map(({ n }) => n)];
  const note = detail.corrections.find(({ n }) => n === view.shown)?.note;
  const slide = (event) => {
    viewer.opacity = Number(event.target.value);
    redraw(viewer, false);
  };
  const outlines = (event) => {
    viewer.outlinesOnly = event.target.checked;
    redraw(viewer, false);
  };
  return part(
    t("mask.title"),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "mask-shown", checked: viewer.maskShown, onchange: (event) => view.act.setMaskShown(view, event.target.checked) }), t("mask.show")),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "outlines-only", checked: viewer.outlinesOnly, onchange: outlines }), t("mask.outlines")),
    h("label", { class: "field" }, h("span", {}, t("mask.opacity")), h("input", { type: "range", id: "mask-opacity", min: 0, max: 1, step: 0.05, value: String(viewer.opacity), oninput: slide })),
    h(
      "label",
      { class: "field" },
      h("span", {}, t("mask.which")),
      h("select", { id: "mask-which", disabled: view.isUnsaved(), onchange: (event) => view.act.showMask(view, Number(event.target.value)) }, numbers.map((n) => h("option", { value: String(n), selected: n === view.shown }, maskWords(view, n)))),
    ),
    note ? h("p", { class: "small" }, note) : null,
  );
}

function diameters(view) {
  if (view.viewer.diameters.length === 0) return null;
  const go = ({ voxels }) => view.act.goTo(view, voxels[0][2]);
  return part(
    t("diameter.title"),
    h("div", { class: "row" }, view.viewer.diameters.map((own) => h("button", { class: "tight", onclick: () => go(own) }, diameterWords(own)))),
  );
}

function diameterWords({ region, long_mm: long, short_mm: short, voxels }) {
  return t("diameter.is", { region, long: number(long, 0), short: number(short, 0), slice: Math.round(voxels[0][2]) + 1 });
}

function reference(view) {
  const file = h("input", { type: "file", id: "reference-file", hidden: true, onchange: (event) => event.target.files[0] && view.act.loadReference(view, event.target.files[0]) });
  const ring = (colour, key) => h("span", {}, h("span", { class: "swatch ring", style: { "--own": colour } }), t(key));
  return part(
    t("reference.title"),
    view.reference ? h("p", { class: "legend" }, ring("#e5383b", "reference.legend"), ring("#38d66b", "reference.prediction")) : null,
    h(
      "div",
      { class: "row" },
      h("button", { class: "tight", onclick: () => file.click() }, t("reference.load")),
      view.reference ? h("button", { class: "tight", onclick: () => view.act.hideReference(view) }, t("reference.hide")) : null,
    ),
    h("div", { id: "reference-said" }),
    file,
  );
}

function keeping(view) {
  const deidentify = h("input", { type: "checkbox", id: "deidentify" });
  const fetchForm = async (form) => {
    try {
      const query = new URLSearchParams({ n: view.shown, ...(deidentify.checked ? { deidentify: 1 } : {}) });
      const file = await fetchFile(`/api/cases/${view.id}/export/${form}?${query}`);
      download(file);
      if (NAMING.has(form)) say(t(deidentify.checked ? "keep.nameless" : "keep.named", { file: file.name }));
    } catch (error) {
      say(error.message, "error");
    }
  };
  return part(
    t("keep.title"),
    h("p", { class: "small muted", id: "keep-which" }, t("keep.which", { mask: maskWords(view, view.shown) }), view.isUnsaved() ? ` ${t("keep.unsaved")}` : null),
    h("div", { class: "exports" }, FORMS.map((form) => h("button", { class: "tight", id: `export-${form}`, onclick: () => fetchForm(form) }, t(`keep.${form}`)))),
    h("label", { class: "check small" }, deidentify, t("keep.deidentify")),
    view.detail.corrections.length ? h("button", { class: "tight", onclick: () => keep([view.id]) }, t("keep.training")) : null,
    ...(view.detail.terms ?? []).map((text) => h("p", { class: "muted small" }, text)),
  );
}

function download({ blob, name }) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Links to the other time points of the patient; they are asked for once. */
function otherTimes(view) {
  const host = h("section", { hidden: !view.times?.length });
  const fill = () => {
    host.hidden = view.times.length === 0;
    host.replaceChildren(
      h("h2", {}, t("compare.title")),
      ...view.times.map((own) => {
        const pair = [view.detail, own].sort(byTime).map(({ id }) => encodeURIComponent(id));
        return h("p", {}, h("a", { href: `#/compare/${pair.join("/")}` }, t("compare.link", { date: when(own) })));
      }),
    );
  };
  if (view.times) fill();
  else if (view.detail.patient) {
    get(`/api/timeline/${encodeURIComponent(view.detail.patient)}`).then((all) => {
      view.times = all.filter(({ id }) => id !== view.id);
      fill();
    }, () => undefined);
  }
  return host;
}
