// What keys and buttons do to a case that is open.

import { send } from "./api.js";
import { problem, say } from "./dom.js";
import { dropDraft } from "./drafts.js";
import { createSession, inPlane, largestSection } from "./labels.js";
import { voxelToRas } from "./nifti.js";
import { drawSide } from "./panel.js";
import { t, volumeWords } from "./texts.js";
import { drawArrangements, drawProposal, drawToolbar } from "./toolbar.js";
import * as tool from "./tools.js";
import * as look from "./viewer.js";

/** What the actions of the table of keys do. */
export const ACTIONS = {
  slice: (view, value) => look.step(view.viewer, value),
  move: (view, value) => moveInPlane(view.viewer, value),
  arrange: (view, value) => arrange(view, value),
  modality: (view, value) => cycleModality(view, value),
  layer: (view) => cycleLayer(view),
  hide: (view) => setMaskShown(view, !view.viewer.maskShown),
  zoom: (view, value) => look.zoomBy(view.viewer, value),
  reset: (view) => resetView(view),
  largest: (view) => jumpLargest(view),
  lesion: (view) => jumpLesion(view),
  tool: (view, value) => chooseTool(view, value),
  label: (view, _, event) => chooseLabel(view, view.detail.mask.labels[Number(event.key) - 1]?.value),
  lock: (view) => toggleLock(view, view.tools.label),
  size: (view, value) => changeRadius(view, value),
  stamp: (view) => tool.stamp(view.tools),
  take: (view, value) => (value ? tool.takeProposal(view.tools) : tool.leaveProposal(view.tools)),
  undo: (view) => tool.undoStep(view.tools),
  redo: (view) => tool.redoStep(view.tools),
  revert: (view) => tool.revertHere(view.tools),
};

/** Draw everything beside the scans anew. */
export function drawAll(view) {
  drawArrangements(view);
  drawToolbar(view);
  drawSide(view);
  drawProposal(view);
  view.unsaved.hidden = !view.isUnsaved();
}

/** Move the crosshair by voxels as they lie on the screen: [to the right, up]. */
function moveInPlane(viewer, [right, up]) {
  const [across, along] = inPlane(viewer.plane);
  const voxel = [...viewer.crosshair];
  voxel[across] -= right; // The patient's right and front are on the left of the picture.
  voxel[along] += up;
  look.moveTo(viewer, voxel);
}

export async function arrange(view, arrangement) {
  if (view.viewer.dims.includes(1)) return; // There is one slice.
  const plane = { axial: 2, coronal: 1, sagittal: 0 }[arrangement];
  if (plane !== undefined) view.viewer.plane = plane;
  await look.setArrangement(view.viewer, arrangement);
  drawArrangements(view);
}

export function chooseTool(view, name) {
  tool.setTool(view.tools, name);
  drawToolbar(view);
}

export function chooseLabel(view, value) {
  if (value === undefined) return;
  view.tools.label = value;
  drawToolbar(view);
}

export function toggleLock(view, value) {
  tool.toggleLock(view.tools, value);
  drawToolbar(view);
}

export function changeRadius(view, steps) {
  tool.changeRadius(view.tools, steps);
  drawToolbar(view);
}

export function setMaskShown(view, shown) {
  view.viewer.maskShown = shown;
  look.redraw(view.viewer, true);
  drawSide(view);
}

export function setModality(view, name) {
  look.setModality(view.viewer, name);
  view.viewer.onChange(view.viewer);
  tool.renewRange(view.tools);
  drawToolbar(view);
  drawSide(view);
}

function cycleModality(view, by) {
  const names = view.detail.modalities.map(({ name }) => name);
  setModality(view, names[(names.indexOf(view.viewer.modality) + by + names.length) % names.length]);
}

export async function setLayer(view, number_) {
  view.layer = number_;
  try {
    await look.setLayer(view.viewer, view.detail.maps[number_] ?? null);
  } catch (error) {
    if (view.layer === number_) view.layer = -1;
    say(error.message, "error");
  }
  if (!view.viewer.closed) drawSide(view);
}

function cycleLayer(view) {
  const next = view.layer + 1;
  setLayer(view, next < view.detail.maps.length ? next : -1);
}

export function resetView(view) {
  look.resetView(view.viewer);
  drawSide(view);
}

/** Go to the slice of each plane that cuts most of the outermost region. */
export function jumpLargest(view, quiet = false) {
  const { session, dims } = view.viewer;
  const values = view.detail.regions[0]?.labels ?? view.detail.mask.labels.map(({ value }) => value);
  const place = largestSection(session.labels, dims, values);
  if (place) look.moveTo(view.viewer, place);
  else if (!quiet) say(t("jump.none"));
}

/** Go to the middle of the next lesion, the largest first. */
export function jumpLesion(view) {
  const { detail, viewer } = view;
  const outer = detail.regions[0]?.name;
  const lesions = view.facts.lesions.filter(({ region }) => region === outer);
  if (lesions.length === 0) return say(t("jump.none"));
  view.lesion = (view.lesion + 1) % lesions.length;
  const own = lesions[view.lesion];
  look.moveTo(viewer, voxelToRas(own.centre_voxel, viewer.mask.dims, viewer.permRas));
  const words = t("jump.lesion.is", { n: view.lesion + 1, all: lesions.length, volume: volumeWords(own.volume_ml, detail.unit) });
  say(view.isUnsaved() ? t("jump.lesion.before", { words }) : words);
}

/** Show a mask of this case: 0 as predicted, n the n-th correction. */
export async function showMask(view, n) {
  const correction = view.detail.corrections.find((own) => own.n === n);
  view.asked = n;
  let labels = null;
  try {
    labels = await look.fetchLabels(view.viewer, correction?.url ?? view.detail.mask.url);
  } catch (error) {
    say(error.message, "error");
  }
  if (view.viewer.closed || view.asked !== n) return undefined; // Another was chosen while it was loaded.
  if (labels === null || view.isUnsaved()) return drawSide(view); // Which says the one that is shown.
  view.shown = n;
  return startAgain(view, labels);
}

/** Correct from these labels on. */
function startAgain(view, labels) {
  const { session } = view.viewer;
  const again = createSession(labels, session.dims, session.spacing, session.voxel);
  view.viewer.session = { ...again, locked: session.locked };
  look.refreshLabels(view.viewer);
  dropDraft(view.id);
  view.lesion = -1;
  view.followMask();
  drawAll(view);
}

export function discard(view) {
  if (!window.confirm(t("save.discard.sure"))) return;
  startAgain(view, view.viewer.session.original);
}

export async function loadReference(view, file) {
  const form = new FormData();
  form.append("file", file, file.name);
  try {
    const url = `/api/cases/${view.id}/reference.nii.gz`;
    view.detail.reference = { ...(await send("POST", `/api/cases/${view.id}/reference`, form)), url };
    view.followMask();
    await showReference(view);
  } catch (error) {
    view.side.querySelector("#reference-said").replaceChildren(problem(error));
  }
}

export async function showReference(view) {
  const { viewer } = view;
  const reference = await look.fetchLabels(viewer, view.detail.reference.url);
  if (viewer.closed) return;
  view.reference = reference;
  viewer.outlines = [
    ...viewer.outlines.filter(({ look: own }) => own === "proposal"),
    { look: "reference", belongs: (index) => reference[index] > 0 },
    { look: "prediction", belongs: (index) => viewer.session.labels[index] > 0 },
  ];
  look.redraw(viewer, false);
  drawSide(view);
}

export function hideReference(view) {
  view.reference = null;
  view.viewer.outlines = view.viewer.outlines.filter(({ look: own }) => own === "proposal");
  look.redraw(view.viewer, false);
  drawSide(view);
}

/** Go to an axial slice. */
export function goTo(view, slice) {
  const [x, y] = view.viewer.crosshair;
  view.viewer.plane = 2;
  look.moveTo(view.viewer, [x, y, slice]);
}
