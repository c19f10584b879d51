// What is drawn over the slices at the resolution of the screen.

import { outline } from "./labels.js";
import { tilesOf, toCanvas } from "./pane.js";

/** The looks of what is drawn: the reports' red and green, and colours that keep their contrast on grey. */
const LOOKS = {
  reference: { colour: "#e5383b", dash: [] },
  prediction: { colour: "#38d66b", dash: [] },
  proposal: { colour: "#4cc9f0", dash: [6, 4] },
};

/** Of each axis of RAS+ the side that it begins and ends at: what stands left or above where it runs right or down. */
const SIDES = ["LR", "PA", "IS"];

/** Draw over a pane: `scene` has dims, crosshair, outlines, diameters and the brush. */
export function drawOverlay(pane, scene) {
  const context = pane.overlay.getContext("2d");
  context.clearRect(0, 0, pane.overlay.width, pane.overlay.height);
  if (pane.arrangement === "render") return;
  for (const tile of tilesOf(pane, scene.dims)) {
    context.save();
    context.beginPath();
    context.rect(tile.left, tile.top, tile.width, tile.height);
    context.clip();
    for (const { look, belongs } of scene.outlines) drawOutline(context, tile, scene, pane.dpr, LOOKS[look], belongs);
    for (const diameter of scene.diameters) drawDiameter(context, tile, scene, pane.dpr, diameter);
    if (scene.brush && scene.brush.pane === pane) drawBrush(context, tile, scene, pane.dpr);
    drawCrosshair(context, tile, scene, pane.dpr);
    drawWords(context, tile, scene, pane.dpr);
    context.restore();
  }
}

function drawOutline(context, tile, scene, dpr, look, belongs) {
  context.beginPath();
  const [a, b] = tile.axes.map(({ axis }) => axis);
  const point = [0, 0, 0];
  for (const [a0, b0, a1, b1] of outline(scene.dims, tile.plane, scene.crosshair[tile.plane], belongs)) {
    point[a] = a0;
    point[b] = b0;
    context.moveTo(...toCanvas(tile, point));
    point[a] = a1;
    point[b] = b1;
    context.lineTo(...toCanvas(tile, point));
  }
  context.setLineDash(look.dash.map((length) => length * dpr));
  context.lineWidth = 3.5 * dpr;
  context.strokeStyle = "rgb(0 0 0 / 55%)";
  context.stroke();
  context.lineWidth = 1.75 * dpr;
  context.strokeStyle = look.colour;
  context.stroke();
  context.setLineDash([]);
}

function drawDiameter(context, tile, scene, dpr, { voxels, colour, lengths }) {
  if (tile.plane !== 2 || scene.crosshair[2] !== Math.round(voxels[0][2])) return;
  const points = voxels.map((voxel) => toCanvas(tile, voxel.map((value) => value + 0.5)));
  [0, 2].forEach((first, row) => {
    const [from, to] = [points[first], points[first + 1]];
    stroke(context, from, to, 4 * dpr, "rgb(0 0 0 / 60%)");
    stroke(context, from, to, 2 * dpr, colour);
    const [upper, lower] = from[1] < to[1] ? [from, to] : [to, from];
    const [x, y] = row === 0 ? upper : lower; // So that the two do not lie on each other where the lesion is small.
    label(context, [x, y + (row === 0 ? -7 : 7) * dpr], `${lengths[row].toFixed(0)} mm`, dpr);
  });
}

function stroke(context, from, to, width, colour) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function label(context, [x, y], text, dpr) {
  context.font = `${12 * dpr}px system-ui, sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineWidth = 3 * dpr;
  context.strokeStyle = "rgb(0 0 0 / 75%)";
  context.strokeText(text, x + 5 * dpr, y);
  context.fillStyle = "#ffffff";
  context.fillText(text, x + 5 * dpr, y);
}

function drawBrush(context, tile, scene, dpr) {
  const { plane, voxel, radiusMm } = scene.brush;
  if (tile.plane !== plane) return;
  const [x, y] = toCanvas(tile, voxel.map((value) => value + 0.5));
  const radii = tile.axes.map(({ axis, scale }) => Math.abs((radiusMm / scene.spacing[axis] + 0.5) * scale));
  context.beginPath();
  context.ellipse(x, y, radii[0], radii[1], 0, 0, 2 * Math.PI);
  context.lineWidth = 1.5 * dpr;
  context.strokeStyle = "#ffffff";
  context.stroke();
}

function drawCrosshair(context, tile, scene, dpr) {
  const [x, y] = toCanvas(tile, scene.crosshair.map((value) => value + 0.5));
  const gap = 7 * dpr;
  const { left, top, width, height } = tile;
  for (const [from, to] of [
    [[left, y], [x - gap, y]],
    [[x + gap, y], [left + width, y]],
    [[x, top], [x, y - gap]],
    [[x, y + gap], [x, top + height]],
  ]) {
    stroke(context, from, to, dpr, "rgb(140 205 255 / 60%)");
  }
}

/** The sides of the patient at the edges, and which slice it is. */
function drawWords(context, tile, scene, dpr) {
  const { left, top, width, height } = tile;
  context.font = `600 ${12 * dpr}px system-ui, sans-serif`;
  context.fillStyle = "#c6d0d9";
  context.textBaseline = "middle";
  if (!scene.isPicture) {
    const [across, up] = tile.axes.map(({ axis, scale }) => SIDES[axis][scale > 0 ? 0 : 1]);
    context.textAlign = "left";
    context.fillText(across, left + 6 * dpr, top + height / 2);
    context.textAlign = "center";
    context.fillText(up, left + width / 2, top + 11 * dpr);
  }
  context.textAlign = "right";
  const at = `${scene.crosshair[tile.plane] + 1} / ${scene.dims[tile.plane]}`;
  context.fillText(at, left + width - 6 * dpr, top + height - 11 * dpr);
}
