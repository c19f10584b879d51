// Expected values are worked out by hand on grids of a few voxels.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ball,
  cancelStroke,
  commit,
  createSession,
  indexOf,
  isChanged,
  largestSection,
  line,
  localProbability,
  outline,
  paint,
  pointOf,
  redo,
  revertSlice,
  sameLabelOnSlice,
  sliceIndices,
  smartFill,
  undo,
  volumeOf,
} from "./labels.js";

const DIMS = [4, 3, 2];
const SPACING = [1, 2, 5];

function session(values = {}) {
  const labels = new Uint8Array(24);
  for (const [index, value] of Object.entries(values)) labels[index] = value;
  return createSession(labels, DIMS, SPACING);
}

test("indices run x fastest, and back", () => {
  assert.equal(indexOf(DIMS, [3, 2, 1]), 3 + 4 * (2 + 3 * 1));
  for (let index = 0; index < 24; index += 1) assert.equal(indexOf(DIMS, pointOf(DIMS, index)), index);
});

test("a stroke is one step of undo, however often it paints a voxel", () => {
  const own = session({ 5: 2 });
  assert.equal(paint(own, [4, 5], 1), 2);
  assert.equal(paint(own, [5, 6], 3), 2);
  assert.equal(commit(own), true);
  assert.deepEqual([...own.labels.slice(4, 7)], [1, 3, 3]);
  assert.equal(undo(own), true);
  assert.deepEqual([...own.labels.slice(4, 7)], [0, 2, 0]);
  assert.equal(undo(own), false);
  assert.equal(redo(own), true);
  assert.deepEqual([...own.labels.slice(4, 7)], [1, 3, 3]);
});

test("a new stroke ends what could be redone", () => {
  const own = session();
  paint(own, [0], 1);
  commit(own);
  undo(own);
  paint(own, [1], 1);
  commit(own);
  assert.equal(redo(own), false);
});

test("a stroke that changes nothing in the end is no step", () => {
  const own = session({ 3: 1 });
  paint(own, [3], 2);
  paint(own, [3], 1);
  assert.equal(commit(own), false);
  assert.equal(own.undo.length, 0);
});

test("a cancelled stroke leaves everything as it was, counts too", () => {
  const own = session({ 3: 1 });
  paint(own, [2, 3], 2);
  cancelStroke(own);
  assert.deepEqual([...own.labels], [...own.original]);
  assert.equal(own.counts[2], 0);
  assert.equal(own.counts[1], 1);
  assert.equal(commit(own), false);
});

test("locked labels are neither overwritten, erased nor given", () => {
  const own = session({ 0: 1, 1: 2 });
  own.locked.add(1);
  assert.equal(paint(own, [0, 1, 2], 3), 2);
  assert.equal(paint(own, [0], 0), 0);
  assert.equal(paint(own, [2], 1), 0);
  assert.deepEqual([...own.labels.slice(0, 3)], [1, 3, 3]);
});

test("only allowed voxels are painted: the threshold brush", () => {
  const own = session();
  const values = [10, 20, 30, 40];
  paint(own, [0, 1, 2, 3], 1, (index) => values[index] >= 20 && values[index] <= 30);
  assert.deepEqual([...own.labels.slice(0, 4)], [0, 1, 1, 0]);
});

test("volumes follow at once: voxels of 1 x 2 x 5 mm hold 0.01 ml", () => {
  const own = session({ 0: 1, 1: 2 });
  paint(own, [2, 3], 2);
  assert.equal(volumeOf(own, [1, 2]).toFixed(4), "0.0400");
  assert.equal(volumeOf(own, [2]).toFixed(4), "0.0300");
  commit(own);
  undo(own);
  assert.equal(volumeOf(own, [1, 2]).toFixed(4), "0.0200");
});

test("where nobody knows the size of a voxel, voxels are counted", () => {
  const own = createSession(Uint8Array.from([1, 1, 0]), [3, 1, 1], [1, 1, 1], 1);
  assert.equal(volumeOf(own, [1]), 2);
});

test("a change that is taken back is no change", () => {
  const own = session();
  paint(own, [7], 1);
  commit(own);
  assert.equal(isChanged(own), true);
  undo(own);
  assert.equal(isChanged(own), false);
});

test("a slice goes back to what it was, other slices do not, and it can be undone", () => {
  const own = session({ 0: 1 });
  paint(own, [0, 1, 12], 2);
  commit(own);
  assert.equal(revertSlice(own, 2, 0), 2);
  commit(own);
  assert.deepEqual([own.labels[0], own.labels[1], own.labels[12]], [1, 0, 2]);
  undo(own);
  assert.deepEqual([own.labels[0], own.labels[1], own.labels[12]], [2, 2, 2]);
});

test("slices of each plane", () => {
  assert.deepEqual([...sliceIndices(DIMS, 2, 1)], Array.from({ length: 12 }, (_, at) => 12 + at));
  assert.deepEqual([...sliceIndices(DIMS, 0, 3)], [3, 7, 11, 15, 19, 23]);
  assert.deepEqual([...sliceIndices(DIMS, 1, 0)], [0, 1, 2, 3, 12, 13, 14, 15]);
});

test("a ball is round in mm, not in voxels, and ends at the edge", () => {
  // 2 mm reach two voxels along x (1 mm) and one along y (2 mm), none along z (5 mm); (±1, ±1) are √5 mm away.
  const found = ball([9, 9, 3], SPACING, [4, 4, 1], 2).map((index) => pointOf([9, 9, 3], index).join());
  assert.deepEqual(new Set(found), new Set(["2,4,1", "3,4,1", "4,4,1", "5,4,1", "6,4,1", "4,3,1", "4,5,1"]));
  assert.equal(ball(DIMS, SPACING, [0, 0, 0], 1).length, 2);
  assert.deepEqual(ball(DIMS, SPACING, [1, 1, 0], 0), [indexOf(DIMS, [1, 1, 0])]);
});

test("a sphere reaches other slices where a brush stays on its own", () => {
  const space = new Set(ball([5, 5, 5], [1, 1, 1], [2, 2, 2], 1).map((index) => pointOf([5, 5, 5], index)[2]));
  const flat = new Set(ball([5, 5, 5], [1, 1, 1], [2, 2, 2], 1, 2).map((index) => pointOf([5, 5, 5], index)[2]));
  assert.deepEqual([...space].sort(), [1, 2, 3]);
  assert.deepEqual([...flat], [2]);
});

test("a quick stroke has no gaps", () => {
  const way = line([0, 0, 0], [3, 1, 0]);
  assert.deepEqual(way[0], [0, 0, 0]);
  assert.deepEqual(way.at(-1), [3, 1, 0]);
  for (let at = 1; at < way.length; at += 1) {
    assert.ok(Math.max(...way[at].map((value, axis) => Math.abs(value - way[at - 1][axis]))) <= 1);
  }
  assert.deepEqual(line([2, 2, 2], [2, 2, 2]), [[2, 2, 2], [2, 2, 2]]);
});

test("fill takes the region of one label around a point, within the slice, by edges", () => {
  // . 1 . .      the background left of the 1s and above them is one piece with the rest only by corners
  // 1 1 . .
  // . . . .
  const own = session({ 1: 1, 4: 1, 5: 1 });
  assert.deepEqual(sameLabelOnSlice(own, [0, 0, 0], 2), [0]);
  assert.deepEqual(new Set(sameLabelOnSlice(own, [0, 1, 0], 2)), new Set([4, 5, 1]));
  assert.equal(sameLabelOnSlice(own, [0, 0, 1], 2).length, 12);
});

test("smart fill takes what is connected by faces and as probable", () => {
  // x = 0..4: 0.9 0.8 0.2 0.9 0.9: from x = 0 at 0.5 the valley at x = 2 ends it.
  const probabilities = Float32Array.from([0.9, 0.8, 0.2, 0.9, 0.9]);
  assert.deepEqual(smartFill(probabilities, [5, 1, 1], [0, 0, 0], 0.5).sort(), [0, 1]);
  assert.deepEqual(smartFill(probabilities, [5, 1, 1], [0, 0, 0], 0.1).length, 5);
  assert.deepEqual(smartFill(probabilities, [5, 1, 1], [2, 0, 0], 0.5).sort(), [0, 1, 2, 3, 4]);
});

test("the local probability is the mean of the voxels around, as many as there are", () => {
  const probabilities = Float32Array.from([0, 0.5, 1, 0, 0, 0]);
  assert.equal(localProbability(probabilities, [6, 1, 1], [1, 0, 0]), 0.5);
  assert.equal(localProbability(probabilities, [6, 1, 1], [0, 0, 0]), 0.25);
});

test("the outline of one voxel is its four edges, of two in a row six", () => {
  const edges = (inside) => outline(DIMS, 2, 0, (index) => inside.includes(index));
  assert.deepEqual(new Set(edges([5]).map(String)), new Set(["1,1,1,2", "2,1,2,2", "1,1,2,1", "1,2,2,2"]));
  assert.equal(edges([5, 6]).length, 6);
  assert.equal(edges([0]).length, 4);
  assert.equal(edges([]).length, 0);
});

test("an outline is of the slice that is asked for", () => {
  assert.equal(outline(DIMS, 2, 1, (index) => index === 5).length, 0);
  assert.equal(outline(DIMS, 0, 1, (index) => index === 5).length, 4);
});

test("the largest section of each plane", () => {
  const own = session({ 0: 1, 1: 1, 12: 1, 23: 2 });
  assert.deepEqual(largestSection(own.labels, DIMS, [1]), [0, 0, 0]);
  assert.deepEqual(largestSection(own.labels, DIMS, [2]), [3, 2, 1]);
  assert.equal(largestSection(own.labels, DIMS, [3]), null);
});
