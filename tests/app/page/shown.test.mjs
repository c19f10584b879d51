// What stands beside the mask that is shown is of this mask.

import assert from "node:assert/strict";
import { test } from "node:test";

const { factsOf, whileDrawn } = await import("./shown.js");

const DETAIL = {
  regions: [{ name: "WT", interval_ml: [8, 12] }, { name: "ET", interval_ml: null }],
  lesions: ["of the network's"],
  diameters: ["of the network's"],
  reference: { scores: { WT: { dice: 0.5 } }, corrected: { WT: { dice: 0.9 } } },
  corrections: [
    { n: 1, lesions: ["of the first"], diameters: ["of the first"] },
    { n: 2, lesions: [], diameters: [] },
  ],
};

test("the network's mask has its own intervals and scores", () => {
  assert.deepEqual(factsOf(DETAIL, 0), {
    intervals: { WT: [8, 12], ET: null },
    lesions: ["of the network's"],
    diameters: ["of the network's"],
    scores: { WT: { dice: 0.5 } },
  });
});

test("a correction has no interval, and the last one alone is scored", () => {
  assert.deepEqual(factsOf(DETAIL, 1), { intervals: {}, lesions: ["of the first"], diameters: ["of the first"], scores: null });
  assert.deepEqual(factsOf(DETAIL, 2), { intervals: {}, lesions: [], diameters: [], scores: { WT: { dice: 0.9 } } });
  assert.equal(factsOf({ ...DETAIL, reference: null }, 2).scores, null);
});

test("while somebody draws, only lesions to go to are left", () => {
  assert.deepEqual(whileDrawn(factsOf(DETAIL, 1)), { intervals: {}, lesions: ["of the first"], diameters: [], scores: null });
});
