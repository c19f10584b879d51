// One case: its scans in the middle, the tools on the left, what is known of it on the right.

import * as act from "./actions.js";
import { fetchBytes, get } from "./api.js";
import { h, problem, say } from "./dom.js";
import { dropDraft, keepDraft, readDraft } from "./drafts.js";
import { keyOf } from "./keys.js";
import { createSession, indexOf, isChanged, keptAs } from "./labels.js";
import { drawSide, drawVolumes } from "./panel.js";
import { connectPointer } from "./pointer.js";
import { saveDialog } from "./saving.js";
import { factsOf, whileDrawn } from "./shown.js";
import { date, intensity, t } from "./texts.js";
import { drawArrangements, drawProposal, drawToolbar } from "./toolbar.js";
import * as tool from "./tools.js";
import * as look from "./viewer.js";

const DRAFT_DELAY_MS = 400;

export async function caseView(app, host, id) {
  const detail = await get(`/api/cases/${id}`);
  if (detail.state !== "done") {
    host.append(h("div", { class: "page" }, h("h1", {}, detail.name), h("p", {}, t("case.unfinished")), h("a", { href: "#/cases" }, t("back"))));
    return { title: detail.name, close: () => {} };
  }
  const view = { app, host, id, detail, title: detail.name, reference: null, facts: null, lesion: -1, layer: -1, shown: 0, tools: null };
  view.act = { ...act, saveDialog };
  layOut(view);
  view.viewer = look.createViewer(view.stage, fetchBytes, () => drawPosition(view));
  const unlisten = [connectKeys(view), listenElsewhere(view)];
  view.close = () => {
    unlisten.forEach((end) => end());
    view.dialog?.close();
    look.close(view.viewer);
  };
  view.isUnsaved = () => Boolean(view.tools && isChanged(view.viewer.session));
  view.followMask = () => followMask(view);
  view.keepDraft = () => followLabels(view);
  openScans(view, unlisten);
  return view;
}

function layOut(view) {
  view.toolbar = h("div", { class: "tools", role: "toolbar", "aria-orientation": "vertical", "aria-label": t("tool.title") });
  view.stage = h("div", { class: "viewer", tabindex: "0", role: "application", "aria-label": t("case.viewer") });
  view.loading = h("p", { class: "loading", role: "status" }, t("case.loading"));
  view.proposal = h("div", { class: "proposal", hidden: true });
  view.side = h("aside", { class: "side", "aria-label": view.detail.name });
  view.unsaved = h("span", { class: "tag warning", hidden: true }, t("save.unsaved"));
  view.position = h("output", { id: "position", class: "muted small nowrap" });
  view.arrangements = h("div", { class: "row", role: "group", "aria-label": t("view.title") });
  view.host.append(
    h(
      "div",
      { class: "case" },
      h("div", { class: "case-head" }, h("h1", {}, view.detail.name), h("span", { class: "muted small" }, date(view.detail.created)), view.unsaved, view.arrangements, view.position),
      view.toolbar,
      h("div", { class: "stage" }, view.stage, view.loading, view.proposal),
      view.side,
    ),
  );
  drawArrangements(view);
}

async function openScans(view, unlisten) {
  const { detail, viewer } = view;
  try {
    const draft = await readDraft(view.id);
    const shown = draft ? detail.corrections.find(({ n }) => n === draft.base) : detail.corrections.at(-1);
    await look.openCase(viewer, detail, shown?.url ?? detail.mask.url);
    if (viewer.closed) return;
    view.shown = shown?.n ?? 0;
    bringBack(view, draft);
    view.loading.hidden = true;
  } catch (error) {
    view.loading.replaceChildren(problem(error.status === undefined && !hasWebGl() ? new Error(t("no.webgl")) : error));
    return;
  }
  view.tools = tool.createTools(viewer, {
    labels: detail.mask.labels,
    regions: detail.regions,
    maps: detail.maps,
    onPaint: () => onPaint(view),
    onProposal: () => drawProposal(view),
    onRefused: (key, values) => say(t(key, values)),
    onFailed: (error) => say(error.message, "error"),
  });
  unlisten.push(connectPointer(viewer, view.tools));
  followMask(view);
  act.drawAll(view);
  drawPosition(view);
  act.jumpLargest(view, true);
  view.stage.focus({ preventScroll: true });
  if (detail.reference) await act.showReference(view).catch((error) => say(error.message, "error"));
}

function hasWebGl() {
  return Boolean(document.createElement("canvas").getContext("webgl2"));
}

/** Which voxel is looked at, how bright it is, and what it was taken for. */
function drawPosition({ viewer, detail, position }) {
  const index = indexOf(viewer.dims, viewer.crosshair);
  const label = detail.mask.labels.find(({ value }) => value === viewer.session.labels[index]);
  const { min, max } = look.windowOf(viewer);
  const said = { value: intensity(look.valuesOf(viewer)[index], max - min), label: label?.name ?? "–" };
  const [x, y, z] = viewer.crosshair.map((at) => at + 1);
  position.textContent = viewer.isPicture
    ? t("case.pixel", { column: viewer.dims[0] - x + 1, row: viewer.dims[1] - y + 1, ...said })
    : t("case.position", { x, y, z, ...said });
}

/** Unsaved labels of this case from before a reload, on the mask that they began from. */
function bringBack({ viewer, shown }, draft) {
  const { session } = viewer;
  if (draft?.base !== shown || draft.labels.length !== session.labels.length) return;
  viewer.session = keptAs(createSession(draft.labels, session.dims, session.spacing, session.voxel), session.original);
  look.refreshLabels(viewer);
  say(t("save.restored"));
}

/** Tell what is measured and said of the mask that is shown now, and draw its diameters. */
function followMask(view) {
  const facts = factsOf(view.detail, view.shown);
  view.drawn = view.isUnsaved();
  view.facts = view.drawn ? whileDrawn(facts) : facts;
  view.viewer.diameters = view.facts.diameters.map((own) => diameterIn(view, own));
}

function diameterIn({ detail, viewer }, own) {
  const { image } = viewer.images.get(viewer.modality);
  return {
    ...own,
    colour: detail.regions.find(({ name }) => name === own.region)?.colour ?? "#ffffff",
    lengths: [own.long_mm, own.short_mm],
    voxels: own.points_mm.map((point) => [...image.mm2vox(point, true)]),
  };
}

function onPaint(view) {
  drawPosition(view);
  if (view.drawn === view.isUnsaved()) drawVolumes(view);
  else {
    followMask(view);
    drawSide(view);
    look.redraw(view.viewer, false);
  }
  drawToolbar(view);
  view.unsaved.hidden = !view.isUnsaved();
  clearTimeout(view.draftTimer);
  view.draftTimer = setTimeout(() => followLabels(view), DRAFT_DELAY_MS);
}

/** The browser keeps the labels that are not saved, and none that are. */
function followLabels(view) {
  clearTimeout(view.draftTimer);
  if (view.saving) return; // Which ends with this.
  if (view.isUnsaved()) keepDraft(view.id, { base: view.shown, labels: view.viewer.session.labels });
  else dropDraft(view.id);
}

/** Another window may correct the same case: say so, and list its masks. */
function listenElsewhere(view) {
  const onEvent = async (event) => {
    if (view.saving || (event.case && event.case !== view.id)) return;
    const known = view.detail.corrections.length;
    try {
      const { corrections, reference } = await get(`/api/cases/${view.id}`);
      Object.assign(view.detail, { corrections, reference });
    } catch {
      return; // The banner says that the program does not answer.
    }
    if (view.viewer.closed) return;
    if (view.detail.corrections.length > known && view.tools) {
      say(t("save.elsewhere"));
      followMask(view);
      drawSide(view);
    }
  };
  view.app.listeners.add(onEvent);
  return () => view.app.listeners.delete(onEvent);
}

function connectKeys(view) {
  const onKey = (event) => {
    const line = keyOf(event);
    if (!line || !view.tools || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    (line.action === "save" ? saveDialog : act.ACTIONS[line.action])(view, line.value, event);
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
