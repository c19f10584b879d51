// Mouse, pen and fingers on the scans: what they do is handed on as voxels.

import { isInside } from "./labels.js";
import { tilesOf, toVoxel } from "./pane.js";
import { OVER_SLICES, moveTo, redraw, renderSoon, setWindow, step, windowOf, zoomBy } from "./viewer.js";

/**
 * Listen on a viewer. `tool` has `isPainting()`, `begin(voxel, plane)`, `drag(voxel, plane)`, `lift()` where the
 * pointer leaves the slice, `end()`, `cancel()` and `radiusMm()`. Returns a function that ends it.
 */
export function connectPointer(viewer, tool) {
  const own = { viewer, tool, fingers: new Map(), drag: null };
  const listeners = {
    pointerdown: (event) => down(own, event),
    pointermove: (event) => move(own, event),
    pointerleave: () => hover(own, null),
    wheel: (event) => wheel(own, event),
    contextmenu: (event) => event.preventDefault(),
  };
  for (const [name, listener] of Object.entries(listeners)) viewer.host.addEventListener(name, listener, { passive: false });
  const onUp = (event) => up(own, event);
  for (const name of UPS) window.addEventListener(name, onUp);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) viewer.host.removeEventListener(name, listener);
    for (const name of UPS) window.removeEventListener(name, onUp);
  };
}

/** Heard wherever they happen: a canvas that goes while somebody draws on it takes the capture of the pointer along. */
const UPS = ["pointerup", "pointercancel"];

/** The pane, tile and voxel under an event; null where there is none. */
function under({ viewer }, event) {
  const pane = [...viewer.panes, viewer.render].find((candidate) => candidate?.overlay === event.target);
  if (!pane) return null;
  const bounds = pane.overlay.getBoundingClientRect();
  const position = [(event.clientX - bounds.left) * pane.dpr, (event.clientY - bounds.top) * pane.dpr];
  if (pane.arrangement === "render") return { pane, position, tile: null, voxel: null };
  const tile = tilesOf(pane, viewer.dims).find(
    ({ left, top, width, height }) =>
      position[0] >= left && position[0] < left + width && position[1] >= top && position[1] < top + height,
  );
  return { pane, position, tile, voxel: tile ? toVoxel(tile, position, viewer.crosshair) : null };
}

function down(own, event) {
  const { viewer, tool } = own;
  const place = under(own, event);
  if (!viewer.session || !place) return;
  viewer.host.focus({ preventScroll: true });
  event.preventDefault();
  const [at, pointer] = [[event.clientX, event.clientY], event.pointerId];
  if (event.pointerType === "touch") own.fingers.set(pointer, at);
  if (own.drag) {
    const isSecond = own.drag.kind === "pinch" || own.fingers.has(own.drag.pointer); // Not a hand beside a pen.
    if (isSecond && own.fingers.size === 2) pinch(own);
    return;
  }
  place.pane.overlay.setPointerCapture(pointer);
  if (!place.tile) {
    const { renderAzimuth, renderElevation } = place.pane.nv.scene;
    own.drag = { kind: "turn", pointer, place, at, from: [renderAzimuth, renderElevation] };
  } else if (event.button === 2) {
    own.drag = { kind: "window", pointer, place, at, from: windowOf(viewer) };
  } else if (event.button === 1) {
    own.drag = { kind: "pan", pointer, place, at, from: [...place.pane.nv.scene.pan2Dxyzmm] };
  } else {
    viewer.plane = place.tile.plane;
    own.drag = { kind: tool.isPainting() ? "paint" : "look", pointer, place, at };
    if (own.drag.kind === "paint") tool.begin(place.voxel, place.tile.plane);
    else moveTo(viewer, place.voxel);
  }
}

function pinch(own) {
  if (own.drag?.kind === "paint") own.tool.cancel();
  const [a, b] = [...own.fingers.values()];
  const pane = own.viewer.panes[0];
  own.drag = { kind: "pinch", apart: Math.hypot(a[0] - b[0], a[1] - b[1]), at: middle(a, b), pane, place: own.drag?.place };
}

function middle(a, b) {
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

function move(own, event) {
  if (own.fingers.has(event.pointerId)) own.fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (own.drag?.kind === "pinch") return movePinch(own);
  if (own.drag && own.drag.pointer !== event.pointerId) return undefined;
  if (own.drag && event.buttons === 0) up(own, event); // It was let go where nobody told.
  if (!own.drag) return hover(own, under(own, event));
  const { kind, place, at, from } = own.drag;
  const [dx, dy] = [event.clientX - at[0], event.clientY - at[1]];
  if (kind === "turn") turn(own.viewer, place.pane, [from[0] - dx, Math.max(-90, Math.min(90, from[1] + dy))]);
  if (kind === "window") changeWindow(own.viewer, from, dx, dy);
  if (kind === "pan") pan(own.viewer, place, from, [dx, dy]);
  if (kind === "look") look(own, under(own, event));
  if (kind === "paint") draw(own, event);
  return undefined;
}

/** Whether a place lies on the slice that the pointer went down on. */
function isThere({ drag: { place } }, now) {
  return now?.pane === place.pane && now.tile?.plane === place.tile.plane;
}

function look(own, now) {
  if (isThere(own, now)) moveTo(own.viewer, now.voxel);
}

/** Draw along the way of the pointer; what lies between where it left the slice and came back is not drawn. */
function draw(own, event) {
  const now = under(own, event);
  const between = (event.getCoalescedEvents?.() ?? []).filter(({ target }) => target).map((own_) => under(own, own_));
  for (const place of [...between, now]) {
    if (isThere(own, place)) own.tool.drag(place.voxel, place.tile.plane);
    else own.tool.lift();
  }
  hover(own, now);
}

function turn(viewer, pane, [azimuth, elevation]) {
  pane.nv.scene.renderAzimuth = azimuth;
  pane.nv.scene.renderElevation = elevation;
  renderSoon(viewer, 0);
}

function changeWindow(viewer, { low, high, min, max }, dx, dy) {
  const share = (max - min) / 400;
  const [width, level] = [high - low + dx * share, (high + low) / 2 + dy * share];
  const half = Math.max(width, (max - min) / 1000) / 2;
  setWindow(viewer, level - half, level + half);
}

/** Move the picture by pixels of the screen: what is under the pointer stays under it. */
function pan(viewer, place, from, delta) {
  const moved = [...from];
  place.tile.axes.forEach(({ axis, scale }, side) => {
    const voxels = (delta[side] * place.pane.dpr) / scale;
    moved[axis] = from[axis] + voxels * viewer.spacing[axis] * from[3];
  });
  for (const pane of viewer.panes) pane.nv.scene.pan2Dxyzmm = moved;
  redraw(viewer, false);
}

function movePinch(own) {
  if (own.fingers.size < 2) return;
  const [a, b] = [...own.fingers.values()];
  const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
  const now = middle(a, b);
  zoomBy(own.viewer, apart / Math.max(1, own.drag.apart));
  if (own.drag.place?.tile) {
    const from = [...own.drag.pane.nv.scene.pan2Dxyzmm];
    pan(own.viewer, own.drag.place, from, [now[0] - own.drag.at[0], now[1] - own.drag.at[1]]);
  }
  own.drag.apart = apart;
  own.drag.at = now;
}

function up(own, event) {
  own.fingers.delete(event.pointerId);
  const { kind, pointer } = own.drag ?? {};
  if (kind === "pinch" ? own.fingers.size > 0 : pointer !== event.pointerId) return;
  own.drag = null;
  if (kind === "paint" && event.type === "pointercancel") own.tool.cancel();
  else if (kind === "paint") own.tool.end();
}

function wheel(own, event) {
  const { viewer } = own;
  if (!viewer.session) return undefined;
  event.preventDefault();
  if (event.ctrlKey) return zoomBy(viewer, Math.exp(-event.deltaY / 400));
  const place = under(own, event);
  if (!place?.tile || event.deltaY === 0) return undefined;
  viewer.plane = place.tile.plane; // Which keys speak of from now on.
  return step(viewer, event.deltaY < 0 ? 1 : -1);
}

/** Show the brush where it would paint. */
function hover({ viewer, tool }, place) {
  if (!viewer.session) return;
  const shows = place?.tile && tool.radiusMm() !== null && isInside(viewer.dims, place.voxel);
  const brush = shows ? { pane: place.pane, plane: place.tile.plane, voxel: place.voxel, radiusMm: tool.radiusMm() } : null;
  if (!brush && !viewer.brush) return;
  viewer.brush = brush;
  redraw(viewer, false, OVER_SLICES);
}
