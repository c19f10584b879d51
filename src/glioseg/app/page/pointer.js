// Mouse, pen and fingers on the scans: what they do is handed on as voxels.

import { isInside } from "./labels.js";
import { tilesOf, toVoxel } from "./pane.js";
import { OVER_SLICES, moveTo, redraw, renderSoon, setWindow, step, windowOf, zoomBy } from "./viewer.js";

/**
 * Listen on a viewer. `tool` has `isPainting()`, `begin(voxel, plane)`, `drag(voxel, plane)`, `end()` and `radiusMm()`.
 * Returns a function that ends it.
 */
export function connectPointer(viewer, tool) {
  const own = { viewer, tool, fingers: new Map(), drag: null };
  const listeners = {
    pointerdown: (event) => down(own, event),
    pointermove: (event) => move(own, event),
    pointerup: (event) => up(own, event),
    pointercancel: (event) => up(own, event),
    pointerleave: () => hover(own, null),
    wheel: (event) => wheel(own, event),
    contextmenu: (event) => event.preventDefault(),
  };
  for (const [name, listener] of Object.entries(listeners)) viewer.host.addEventListener(name, listener, { passive: false });
  return () => {
    for (const [name, listener] of Object.entries(listeners)) viewer.host.removeEventListener(name, listener);
  };
}

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
  own.fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (own.fingers.size === 2) return pinch(own);
  if (own.fingers.size > 2) return;
  place.pane.overlay.setPointerCapture(event.pointerId);
  const at = [event.clientX, event.clientY];
  if (!place.tile) {
    const { renderAzimuth, renderElevation } = place.pane.nv.scene;
    own.drag = { kind: "turn", place, at, from: [renderAzimuth, renderElevation] };
  } else if (event.button === 2) {
    own.drag = { kind: "window", place, at, from: windowOf(viewer) };
  } else if (event.button === 1) {
    own.drag = { kind: "pan", place, at, from: [...place.pane.nv.scene.pan2Dxyzmm] };
  } else {
    viewer.plane = place.tile.plane;
    own.drag = { kind: tool.isPainting() ? "paint" : "look", place, at };
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
  if (!own.drag) return hover(own, under(own, event));
  const { kind, place, at, from } = own.drag;
  const [dx, dy] = [event.clientX - at[0], event.clientY - at[1]];
  if (kind === "turn") turn(own.viewer, place.pane, [from[0] - dx, Math.max(-90, Math.min(90, from[1] + dy))]);
  if (kind === "window") changeWindow(own.viewer, from, dx, dy);
  if (kind === "pan") pan(own.viewer, place, from, [dx, dy]);
  if (kind === "pinch") movePinch(own);
  if (kind !== "look" && kind !== "paint") return;
  const now = under(own, event);
  if (!now || now.tile?.plane !== place.tile.plane || now.pane !== place.pane) return;
  if (kind === "look") moveTo(own.viewer, now.voxel);
  else {
    for (const event_ of event.getCoalescedEvents?.() ?? [event]) {
      const between = event_.target ? under(own, event_) : now;
      if (between?.tile?.plane === place.tile.plane) own.tool.drag(between.voxel, place.tile.plane);
    }
    own.tool.drag(now.voxel, place.tile.plane);
    hover(own, now);
  }
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
  if (own.drag?.kind === "paint" && event.type === "pointerup") own.tool.end();
  if (own.drag?.kind === "paint" && event.type === "pointercancel") own.tool.cancel();
  if (own.drag?.kind !== "pinch" || own.fingers.size === 0) own.drag = null;
}

function wheel(own, event) {
  const { viewer } = own;
  if (!viewer.session) return;
  event.preventDefault();
  if (event.ctrlKey) return zoomBy(viewer, Math.exp(-event.deltaY / 400));
  const place = under(own, event);
  if (place?.tile) step(viewer, event.deltaY < 0 ? 1 : -1, place.tile.plane);
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
