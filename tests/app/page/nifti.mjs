// Reads what nibabel wrote and writes what nibabel reads: orders from and to the command line as JSON.

import { readFileSync, writeFileSync } from "node:fs";

import { asPicture, decode, encodeLabels, frameOf, fromRas, gunzip, gzip, rasDims, toRas, voxelToRas } from "./nifti.js";

const order = JSON.parse(process.argv[2]);
const bytes = readFileSync(order.file);
let buffer = await gunzip(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
if (order.frame !== undefined) buffer = frameOf(buffer, order.frame);
if (order.picture) {
  buffer = asPicture(buffer);
  writeFileSync(order.picture, Buffer.from(buffer));
}
const image = decode(buffer);
const ras = toRas(image.data, image.dims, order.permRas);
if (order.out) {
  const native = fromRas(Uint8Array.from(ras, (value) => value % 4), image.dims, order.permRas);
  writeFileSync(order.out, Buffer.from(await gzip(encodeLabels(image.header, image.little, native))));
}
console.log(
  JSON.stringify({
    dims: rasDims(image.dims, order.permRas),
    spacing: rasDims(image.spacing, order.permRas),
    ras: [...ras],
    voxel: voxelToRas(order.voxel, image.dims, order.permRas),
  }),
);
