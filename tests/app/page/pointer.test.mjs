// Pointers on one axial slice of 10 × 10 voxels, a voxel every 10 pixels: what reaches the tool.

import assert from "node:assert/strict";
import { test } from "node:test";

/** Where listeners are kept, and told of events by hand. */
class Heard {
  constructor() {
    this.listeners = new Map();
  }
  addEventListener(name, listener) {
    this.listeners.set(name, listener);
  }
  removeEventListener(name) {
    this.listeners.delete(name);
  }
  focus() {}
}

const page = new Heard();
Object.assign(globalThis, { window: page, requestAnimationFrame: () => 1, localStorage: { getItem: () => "en" } });

const { connectPointer } = await import("./pointer.js");

function connected() {
  const overlay = { width: 100, height: 100, getBoundingClientRect: () => ({ left: 0, top: 0 }), setPointerCapture() {} };
  const nv = {
    screenSlices: [{ axCorSag: 0, leftTopWidthHeight: [0, 0, 100, 100] }],
    screenXY2TextureFrac: (x, y) => [x / 100, y / 100, 0.5],
    scene: { pan2Dxyzmm: [0, 0, 0, 1] },
  };
  const host = new Heard();
  const viewer = {
    host,
    session: {},
    dims: [10, 10, 10],
    spacing: [1, 1, 1],
    crosshair: [5, 5, 5],
    plane: 0,
    panes: [{ overlay, canvas: { width: 100 }, nv, dpr: 1, arrangement: "axial" }],
    render: null,
    brush: null,
    frame: 0,
    onChange() {},
  };
  const told = [];
  const at = ([x, y]) => `${x},${y}`;
  const end = connectPointer(viewer, {
    isPainting: () => true,
    radiusMm: () => null,
    begin: (voxel) => told.push(`begin ${at(voxel)}`),
    drag: (voxel) => told.push(`drag ${at(voxel)}`),
    lift: () => told.push("lift"),
    end: () => told.push("end"),
    cancel: () => told.push("cancel"),
  });
  const send = (name, more) => {
    const event = { target: overlay, pointerId: 1, pointerType: "mouse", button: 0, buttons: 1, clientX: 0, clientY: 0, preventDefault() {}, ...more };
    (host.listeners.get(name) ?? page.listeners.get(name))(event);
  };
  return { viewer, told, send, end };
}

test("a stroke begins, goes on, leaves the picture, comes back and ends", () => {
  const { told, send } = connected();
  send("pointerdown", { clientX: 15, clientY: 25 });
  send("pointermove", { clientX: 25, clientY: 25 });
  send("pointermove", { clientX: 250, clientY: 25 });
  send("pointermove", { clientX: 75, clientY: 75 });
  send("pointerup", { buttons: 0 });
  assert.deepEqual(told, ["begin 1,2", "drag 2,2", "lift", "drag 7,7", "end"]);
});

test("a button that was let go where nobody told ends the stroke", () => {
  const { told, send } = connected();
  send("pointerdown", { clientX: 15, clientY: 25 });
  send("pointermove", { clientX: 75, clientY: 75, buttons: 0 });
  send("pointermove", { clientX: 85, clientY: 75, buttons: 0 });
  assert.deepEqual(told, ["begin 1,2", "end"]);
});

test("a hand beside the pen neither draws nor ends the stroke", () => {
  const { told, send } = connected();
  const hand = { pointerId: 2, pointerType: "touch" };
  send("pointerdown", { pointerType: "pen", clientX: 15, clientY: 25 });
  send("pointerdown", { ...hand, clientX: 85, clientY: 85 });
  send("pointermove", { ...hand, clientX: 75, clientY: 85 });
  send("pointerup", { ...hand, buttons: 0 });
  send("pointermove", { pointerType: "pen", clientX: 25, clientY: 25 });
  send("pointerup", { pointerType: "pen", buttons: 0 });
  assert.deepEqual(told, ["begin 1,2", "drag 2,2", "end"]);
});

test("a second finger takes the stroke of the first back, and enlarges", () => {
  const { viewer, told, send } = connected();
  const finger = (pointerId, clientX) => ({ pointerId, pointerType: "touch", clientX, clientY: 50 });
  send("pointerdown", finger(1, 40));
  send("pointerdown", finger(2, 60));
  send("pointermove", finger(2, 80));
  assert.deepEqual(told, ["begin 4,5", "cancel"]);
  assert.equal(viewer.panes[0].nv.scene.pan2Dxyzmm[3], 2);
  send("pointerup", { ...finger(1, 40), buttons: 0 });
  send("pointermove", finger(2, 90));
  send("pointerdown", finger(3, 70));
  assert.equal(viewer.panes[0].nv.scene.pan2Dxyzmm[3], 2); // 20 pixels apart from now on
  send("pointermove", finger(2, 100));
  assert.equal(viewer.panes[0].nv.scene.pan2Dxyzmm[3], 3);
});

test("the wheel goes through the slices under the pointer, and keys follow it; sideways it does nothing", () => {
  const { viewer, send } = connected();
  send("wheel", { clientX: 50, clientY: 50, deltaY: 0 });
  assert.deepEqual([viewer.crosshair, viewer.plane], [[5, 5, 5], 0]);
  send("wheel", { clientX: 50, clientY: 50, deltaY: -1 });
  assert.deepEqual([viewer.crosshair, viewer.plane], [[5, 5, 6], 2]);
});

test("nothing is heard of a view that was closed", () => {
  const { viewer, end } = connected();
  end();
  assert.deepEqual([viewer.host.listeners.size, page.listeners.size], [0, 0]);
});
