// One NiiVue canvas and, over it, a canvas for what is drawn at the resolution of the screen: outlines, diameters, the
// brush. NiiVue's own mouse and keys are off; pointer.js and keys.js speak for the whole page.

import { inPlane } from "./labels.js";
import { t } from "./texts.js";

/** As NiiVue numbers what it shows. */
const SLICE_TYPE = { AXIAL: 0, CORONAL: 1, SAGITTAL: 2, MULTIPLANAR: 3, RENDER: 4 };

const OPTIONS = {
  interactive: false,
  dragAndDropEnabled: false,
  isResizeCanvas: false,
  logLevel: "error",
  loadingText: "",
  backColor: [0.03, 0.05, 0.07, 1],
  crosshairWidth: 0,
  isOrientationTextVisible: false,
  isRadiologicalConvention: true,
  sagittalNoseLeft: true,
  isNearestInterpolation: false,
  multiplanarShowRender: 0,
};

/** What is drawn stays, so that a tile can be drawn anew and the others left as they are. */
const CONTEXT = { alpha: true, antialias: false, preserveDrawingBuffer: true };

/** How wide scans are drawn, in pixels, where there is no graphics processor. */
const SOFTWARE_WIDTH = { slices: 640, space: 200 };

/** NiiVue's number of a plane, from the axis that its slices stand on. */
const SLICE_OF_PLANE = [SLICE_TYPE.SAGITTAL, SLICE_TYPE.CORONAL, SLICE_TYPE.AXIAL];
const PLANE_OF_SLICE = { [SLICE_TYPE.AXIAL]: 2, [SLICE_TYPE.CORONAL]: 1, [SLICE_TYPE.SAGITTAL]: 0 };

/** What each arrangement shows where: the plane and, as shares of the canvas, left, top, width and height. */
const TILES = {
  planes: [
    [2, [0, 0, 0.5, 0.5]],
    [1, [0.5, 0, 0.5, 0.5]],
    [0, [0, 0.5, 0.5, 0.5]],
  ],
  row: [
    [2, [0, 0, 1 / 3, 1]],
    [1, [1 / 3, 0, 1 / 3, 1]],
    [0, [2 / 3, 0, 1 / 3, 1]],
  ],
  axial: [[2, [0, 0, 1, 1]]],
  coronal: [[1, [0, 0, 1, 1]]],
  sagittal: [[0, [0, 0, 1, 1]]],
};

/** NiiVue, which is large, is asked for when the first scan is shown, so that no other view waits for it. */
let loading = null;

function niivue() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/page/niivue.umd.js";
    script.onload = () => resolve(window.niivue);
    script.onerror = () => {
      loading = null;
      reject(new Error(t("error.niivue")));
    };
    document.head.append(script);
  });
  return loading;
}

/** An image that every pane can show, from the bytes of a NIfTI file. */
export async function imageOf(buffer, name, colormap) {
  const { NVImage } = await niivue();
  return NVImage.loadFromUrl({ url: buffer, name: `${name}.nii`, colormap });
}

/** Put an empty pane into `host`; `arrangement` is a key of TILES, or `render` for the view in space. */
export async function createPane(host, arrangement, title = "") {
  const frame = document.createElement("div");
  frame.className = "pane";
  const canvas = document.createElement("canvas");
  const overlay = document.createElement("canvas");
  overlay.className = "overlay";
  frame.append(canvas, overlay);
  if (title) {
    const caption = document.createElement("span");
    caption.className = "pane-title";
    caption.textContent = title;
    frame.append(caption);
  }
  host.append(frame);
  const { Niivue } = await niivue();
  const nv = new Niivue(OPTIONS);
  canvas.getContext("webgl2", CONTEXT); // Which NiiVue finds and draws with.
  await nv.attachToCanvas(canvas, false);
  const pane = { frame, canvas, overlay, nv, arrangement, dpr: 1, software: isSoftware(nv.gl) };
  arrange(pane, arrangement);
  resize(pane);
  return pane;
}

/** Change what a pane shows where. */
export function arrange(pane, arrangement) {
  pane.arrangement = arrangement;
  if (arrangement === "render") {
    pane.nv.opts.sliceType = SLICE_TYPE.RENDER;
    pane.nv.customLayout = null;
    return;
  }
  pane.nv.opts.sliceType = SLICE_TYPE.MULTIPLANAR;
  pane.nv.customLayout = TILES[arrangement].map(([plane, position]) => ({
    sliceType: SLICE_OF_PLANE[plane],
    position,
  }));
}

/** Whether graphics are computed by the processor, which is slow: no graphics processor, or a remote desktop. */
function isSoftware(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

/** Fit both canvases to the room that the page gives them; scans are coarser where graphics are slow. */
export function resize(pane) {
  pane.dpr = Math.min(window.devicePixelRatio || 1, 2);
  const width = pane.arrangement === "render" ? SOFTWARE_WIDTH.space : SOFTWARE_WIDTH.slices;
  const own = pane.software ? Math.min(1, width / Math.max(1, pane.frame.clientWidth)) : pane.dpr;
  fitCanvas(pane.canvas, pane.frame, own);
  fitCanvas(pane.overlay, pane.frame, pane.dpr);
  pane.nv.uiData.dpr = own;
}

function fitCanvas(canvas, frame, scale) {
  const width = Math.max(1, Math.round(frame.clientWidth * scale));
  const height = Math.max(1, Math.round(frame.clientHeight * scale));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Draw all tiles of a pane, or those of one plane alone: most of what a slice costs is drawing its tile. */
export function draw(pane, plane = null) {
  const { gl, screenSlices } = pane.nv;
  const tile = plane === null ? null : screenSlices.find(({ axCorSag }) => PLANE_OF_SLICE[axCorSag] === plane);
  if (!tile) return pane.nv.drawScene();
  const [left, top, width, height] = positive(tile.leftTopWidthHeight);
  gl.enable(gl.SCISSOR_TEST);
  gl.scissor(Math.floor(left), Math.floor(pane.canvas.height - top - height), Math.ceil(width) + 1, Math.ceil(height) + 1);
  pane.nv.drawScene();
  gl.disable(gl.SCISSOR_TEST);
  return undefined;
}

/** Free what a pane holds on the graphics processor. */
export function destroyPane(pane) {
  pane.nv.cleanup();
  pane.nv.gl.getExtension("WEBGL_lose_context")?.loseContext();
  pane.frame.remove();
}

/** Show these images, the first below; and these labels over them, or none. */
export function show(pane, images, labels, colours) {
  const { nv } = pane;
  for (const image of [...nv.volumes]) if (!images.includes(image)) nv.volumes.splice(nv.volumes.indexOf(image), 1);
  nv.volumes = [...images];
  nv.back = images[0];
  nv.overlays = images.slice(1);
  // NiiVue leaves the texture of the map that was shown last, and the view in space would go on drawing it.
  if (images.length === 1) nv.overlayTexture = nv.rgbaTex(nv.overlayTexture, nv.gl.TEXTURE2, [2, 2, 2, 2], true);
  nv.updateGLVolume();
  if (!labels) return;
  nv.createEmptyDrawing();
  nv.drawBitmap = labels;
  nv.drawLut = colours;
  nv.updateGLVolume();
  nv.refreshDrawing(false);
}

/** The tiles of a pane: of each its plane, its rectangle in pixels of the overlay, and how voxels lie in it. */
export function tilesOf(pane, dims) {
  const ratio = pane.overlay.width / pane.canvas.width;
  return pane.nv.screenSlices.flatMap((slice, number) => {
    const plane = PLANE_OF_SLICE[slice.axCorSag];
    if (plane === undefined) return [];
    const [left, top, width, height] = positive(slice.leftTopWidthHeight);
    const near = [left + width / 4, top + height / 4];
    const far = [left + (3 * width) / 4, top + (3 * height) / 4];
    const from = pane.nv.screenXY2TextureFrac(near[0], near[1], number, false);
    const to = pane.nv.screenXY2TextureFrac(far[0], far[1], number, false);
    const axes = inPlane(plane).map((axis, side) => {
      const scale = (ratio * (far[side] - near[side])) / ((to[axis] - from[axis]) * dims[axis]);
      return { axis, scale, start: ratio * near[side] - from[axis] * dims[axis] * scale };
    });
    const [x, y, w, h] = [left, top, width, height].map((value) => value * ratio);
    return [{ plane, left: x, top: y, width: w, height: h, axes }];
  });
}

function positive([left, top, width, height]) {
  return [width < 0 ? left + width : left, height < 0 ? top + height : top, Math.abs(width), Math.abs(height)];
}

/** Where a point in voxel corners (a voxel's centre is at + 0.5) lies on the overlay. */
export function toCanvas(tile, point) {
  return tile.axes.map(({ axis, scale, start }) => start + point[axis] * scale);
}

/** The voxel under a position of the overlay; its slice is that of `crosshair`. May lie outside the volume. */
export function toVoxel(tile, position, crosshair) {
  const voxel = [...crosshair];
  tile.axes.forEach(({ axis, scale, start }, side) => {
    voxel[axis] = Math.floor((position[side] - start) / scale);
  });
  return voxel;
}
