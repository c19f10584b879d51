// The tools on a viewer that draws nothing: what they change of the labels, and when.

import assert from "node:assert/strict";
import { test } from "node:test";

Object.assign(globalThis, { requestAnimationFrame: () => 1, localStorage: { getItem: () => "en" } });

const { createSession } = await import("./labels.js");
const { MIN_PROBABILITY, createTools, renewRange, setTool, stamp, takeProposal } = await import("./tools.js");

const AXIAL = 2;

/** A viewer of one modality and one map of a volume of voxels of 1 mm, and its tools with label 1 in hand. */
function tools(dims, { values, probabilities = null, load = null } = {}) {
  const n = dims[0] * dims[1] * dims[2];
  const said = { painted: 0, refused: [], failed: [] };
  const viewer = {
    dims,
    spacing: [1, 1, 1],
    crosshair: dims.map((size) => Math.floor(size / 2)),
    plane: AXIAL,
    panes: [],
    render: null,
    brush: null,
    outlines: [],
    frame: 0,
    modality: "t1c",
    images: new Map([
      ["t1c", { values: values ?? new Float32Array(n) }],
      ["flair", { values: new Float32Array(n).fill(7) }],
      ...(probabilities ? [["map 0", { values: probabilities }]] : []),
    ]),
    fetchBytes: load,
    session: createSession(new Uint8Array(n), dims, [1, 1, 1]),
  };
  const own = createTools(viewer, {
    labels: [{ value: 1, name: "tumour" }],
    regions: [{ name: "tumour", labels: [1] }],
    maps: [{ kind: "probability", region: "tumour", url: "map", frame: 0 }],
    onPaint: () => (said.painted += 1),
    onProposal: () => undefined,
    onRefused: (key) => said.refused.push(key),
    onFailed: (error) => said.failed.push(error.message),
  });
  own.radius = 0;
  return { own, viewer, said };
}

const painted = ({ session }) => [...session.labels.keys()].filter((index) => session.labels[index] > 0);

test("a stroke that goes on after the slice was changed paints on the slice that is seen alone", () => {
  const { own, viewer } = tools([9, 1, 5]);
  setTool(own, "brush");
  own.begin([0, 0, 0], AXIAL);
  own.drag([2, 0, 0], AXIAL);
  own.drag([6, 0, 4], AXIAL); // by the wheel, four slices on
  own.drag([7, 0, 4], AXIAL);
  own.end();
  assert.deepEqual(painted(viewer), [0, 1, 2, 4 * 9 + 6, 4 * 9 + 7]);
});

test("what lies between where a stroke left the picture and came back is not painted", () => {
  const { own, viewer } = tools([9, 1, 1]);
  setTool(own, "brush");
  own.begin([0, 0, 0], AXIAL);
  own.lift();
  own.drag([8, 0, 0], AXIAL);
  own.end();
  assert.deepEqual(painted(viewer), [0, 8]);
});

test("a stroke that is taken back is said, or the browser would keep it as a draft", () => {
  const { own, viewer, said } = tools([4, 1, 1]);
  setTool(own, "brush");
  own.begin([0, 0, 0], AXIAL);
  own.cancel();
  assert.deepEqual([painted(viewer), said.painted], [[], 1]);
});

test("the threshold brush goes by the intensities of the modality that is shown", () => {
  const { own, viewer } = tools([3, 1, 1], { values: Float32Array.from([1, 2, 3]) });
  setTool(own, "threshold");
  assert.deepEqual(own.range, { low: 2, high: 2 });
  viewer.modality = "flair";
  renewRange(own);
  assert.deepEqual(own.range, { low: 7, high: 7 });
  stamp(own);
  assert.deepEqual(painted(viewer), [1]);
  setTool(own, "look");
  renewRange(own);
  assert.equal(own.range, null);
});

test("a brush of the largest radius finds a range where nothing has the label yet", () => {
  const { own } = tools([81, 81, 81]);
  own.radius = 40;
  setTool(own, "threshold");
  assert.deepEqual(own.range, { low: 0, high: 0 });
});

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("smart fill where nothing is probable proposes its voxel and not the whole volume", async () => {
  const { own, viewer } = tools([5, 1, 1], { probabilities: new Float32Array(5) });
  setTool(own, "smart");
  stamp(own);
  await settled();
  assert.equal(own.proposal.threshold, MIN_PROBABILITY);
  const [{ belongs }] = viewer.outlines;
  assert.deepEqual([0, 1, 2, 3, 4].filter(belongs), [2]);
  takeProposal(own);
  assert.deepEqual(painted(viewer), [2]);
});

test("a proposal that comes after another tool was chosen is none", async () => {
  const { own } = tools([5, 1, 1], { probabilities: new Float32Array(5).fill(1) });
  setTool(own, "smart");
  stamp(own);
  setTool(own, "brush");
  await settled();
  assert.equal(own.proposal, null);
});

test("a map that cannot be loaded is said", async () => {
  const { own, said } = tools([5, 1, 1], { load: () => Promise.reject(new Error("no answer")) });
  setTool(own, "smart");
  stamp(own);
  await settled();
  assert.deepEqual([own.proposal, said.failed], [null, ["no answer"]]);
});
