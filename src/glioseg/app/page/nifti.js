// NIfTI-1 to arrays in RAS+ order and back. No DOM here: the tests run this file in Node.
//
// In the page every volume lies x fastest with +x right, +y anterior and +z superior, as NiiVue shows it. A
// `permRas` is NiiVue's: for each axis of RAS+ the axis (1, 2, 3) of the file that runs along it, negative where it
// runs the other way.

import { t } from "./texts.js";

const HEADER_BYTES = 348;

const TYPES = new Map([
  [2, Uint8Array],
  [4, Int16Array],
  [8, Int32Array],
  [16, Float32Array],
  [64, Float64Array],
  [256, Int8Array],
  [512, Uint16Array],
  [768, Uint32Array],
]);

/** The bytes of a file that may be gzipped, unpacked. */
export async function gunzip(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes[0] !== 31 || bytes[1] !== 139) return buffer;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Bytes, gzipped. */
export async function gzip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

/**
 * A NIfTI-1 file as `{header, dims, spacing, affine, data}`: `header` are the bytes before the voxels, `dims` [x, y, z]
 * and `data` the first volume in the order of the file, scaled by its slope and intercept.
 */
export function decode(buffer) {
  const view = new DataView(buffer);
  const little = view.getInt32(0, true) === HEADER_BYTES;
  if (!little && view.getInt32(0, false) !== HEADER_BYTES) throw new Error(t("error.nifti"));
  const start = Math.max(view.getFloat32(108, little), HEADER_BYTES + 4);
  const dims = [1, 2, 3].map((axis) => Math.max(1, view.getInt16(40 + 2 * axis, little)));
  const code = view.getInt16(70, little);
  const Type = TYPES.get(code);
  if (!Type) throw new Error(t("error.type", { code }));
  const n = dims[0] * dims[1] * dims[2];
  if (buffer.byteLength < start + n * Type.BYTES_PER_ELEMENT) throw new Error(t("error.short"));
  const raw = buffer.slice(start, start + n * Type.BYTES_PER_ELEMENT);
  if (!little) swap(new Uint8Array(raw), Type.BYTES_PER_ELEMENT);
  return {
    header: new Uint8Array(buffer.slice(0, start)),
    little,
    dims,
    spacing: [1, 2, 3].map((axis) => Math.abs(view.getFloat32(76 + 4 * axis, little)) || 1),
    data: scaled(new Type(raw), view.getFloat32(112, little), view.getFloat32(116, little)),
  };
}

function swap(bytes, size) {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse();
}

function scaled(data, slope, intercept) {
  if (!Number.isFinite(slope) || slope === 0 || (slope === 1 && intercept === 0)) return data;
  return Float32Array.from(data, (value) => value * slope + intercept);
}

/** A label map of uint8 in the order of the file as NIfTI bytes, on the grid that `header` describes. */
export function encodeLabels(header, little, data) {
  const out = new Uint8Array(header.length + data.length);
  out.set(header);
  out.set(data, header.length);
  const view = new DataView(out.buffer);
  view.setInt16(40, 3, little);
  for (let axis = 4; axis < 8; axis += 1) view.setInt16(40 + 2 * axis, 1, little);
  view.setInt16(70, 2, little);
  view.setInt16(72, 8, little);
  view.setFloat32(112, 1, little);
  view.setFloat32(116, 0, little);
  view.setFloat32(124, 0, little);
  view.setFloat32(128, 0, little);
  return out;
}

/** The shape in RAS+ of what is [x, y, z] in the file. */
export function rasDims(dims, permRas) {
  return permRas.map((axis) => dims[Math.abs(axis) - 1]);
}

/** From the order of the file to RAS+, x fastest. */
export function toRas(data, dims, permRas) {
  const out = new data.constructor(data.length);
  walk(dims, permRas, (ras, native) => {
    out[ras] = data[native];
  });
  return out;
}

/** From RAS+ back to the order of the file. */
export function fromRas(data, dims, permRas) {
  const out = new data.constructor(data.length);
  walk(dims, permRas, (ras, native) => {
    out[native] = data[ras];
  });
  return out;
}

function walk(dims, permRas, visit) {
  const strides = [1, dims[0], dims[0] * dims[1]];
  const [nx, ny, nz] = rasDims(dims, permRas);
  const steps = permRas.map((axis) => Math.sign(axis) * strides[Math.abs(axis) - 1]);
  const first = permRas.reduce((sum, axis) => {
    const own = Math.abs(axis) - 1;
    return axis < 0 ? sum + (dims[own] - 1) * strides[own] : sum;
  }, 0);
  let ras = 0;
  for (let z = 0; z < nz; z += 1) {
    for (let y = 0; y < ny; y += 1) {
      let native = first + y * steps[1] + z * steps[2];
      for (let x = 0; x < nx; x += 1) {
        visit(ras, native);
        ras += 1;
        native += steps[0];
      }
    }
  }
}

/** One volume of a NIfTI file that may hold several, as a NIfTI file of its own. */
export function frameOf(buffer, frame) {
  const view = new DataView(buffer);
  const little = view.getInt32(0, true) === HEADER_BYTES;
  const n = [1, 2, 3].reduce((product, axis) => product * Math.max(1, view.getInt16(40 + 2 * axis, little)), 1);
  const size = (n * view.getInt16(72, little)) / 8;
  const start = Math.max(view.getFloat32(108, little), HEADER_BYTES + 4);
  const first = start + frame * size;
  if (buffer.byteLength < first + size) throw new Error(t("error.frame", { frame }));
  const out = new Uint8Array(start + size);
  out.set(new Uint8Array(buffer, 0, start));
  out.set(new Uint8Array(buffer, first, size), start);
  const header = new DataView(out.buffer);
  header.setInt16(40, 3, little);
  for (let axis = 4; axis < 8; axis += 1) header.setInt16(40 + 2 * axis, 1, little);
  return out.buffer;
}

/** A voxel of the file, [i, j, k], in RAS+ order. */
export function voxelToRas(voxel, dims, permRas) {
  return permRas.map((axis) => {
    const own = Math.abs(axis) - 1;
    return axis < 0 ? dims[own] - 1 - voxel[own] : voxel[own];
  });
}

/**
 * A picture, which has columns and rows and no sides of a patient, so that it is shown as it is: NiiVue draws the patient's
 * left on the right and posterior below, so columns are said to run to the left and rows to the back.
 */
export function asPicture(buffer) {
  const out = buffer.slice(0);
  const view = new DataView(out);
  const little = view.getInt32(0, true) === HEADER_BYTES;
  view.setInt16(252, 0, little);
  view.setInt16(254, 1, little);
  [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0].forEach((value, at) => view.setFloat32(280 + 4 * at, value, little));
  return out;
}
