// The keys of the case view, in one table: what help shows is what works.

import { t } from "./texts.js";

const STORED = "glioseg-single-keys";

/** `keys` as KeyboardEvent.key names them (with Shift+ or Ctrl+ before), the text's key, and the name of the action. */
export const KEYS = [
  { keys: ["ArrowUp"], text: "key.slice", action: "slice", value: 1 },
  { keys: ["ArrowDown"], text: "key.slice", action: "slice", value: -1 },
  { keys: ["PageUp"], text: "key.slices", action: "slice", value: 10 },
  { keys: ["PageDown"], text: "key.slices", action: "slice", value: -10 },
  { keys: ["Shift+ArrowUp"], text: "key.move", action: "move", value: [0, 1] },
  { keys: ["Shift+ArrowDown"], text: "key.move", action: "move", value: [0, -1] },
  { keys: ["Shift+ArrowLeft"], text: "key.move", action: "move", value: [-1, 0] },
  { keys: ["Shift+ArrowRight"], text: "key.move", action: "move", value: [1, 0] },
  { keys: ["p"], text: "view.planes", action: "arrange", value: "planes" },
  { keys: ["a"], text: "view.axial", action: "arrange", value: "axial" },
  { keys: ["c"], text: "view.coronal", action: "arrange", value: "coronal" },
  { keys: ["s"], text: "view.sagittal", action: "arrange", value: "sagittal" },
  { keys: ["m"], text: "view.modalities", action: "arrange", value: "modalities" },
  { keys: ["d"], text: "view.render", action: "arrange", value: "render" },
  { keys: [","], text: "key.modality", action: "modality", value: -1 },
  { keys: ["."], text: "key.modality", action: "modality", value: 1 },
  { keys: ["u"], text: "key.layer", action: "layer", value: 1 },
  { keys: ["h"], text: "key.hide", action: "hide", value: null },
  { keys: ["-"], text: "key.zoom", action: "zoom", value: 1 / 1.25 },
  { keys: ["+", "="], text: "key.zoom", action: "zoom", value: 1.25 },
  { keys: ["Home"], text: "view.reset", action: "reset", value: null },
  { keys: ["l"], text: "jump.largest", action: "largest", value: null },
  { keys: ["n"], text: "jump.lesion", action: "lesion", value: null },
  { keys: ["v"], text: "tool.look", action: "tool", value: "look" },
  { keys: ["b"], text: "tool.brush", action: "tool", value: "brush" },
  { keys: ["e"], text: "tool.eraser", action: "tool", value: "eraser" },
  { keys: ["f"], text: "tool.fill", action: "tool", value: "fill" },
  { keys: ["t"], text: "tool.threshold", action: "tool", value: "threshold" },
  { keys: ["o"], text: "tool.sphere", action: "tool", value: "sphere" },
  { keys: ["g"], text: "tool.smart", action: "tool", value: "smart" },
  { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: "1 … 9", text: "key.label", action: "label", value: null },
  { keys: ["k"], text: "key.lock", action: "lock", value: null },
  { keys: ["q", "["], text: "key.size", action: "size", value: -1 },
  { keys: ["w", "]"], text: "key.size", action: "size", value: 1 },
  { keys: [" "], text: "key.stamp", action: "stamp", value: null },
  { keys: ["Enter"], text: "key.take", action: "take", value: true },
  { keys: ["Escape"], text: "key.take", action: "take", value: false },
  { keys: ["z", "Ctrl+z"], text: "tool.undo", action: "undo", value: null },
  { keys: ["y", "Ctrl+y", "Ctrl+Shift+z"], text: "tool.redo", action: "redo", value: null },
  { keys: ["x"], text: "tool.revert", action: "revert", value: null },
  { keys: ["Ctrl+s"], text: "tool.save", action: "save", value: null },
];

/** Keys that move a slider that has the focus. */
const SLIDES = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"]);

/** Whether keys without Ctrl act; people who dictate or whose hands tremble turn them off. */
export function singleKeys() {
  return localStorage.getItem(STORED) !== "off";
}

export function setSingleKeys(on) {
  localStorage.setItem(STORED, on ? "on" : "off");
}

/** The line of the table that a key press means, or null. Keys typed into fields and on buttons are theirs. */
export function keyOf(event) {
  const field = event.target.closest?.("input, textarea, select, dialog");
  if (field && !["checkbox", "radio", "range"].includes(field.type)) return null;
  if (field?.type === "range" && SLIDES.has(event.key)) return null;
  if (event.target.closest?.("button, a, summary") && (event.key === " " || event.key === "Enter")) return null;
  if (["checkbox", "radio"].includes(field?.type) && event.key === " ") return null;
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isSign = letter.length === 1 && letter.toLowerCase() === letter.toUpperCase();
  const ctrl = event.ctrlKey || event.metaKey;
  const name = [ctrl ? "Ctrl" : null, event.shiftKey && !isSign ? "Shift" : null, letter].filter(Boolean).join("+");
  if (event.altKey || (!ctrl && !singleKeys() && letter.length === 1)) return null;
  return KEYS.find(({ keys }) => keys.includes(name)) ?? null;
}

const ARROWS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" };

/** Keys whose names stand on keyboards in each language's own words. */
const NAMED = { " ": "space", Enter: "enter", Escape: "escape", PageUp: "pageup", PageDown: "pagedown", Home: "home", Ctrl: "ctrl", Shift: "shift" };

/** What a line is called where it is shown. */
export function shown({ keys, shown: own }) {
  const word = (part) => (part in NAMED ? t(`keyboard.${NAMED[part]}`) : (ARROWS[part] ?? part.toUpperCase()));
  const parts = (key) => (key === "+" ? ["+"] : key.split("+"));
  return own ? [own] : keys.filter((key) => key !== "=").map((key) => parts(key).map(word).join("+"));
}

/** The key of an action, for the label of its button. */
export function keyFor(action, value = null) {
  const line = KEYS.find((own) => own.action === action && own.value === value);
  return line ? shown(line)[0] : "";
}
