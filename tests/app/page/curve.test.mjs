// The chart of volumes: what stands at its axis.

import assert from "node:assert/strict";
import { test } from "node:test";

class FakeElement {
  constructor() {
    this.children = [];
  }
  setAttribute() {}
  append(...children) {
    this.children.push(...children);
  }
}
Object.assign(globalThis, {
  localStorage: { getItem: () => "en" },
  document: { createElementNS: () => new FakeElement() },
});

const { curve } = await import("./curve.js");

const texts = (element) => (typeof element === "string" ? [element] : element.children.flatMap(texts));

function axis(volume) {
  const times = [0, 30].map((study_day, row) => ({ id: String(row), study_day, unit: "ml", volumes_ml: { WT: volume } }));
  return texts(curve(times, [{ name: "WT", colour: "#000000" }], ["0", "1"])).filter((text) => text.endsWith(" ml"));
}

test("the axis of small volumes has as many decimals as tell its lines apart", () => {
  assert.deepEqual(axis(0.5), ["0.00 ml", "0.27 ml", "0.54 ml"]);
  assert.deepEqual(axis(5), ["0.0 ml", "2.7 ml", "5.4 ml"]);
  assert.deepEqual(axis(50), ["0 ml", "27 ml", "54 ml"]);
});
