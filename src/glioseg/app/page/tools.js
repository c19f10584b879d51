// The tools of correction, on a viewer: which one is in hand, and what it does at a voxel.

import {
  ball,
  cancelStroke,
  commit,
  isInside,
  line,
  localProbability,
  paint,
  redo,
  revertSlice,
  sameLabelOnSlice,
  smartFill,
  undo,
} from "./labels.js";
import { OVER_SLICES, mapValues, redraw, refreshLabels, valuesOf } from "./viewer.js";

export const TOOLS = ["look", "brush", "eraser", "fill", "threshold", "sphere", "smart"];

const BRUSHES = new Set(["brush", "eraser", "threshold", "sphere"]);
const MAX_RADIUS_MM = 40;

/** The smallest probability that smart fill goes by: everything is at least as probable as none at all. */
export const MIN_PROBABILITY = 0.01;

/**
 * Tools for a viewer whose case is open. `maps` are the case's maps, `regions` its regions; `onPaint()` is called when
 * labels have changed, `onProposal()` when a smart fill is proposed or gone, `onRefused(key, values)` says why not, and
 * `onFailed(error)` what could not be loaded.
 */
export function createTools(viewer, { labels, regions, maps, onPaint, onProposal, onRefused, onFailed }) {
  const finest = Math.min(...viewer.spacing);
  const tools = {
    viewer,
    labels,
    regions,
    maps: maps.filter(({ kind }) => kind === "probability"),
    onPaint,
    onProposal,
    onRefused,
    onFailed,
    tool: "look",
    label: labels[0].value,
    radius: 3 * finest,
    radiusStep: finest,
    range: null,
    last: null,
    proposal: null,
    asked: null,
  };
  return Object.assign(tools, {
    isPainting: () => tools.tool !== "look",
    radiusMm: () => (BRUSHES.has(tools.tool) ? tools.radius : null),
    begin: (voxel, plane) => begin(tools, voxel, plane),
    drag: (voxel, plane) => drag(tools, voxel, plane),
    lift: () => {
      tools.last = null;
    },
    end: () => finish(tools),
    cancel: () => {
      cancelStroke(viewer.session);
      changed(tools);
    },
  });
}

function begin(tools, voxel, plane) {
  const { viewer, tool } = tools;
  if (!isInside(viewer.dims, voxel)) return;
  if (viewer.session.locked.has(target(tools))) {
    tools.onRefused("label.locked", { name: tools.labels.find(({ value }) => value === tools.label).name });
    return;
  }
  tools.last = null;
  if (BRUSHES.has(tool)) drag(tools, voxel, plane);
  if (tool === "fill") apply(tools, sameLabelOnSlice(viewer.session, voxel, plane));
  if (tool === "smart") propose(tools, voxel);
}

/** The label that the tool in hand gives. */
function target(tools) {
  return tools.tool === "eraser" ? 0 : tools.label;
}

function drag(tools, voxel, plane) {
  const { viewer } = tools;
  if (!BRUSHES.has(tools.tool)) return;
  const flat = tools.tool === "sphere" ? null : plane;
  const isSameSlice = tools.last?.[plane] === voxel[plane]; // The wheel may turn while somebody draws.
  const points = isSameSlice ? line(tools.last, voxel) : [voxel];
  tools.last = voxel;
  for (const point of points) apply(tools, ball(viewer.dims, viewer.spacing, point, tools.radius, flat), false);
  refreshLabels(viewer);
}

function apply(tools, indices, refresh = true) {
  const { viewer } = tools;
  paint(viewer.session, indices, target(tools), tools.tool === "threshold" ? within(tools) : null);
  if (refresh) refreshLabels(viewer);
}

/** Whether a voxel's intensity lies in the range of the threshold brush. */
function within(tools) {
  const values = valuesOf(tools.viewer);
  const { low, high } = tools.range;
  return (index) => values[index] >= low && values[index] <= high;
}

function finish(tools) {
  tools.last = null;
  if (commit(tools.viewer.session)) tools.onPaint();
}

/** Use the tool at the crosshair: what the space bar does. */
export function stamp(tools) {
  begin(tools, tools.viewer.crosshair, tools.viewer.plane);
  finish(tools);
}

export function setTool(tools, tool) {
  tools.tool = tool;
  leaveProposal(tools);
  if (tool === "threshold" && !tools.range) tools.range = rangeHere(tools);
  if (!BRUSHES.has(tool)) tools.viewer.brush = null;
}

/** Find the range of the threshold brush anew: another modality has other intensities. */
export function renewRange(tools) {
  tools.range = tools.tool === "threshold" ? rangeHere(tools) : null;
}

/** The range that the threshold brush begins with: what is usual in the label it paints, else around the crosshair. */
function rangeHere(tools) {
  const { viewer } = tools;
  const values = valuesOf(viewer);
  const labelled = [];
  viewer.session.labels.forEach((value, index) => {
    if (value === tools.label) labelled.push(index);
  });
  const chosen = labelled.length ? labelled : ball(viewer.dims, viewer.spacing, viewer.crosshair, tools.radius);
  const inside = chosen.map((index) => values[index]).sort((a, b) => a - b);
  const at = (share) => inside[Math.round(share * (inside.length - 1))];
  return { low: at(0.05), high: at(0.95) };
}

export function changeRadius(tools, steps) {
  const wanted = tools.radius + steps * tools.radiusStep;
  tools.radius = Math.max(0, Math.min(MAX_RADIUS_MM, wanted));
  if (tools.viewer.brush) tools.viewer.brush.radiusMm = tools.radius;
  redraw(tools.viewer, false, OVER_SLICES);
}

export function toggleLock(tools, label) {
  const { locked } = tools.viewer.session;
  if (!locked.delete(label)) locked.add(label);
}

/** The map that smart fill goes by: of the smallest region that the label belongs to. */
function mapOf(tools) {
  const sizes = new Map(tools.regions.map(({ name, labels }) => [name, labels.includes(tools.label) ? labels.length : 99]));
  return [...tools.maps].sort((a, b) => (sizes.get(a.region) ?? 99) - (sizes.get(b.region) ?? 99))[0];
}

/** Propose the region around a voxel that is as probable as it is around the voxel. */
async function propose(tools, voxel) {
  const map = mapOf(tools);
  if (!map) return tools.onRefused("smart.none", {});
  tools.asked = voxel;
  let values;
  try {
    values = await mapValues(tools.viewer, map);
  } catch (error) {
    return tools.onFailed(error);
  }
  if (tools.asked !== voxel || tools.viewer.closed) return undefined; // Something else was chosen while it was loaded.
  const threshold = Math.max(MIN_PROBABILITY, localProbability(values, tools.viewer.dims, voxel));
  tools.proposal = { voxel, values, threshold, indices: [] };
  return spread(tools);
}

function spread(tools) {
  const { proposal, viewer } = tools;
  proposal.indices = smartFill(proposal.values, viewer.dims, proposal.voxel, proposal.threshold);
  const inside = new Uint8Array(proposal.values.length);
  for (const index of proposal.indices) inside[index] = 1;
  viewer.outlines = [...viewer.outlines.filter(({ look }) => look !== "proposal"), { look: "proposal", belongs: (index) => inside[index] === 1 }];
  redraw(viewer, false);
  tools.onProposal();
}

export function changeThreshold(tools, threshold) {
  if (!tools.proposal) return;
  tools.proposal.threshold = threshold;
  spread(tools);
}

/** How large what is proposed is. */
export function proposalVolume({ proposal, viewer }) {
  return proposal.indices.length * viewer.session.voxel;
}

export function takeProposal(tools) {
  if (!tools.proposal) return;
  const { indices } = tools.proposal;
  leaveProposal(tools);
  apply(tools, indices);
  finish(tools);
}

export function leaveProposal(tools) {
  tools.asked = null;
  if (!tools.proposal) return;
  tools.proposal = null;
  tools.viewer.outlines = tools.viewer.outlines.filter(({ look }) => look !== "proposal");
  redraw(tools.viewer, false);
  tools.onProposal();
}

export function undoStep(tools) {
  if (undo(tools.viewer.session)) changed(tools);
}

export function redoStep(tools) {
  if (redo(tools.viewer.session)) changed(tools);
}

/** Put the slice that is looked at back to what it was. */
export function revertHere(tools) {
  const { viewer } = tools;
  revertSlice(viewer.session, viewer.plane, viewer.crosshair[viewer.plane]);
  if (commit(viewer.session)) changed(tools);
}

function changed(tools) {
  refreshLabels(tools.viewer);
  tools.onPaint();
}

