// Two time points of a patient, side by side and linked, with the curve of the volumes.

import { fetchBytes, get } from "./api.js";
import { curve } from "./curve.js";
import { h, problem } from "./dom.js";
import { keyOf } from "./keys.js";
import { largestSection } from "./labels.js";
import { connectPointer } from "./pointer.js";
import { number, t, unitWord, volumeNumber, when } from "./texts.js";
import * as look from "./viewer.js";

const LOOKING = { isPainting: () => false, radiusMm: () => null, begin() {}, drag() {}, lift() {}, end() {}, cancel() {} };

export async function compareView(app, host, ...ids) {
  const details = await Promise.all(ids.slice(0, 2).map((id) => get(`/api/cases/${id}`)));
  if (details.length < 2 || details[0].patient !== details[1].patient) throw new Error(t("compare.others"));
  const view = { title: t("compare.title"), viewers: [], unlisten: [] };
  view.close = () => {
    view.unlisten.forEach((end) => end());
    view.viewers.forEach(look.close);
  };
  const halves = details.map((detail) => half(view, detail));
  const times = await get(`/api/timeline/${encodeURIComponent(details[0].patient)}`);
  host.append(
    h(
      "div",
      { class: "compare" },
      h("div", { class: "case-head" }, h("h1", {}, `${t("compare.title")}: ${details[0].patient}`)),
      h("div", { class: "pair" }, halves),
      h("section", { class: "curve", "aria-label": t("compare.curve") }, curve(times, details[0].regions, ids), changes(details)),
    ),
  );
  await Promise.all(details.map((detail, row) => openHalf(view, detail, row, halves[row])));
  link(view);
  return view;
}

function half(view, detail) {
  const stage = h("div", { class: "viewer", tabindex: "0", role: "application", "aria-label": `${detail.name}, ${when(detail)}` });
  const viewer = look.createViewer(stage, fetchBytes, () => follow(view, viewer));
  viewer.arrangement = "planes";
  view.viewers.push(viewer);
  return h("div", { class: "half" }, h("p", {}, h("strong", {}, when(detail)), ` · ${detail.name}`), h("div", { class: "stage" }, stage));
}

async function openHalf(view, detail, row, host) {
  const viewer = view.viewers[row];
  try {
    await look.openCase(viewer, detail, detail.corrections.at(-1)?.url ?? detail.mask.url);
  } catch (error) {
    host.lastElementChild.replaceChildren(problem(error));
    return;
  }
  view.unlisten.push(connectPointer(viewer, LOOKING));
}

/** Begin at the largest section of the first, and let keys move both. */
function link(view) {
  const [first] = view.viewers;
  if (view.viewers.some(({ session }) => !session)) return;
  const values = [...new Set(first.session.labels)].filter(Boolean);
  look.moveTo(first, largestSection(first.session.labels, first.dims, values) ?? first.crosshair);
  const onKey = (event) => {
    const line = keyOf(event);
    const act = line && ACTIONS[line.action];
    if (!act || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    act(view, line.value);
  };
  document.addEventListener("keydown", onKey);
  view.unlisten.push(() => document.removeEventListener("keydown", onKey));
}

/** What the keys of the case view do to both. */
export const ACTIONS = {
  slice: ({ viewers: [first] }, value) => look.step(first, value),
  zoom: ({ viewers }, value) => viewers.forEach((viewer) => look.zoomBy(viewer, value)),
  reset: ({ viewers }) => viewers.forEach(look.resetView),
  arrange: async ({ viewers }, value) => {
    if (viewers.some(({ dims }) => dims.includes(1))) return; // There is one slice.
    const plane = { axial: 2, coronal: 1, sagittal: 0 }[value];
    for (const viewer of viewers) {
      if (plane !== undefined) viewer.plane = plane;
      await look.setArrangement(viewer, value);
    }
  },
  modality: ({ viewers }, by) => {
    const names = viewers[0].names.filter((name) => viewers.every(({ names: own }) => own.includes(name)));
    if (names.length === 0) return; // The two time points share none.
    const next = names[(names.indexOf(viewers[0].modality) + by + names.length) % names.length];
    for (const viewer of viewers) look.setModality(viewer, next);
  },
  hide: ({ viewers }) => {
    for (const viewer of viewers) {
      viewer.maskShown = !viewer.maskShown;
      look.redraw(viewer, true);
    }
  },
};

/** The other viewer looks at the same place, at the same share of the volume where the grids differ. */
function follow(view, moved) {
  for (const other of view.viewers) {
    if (other === moved || !other.session || view.following) continue;
    view.following = true;
    other.plane = moved.plane;
    look.moveTo(other, moved.crosshair.map((at, axis) => ((at + 0.5) / moved.dims[axis]) * other.dims[axis] - 0.5));
    view.following = false;
  }
}

function changes([first, second]) {
  const before = first.volumes_ml;
  const after = second.volumes_ml;
  const rows = Object.keys(before).filter((region) => region in after);
  const percent = (region) => (first.unit === second.unit && before[region] > 0 ? `${after[region] >= before[region] ? "+" : ""}${number((100 * (after[region] - before[region])) / before[region], 0)} %` : "–");
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("regions.region")), ...[first, second].map((own) => h("th", { scope: "col", class: "number" }, `${when(own)} (${unitWord(own.unit)})`)), h("th", { scope: "col", class: "number" }, t("compare.change")))),
    h("tbody", {}, rows.map((region) => h("tr", {}, h("td", {}, region), h("td", { class: "number" }, volumeNumber(before[region], first.unit)), h("td", { class: "number" }, volumeNumber(after[region], second.unit)), h("td", { class: "number" }, percent(region))))),
  );
}
