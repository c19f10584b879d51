// The scans of one case as they are looked at: linked planes, a view in space, the mask and one map over them.

import { createSession } from "./labels.js";
import { asPicture, decode, frameOf, fromRas, encodeLabels, gunzip, gzip, rasDims, toRas } from "./nifti.js";
import { drawOverlay } from "./overlay.js";
import { arrange, createPane, destroyPane, draw, imageOf, resize, show } from "./pane.js";
import { modalityWord, t } from "./texts.js";

/** How maps are coloured: NiiVue's names of colour tables that people with colour vision deficiencies can read. */
const MAP_COLOURS = { probability: "viridis", uncertainty: "inferno", explanation: "cividis" };
const RENDER_DELAY_MS = 160;
/** NiiVue draws no rim around what is quite clear. */
const BARELY = 0.02;
const SPACE_IN = new Set(["planes", "render"]);

/**
 * A viewer in `host`, without a case. `fetchBytes(url)` gives an ArrayBuffer; `onChange(viewer)` is called when what is
 * looked at has changed.
 */
export function createViewer(host, fetchBytes, onChange) {
  const slices = document.createElement("div");
  slices.className = "slices";
  const space = document.createElement("div");
  space.className = "space";
  host.append(slices, space);
  const viewer = {
    host,
    slices,
    space,
    fetchBytes,
    onChange,
    panes: [],
    render: null,
    images: new Map(),
    names: [],
    titles: new Map(),
    dims: [1, 1, 1],
    spacing: [1, 1, 1],
    permRas: [1, 2, 3],
    isPicture: false,
    crosshair: [0, 0, 0],
    plane: 2,
    arrangement: "planes",
    modality: "",
    layer: null,
    layerOpacity: 0.6,
    opacity: 0.45,
    maskShown: true,
    outlinesOnly: false,
    outlines: [],
    diameters: [],
    brush: null,
    session: null,
    colours: null,
    mask: null,
    frame: 0,
    stale: null,
    wanted: { arrangement: 0, layer: null },
    closed: false,
  };
  viewer.observer = new ResizeObserver(() => fit(viewer));
  viewer.observer.observe(host);
  return viewer;
}

/** Show a case as `GET /api/cases/{id}` describes it; the mask is that of `maskUrl`. */
export async function openCase(viewer, detail, maskUrl) {
  const first = detail.modalities.find(({ name }) => name === "t1c" || name === "post") ?? detail.modalities[0];
  viewer.titles = new Map(detail.modalities.map((own) => [own.name, modalityWord(own)]));
  viewer.isPicture = detail.unit === "voxels";
  viewer.names = detail.modalities.map(({ name }) => name);
  const [maskBytes] = await Promise.all([
    bytesOf(viewer, maskUrl),
    ...detail.modalities.map(({ name, url }) => loadImage(viewer, name, url)),
  ]);
  if (viewer.closed) return;
  const main = viewer.images.get(first.name).image;
  viewer.mask = decode(maskBytes);
  viewer.permRas = [...main.permRAS];
  viewer.dims = rasDims(viewer.mask.dims, viewer.permRas);
  viewer.spacing = rasDims(viewer.mask.spacing, viewer.permRas);
  viewer.crosshair = viewer.dims.map((size) => Math.floor(size / 2));
  viewer.colours = colourTable(detail.mask.labels);
  viewer.modality = first.name;
  const voxel = viewer.isPicture ? 1 : undefined;
  viewer.session = createSession(labelsOf(viewer, viewer.mask), viewer.dims, viewer.spacing, voxel);
  const flat = viewer.dims.indexOf(1);
  if (flat >= 0) viewer.plane = flat;
  await setArrangement(viewer, flat < 0 ? viewer.arrangement : ["sagittal", "coronal", "axial"][flat]);
}

/** The labels of a mask in RAS+ order. */
function labelsOf(viewer, mask) {
  return toRas(Uint8Array.from(mask.data), mask.dims, viewer.permRas);
}

/** Labels of another mask of this case, in RAS+ order: a reference, or an earlier correction. */
export async function fetchLabels(viewer, url) {
  const mask = decode(await bytesOf(viewer, url));
  if (mask.dims.join() !== viewer.mask.dims.join()) throw new Error(t("error.grid"));
  return labelsOf(viewer, mask);
}

/** The labels as they are now, as a gzipped NIfTI file on the grid of the mask. */
export async function correctedFile(viewer) {
  const native = fromRas(viewer.session.labels, viewer.mask.dims, viewer.permRas);
  return gzip(encodeLabels(viewer.mask.header, viewer.mask.little, native));
}

async function bytesOf(viewer, url) {
  return gunzip(await viewer.fetchBytes(url));
}

async function loadImage(viewer, name, url) {
  const sent = await bytesOf(viewer, url);
  const buffer = viewer.isPicture ? asPicture(sent) : sent;
  const image = await imageOf(buffer, name, "gray");
  viewer.images.set(name, { image, buffer, values: null, window: [image.cal_min, image.cal_max] });
}

/** The intensities of a modality in RAS+ order: what the threshold brush goes by. */
export function valuesOf(viewer, name = viewer.modality) {
  const entry = viewer.images.get(name);
  if (!entry.values) {
    const decoded = decode(entry.buffer);
    entry.values = toRas(decoded.data, decoded.dims, viewer.permRas);
  }
  return entry.values;
}

/** The values of a map in RAS+ order: what smart fill goes by. */
export async function mapValues(viewer, map) {
  const entry = await loadMap(viewer, map);
  if (!entry.values) {
    const decoded = decode(entry.buffer);
    entry.values = toRas(decoded.data, decoded.dims, viewer.permRas);
  }
  return entry.values;
}

async function loadMap(viewer, map) {
  const key = `${map.url} ${map.frame ?? 0}`;
  if (!viewer.images.has(key)) {
    const sent = frameOf(await bytesOf(viewer, map.url), map.frame ?? 0);
    const buffer = viewer.isPicture ? asPicture(sent) : sent;
    const image = await imageOf(buffer, map.kind, MAP_COLOURS[map.kind] ?? "inferno");
    const [low, high] = map.range ?? [0, map.kind === "probability" ? 1 : image.global_max];
    image.cal_min = low + (high - low) * 0.05;
    image.cal_max = high;
    image.colormapType = 2; // below the smallest value: clear
    viewer.images.set(key, { image, buffer, values: null });
  }
  return viewer.images.get(key);
}

function colourTable(labels) {
  const lut = new Uint8ClampedArray(256 * 4);
  for (const { value, colour } of labels) {
    lut.set([1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)), 4 * value);
    lut[4 * value + 3] = 255;
  }
  return { lut, labels: [] };
}

/** Show other tiles: planes, axial, coronal, sagittal, render or modalities. */
export async function setArrangement(viewer, arrangement) {
  const own = (viewer.wanted.arrangement += 1); // A key that is held asks again before all is there.
  viewer.arrangement = arrangement;
  viewer.host.dataset.arrangement = arrangement;
  const wanted = { render: [], modalities: viewer.names }[arrangement] ?? [null];
  const tiles = arrangement === "modalities" ? "row" : arrangement;
  const kept = viewer.panes.filter((pane, row) => row < wanted.length && pane.modality === wanted[row]);
  for (const pane of viewer.panes) if (!kept.includes(pane)) destroyPane(pane);
  viewer.panes = kept;
  for (const pane of kept) arrange(pane, tiles);
  for (const name of wanted.slice(kept.length)) {
    const pane = await createPane(viewer.slices, tiles, name ? viewer.titles.get(name) : "");
    if (viewer.closed || viewer.wanted.arrangement !== own) return destroyPane(pane);
    pane.modality = name;
    viewer.panes.push(pane);
    fill(viewer, [pane]);
  }
  fit(viewer);
  if (SPACE_IN.has(arrangement)) openSpace(viewer);
  return undefined;
}

/** The view in space comes after the slices, which nobody should have to wait for. */
async function openSpace(viewer) {
  if (viewer.render) return renderSoon(viewer);
  if (viewer.spaceOpens) return undefined;
  viewer.spaceOpens = true;
  const pane = await createPane(viewer.space, "render");
  viewer.spaceOpens = false;
  if (viewer.closed) return destroyPane(pane);
  viewer.render = pane;
  fill(viewer, [pane]);
  return renderSoon(viewer);
}

/** Hand panes what they are to show. */
function fill(viewer, panes = allPanes(viewer)) {
  for (const pane of panes) {
    const images = [viewer.images.get(pane.modality ?? viewer.modality).image];
    if (viewer.layer) images.push(viewer.layer);
    show(pane, images, viewer.session.labels, viewer.colours);
  }
}

function allPanes(viewer) {
  return viewer.render ? [...viewer.panes, viewer.render] : viewer.panes;
}

export function setModality(viewer, name) {
  viewer.modality = name;
  fill(viewer);
  redraw(viewer, true);
}

/** Show a map over the scan, or none. */
export async function setLayer(viewer, map) {
  viewer.wanted.layer = map;
  const image = map ? (await loadMap(viewer, map)).image : null;
  if (viewer.closed || viewer.wanted.layer !== map) return; // Another was chosen while it was loaded.
  viewer.layer = image;
  if (viewer.layer) viewer.layer.opacity = viewer.layerOpacity;
  fill(viewer);
  redraw(viewer, true);
}

export function setLayerOpacity(viewer, opacity) {
  viewer.layerOpacity = opacity;
  if (!viewer.layer) return;
  viewer.layer.opacity = opacity;
  for (const pane of allPanes(viewer)) pane.nv.updateGLVolume();
  redraw(viewer, true);
}

/** The smallest and largest intensity that are told apart, of the modality that is looked at. */
export function windowOf(viewer) {
  const { image } = viewer.images.get(viewer.modality);
  return { low: image.cal_min, high: image.cal_max, min: image.global_min, max: image.global_max };
}

export function setWindow(viewer, low, high) {
  const { image } = viewer.images.get(viewer.modality);
  image.cal_min = Math.min(low, high - 1e-6 * (image.global_max - image.global_min));
  image.cal_max = high;
  for (const pane of allPanes(viewer)) pane.nv.updateGLVolume();
  redraw(viewer, true);
}

export function resetView(viewer) {
  const { image, window: own } = viewer.images.get(viewer.modality);
  [image.cal_min, image.cal_max] = own;
  for (const pane of allPanes(viewer)) {
    pane.nv.scene.pan2Dxyzmm = [0, 0, 0, 1];
    pane.nv.scene.volScaleMultiplier = 1;
    pane.nv.updateGLVolume();
  }
  redraw(viewer, true);
}

/** Look at a voxel, in all planes. */
export function moveTo(viewer, voxel) {
  const before = viewer.crosshair;
  viewer.crosshair = voxel.map((value, axis) => Math.max(0, Math.min(viewer.dims[axis] - 1, Math.round(value))));
  const moved = [0, 1, 2].filter((axis) => viewer.crosshair[axis] !== before[axis]);
  redraw(viewer, false, moved.length === 1 ? moved[0] : null);
  viewer.onChange(viewer);
}

/** Go `n` slices on in a plane. */
export function step(viewer, n, plane = viewer.plane) {
  const voxel = [...viewer.crosshair];
  voxel[plane] += n;
  moveTo(viewer, voxel);
}

export function zoomBy(viewer, factor) {
  for (const pane of viewer.panes) {
    const pan = pane.nv.scene.pan2Dxyzmm;
    pan[3] = Math.max(1, Math.min(12, pan[3] * factor));
    if (pan[3] === 1) pan.fill(0, 0, 3);
  }
  redraw(viewer, false);
}

/** The labels have changed: hand them to the graphics processor and draw. */
export function refreshLabels(viewer) {
  for (const pane of allPanes(viewer)) {
    pane.nv.drawBitmap = viewer.session.labels;
    pane.nv.refreshDrawing(false);
  }
  redraw(viewer, true);
}

/** What has to be drawn of the slices where only what lies over them has changed. */
export const OVER_SLICES = "over";

/**
 * Draw at the next frame: all tiles (`stale` null), those of the plane whose slice has changed, or OVER_SLICES. The view
 * in space, which is slow to draw, comes once it has been quiet for a moment.
 */
export function redraw(viewer, space, stale = null) {
  if (space) renderSoon(viewer);
  viewer.stale = viewer.frame && viewer.stale !== stale ? null : stale;
  viewer.frame ||= requestAnimationFrame(() => {
    viewer.frame = 0;
    for (const pane of viewer.panes) drawSlices(viewer, pane);
  });
}

function drawSlices(viewer, pane) {
  if (viewer.stale !== OVER_SLICES) {
    prepare(viewer, pane);
    draw(pane, viewer.stale);
  }
  drawOverlay(pane, viewer);
}

function prepare(viewer, pane) {
  pane.nv.scene.crosshairPos = viewer.crosshair.map((at, axis) => (at + 0.5) / viewer.dims[axis]);
  const inside = viewer.outlinesOnly ? Math.min(viewer.opacity, BARELY) : viewer.opacity;
  pane.nv.drawOpacity = viewer.maskShown ? inside : 0;
  pane.nv.drawRimOpacity = viewer.outlinesOnly ? 1 : Math.min(1, viewer.opacity * 1.6);
}

export function renderSoon(viewer, delay = RENDER_DELAY_MS) {
  clearTimeout(viewer.renderTimer);
  viewer.renderTimer = setTimeout(() => {
    if (!viewer.render || viewer.closed || !SPACE_IN.has(viewer.arrangement)) return;
    prepare(viewer, viewer.render);
    viewer.render.nv.drawOpacity = viewer.maskShown ? 1 : 0;
    viewer.render.nv.drawScene();
  }, delay);
}

function fit(viewer) {
  for (const pane of allPanes(viewer)) resize(pane);
  if (viewer.session) redraw(viewer, true);
}

/** Free everything. */
export function close(viewer) {
  viewer.closed = true;
  viewer.observer.disconnect();
  cancelAnimationFrame(viewer.frame);
  clearTimeout(viewer.renderTimer);
  allPanes(viewer).forEach(destroyPane);
  viewer.panes = [];
  viewer.render = null;
  viewer.images.clear();
}

