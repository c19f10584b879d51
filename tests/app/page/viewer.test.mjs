// What is chosen while something else is being loaded, and what two time points do not share.

import assert from "node:assert/strict";
import { test } from "node:test";

Object.assign(globalThis, { requestAnimationFrame: () => 1, localStorage: { getItem: () => "en" } });

const { ACTIONS } = await import("./compare.js");
const { setLayer } = await import("./viewer.js");

const MAP = { url: "map", frame: 0 };

function viewer(more = {}) {
  const images = new Map([["map 0", { image: {} }]]);
  return { images, panes: [], render: null, frame: 0, layer: null, layerOpacity: 0.6, wanted: { arrangement: 0, layer: null }, ...more };
}

test("of two maps that were chosen quickly the later one is shown", async () => {
  const own = viewer();
  await Promise.all([setLayer(own, MAP), setLayer(own, null)]);
  assert.equal(own.layer, null);
  await Promise.all([setLayer(own, null), setLayer(own, MAP)]);
  assert.equal(own.layer, own.images.get("map 0").image);
});

test("time points without a common modality keep theirs", () => {
  const viewers = [viewer({ names: ["t1c"], modality: "t1c" }), viewer({ names: ["t2f"], modality: "t2f" })];
  ACTIONS.modality({ viewers }, 1);
  assert.deepEqual(viewers.map(({ modality }) => modality), ["t1c", "t2f"]);
});

test("pictures have one plane, side by side too", async () => {
  const viewers = [1, 2].map(() => viewer({ dims: [8, 8, 1], plane: 2, arrangement: "axial", host: { dataset: {} } }));
  await ACTIONS.arrange({ viewers }, "coronal");
  assert.deepEqual(viewers.map(({ plane, arrangement }) => [plane, arrangement]), [[2, "axial"], [2, "axial"]]);
});
