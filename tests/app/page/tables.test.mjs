// The tables of the page: texts, keys, the order of the worklist, what a network lacks.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const kept = new Map();
const localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
Object.assign(globalThis, { localStorage, document: { documentElement: {} } });
if (!globalThis.navigator) globalThis.navigator = { language: "en-GB" };

const { LANGUAGES, TEXTS, byTime, intensity, modalityWord, setLanguage, t, volumeWords, when } = await import("./texts.js");
const { KEYS, keyOf, shown } = await import("./keys.js");
const { sorted } = await import("./worklist.js");
const { missing } = await import("./intake.js");
const { shareOf } = await import("./progress.js");

const sources = readdirSync(".").filter((name) => name.endsWith(".js")).map((name) => readFileSync(name, "utf8")).join("\n");

test("every text is there in every language, with the same values in it", () => {
  const values = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const [key, texts] of Object.entries(TEXTS)) {
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(LANGUAGES).sort(), key);
    for (const text of Object.values(texts)) {
      assert.notEqual(text, "", key);
      assert.deepEqual([...new Set(values(text))], [...new Set(values(texts.en))], key);
    }
  }
});

test("every text that is asked for by its name exists, and no text is there for nothing", () => {
  const asked = [...sources.matchAll(/\bt\(\s*"([\w.]+)"/g)].map(([, key]) => key);
  for (const key of asked) assert.ok(key in TEXTS, key);
  const families = [...sources.matchAll(/`([a-z]+)\.\$\{/g)].map(([, family]) => family);
  const named = new Set([...sources.matchAll(/"([a-z]+\.[\w.]+)"/g)].map(([, key]) => key));
  const rest = sources.slice(0, sources.indexOf("export const TEXTS")) + sources.slice(sources.indexOf("const STORED = \"glioseg-language\""));
  for (const key of Object.keys(TEXTS)) {
    const used = families.includes(key.split(".")[0]) || rest.includes(`"${key}"`);
    assert.ok(used || (named.has(key) && rest.includes(key)), `${key} is used nowhere`);
  }
});

test("values are put into a text, and an unknown name stays", () => {
  assert.equal(t("new.sending", { n: 3 }), "Reading 3 files …");
  assert.equal(t("new.sending"), "Reading {n} files …");
});

/** What `act` gives while the page speaks German. */
function inGerman(act) {
  setLanguage("de");
  try {
    return act();
  } finally {
    setLanguage("en");
  }
}

test("millilitres have a decimal, voxels are counted, and what is not known has no unit", () => {
  const words = () => [volumeWords(12.34, "ml"), volumeWords(120, "voxels"), volumeWords(undefined, "ml")];
  assert.deepEqual(words(), ["12.3 ml", "120 voxels", "–"]);
  assert.deepEqual(inGerman(words), ["12,3 ml", "120 Voxel", "–"]);
});

test("keys are called as keyboards of the language call them", () => {
  const names = () => ["stamp", "take", "reset", "save", "zoom"].map((action) => shown(KEYS.find((own) => own.action === action))[0]);
  assert.deepEqual(names(), ["Space", "Enter", "Home", "Ctrl+S", "-"]);
  assert.deepEqual(inGerman(names), ["Leertaste", "Eingabe", "Pos1", "Strg+S", "-"]);
  assert.deepEqual(shown({ keys: ["+", "="] }), ["+"]);
  assert.deepEqual(shown({ keys: ["Shift+ArrowUp", "PageDown", "1"] }), ["Shift+↑", "Page ↓", "1"]);
});

test("modalities are called in the language of the page, and unknown ones as the server calls them", () => {
  const words = () => [modalityWord({ name: "t1c", title: "T1 with contrast" }), modalityWord({ name: "adc", title: "ADC" })];
  assert.deepEqual(words(), ["T1 with contrast", "ADC"]);
  assert.deepEqual(inGerman(words), ["T1 mit KM", "ADC"]);
});

test("no text is written beside the table", () => {
  const said = [...sources.matchAll(/(?:new Error|say|textContent = |what: )\(?\s*["`]([^"`]*)["`]/g)];
  const own = said.map(([, words]) => words.replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, ""));
  assert.ok(own.length > 0);
  assert.deepEqual(own.filter((words) => /[a-z]{2}/i.test(words)), []);
});

function press(key, more = {}) {
  return keyOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, target: {}, ...more });
}

test("no key means two things", () => {
  const all = KEYS.flatMap(({ keys }) => keys);
  assert.equal(new Set(all).size, all.length);
});

test("keys are found with and without Shift and Ctrl", () => {
  assert.equal(press("b").value, "brush");
  assert.equal(press("ArrowUp").action, "slice");
  assert.equal(press("ArrowUp", { shiftKey: true }).action, "move");
  assert.equal(press("z", { ctrlKey: true }).action, "undo");
  assert.equal(press("Z", { ctrlKey: true, shiftKey: true }).action, "redo");
  assert.equal(press("s", { ctrlKey: true }).action, "save");
  assert.equal(press("s").value, "sagittal");
  assert.equal(press("*", { shiftKey: true }), null);
});

test("what is typed into a field is the field's", () => {
  const field = { closest: (selector) => (selector.includes("input") ? { type: "text" } : null) };
  assert.equal(press("b", { target: field }), null);
});

test("the space bar ticks a box, other keys act", () => {
  const box = { closest: (selector) => (selector.includes("input") ? { type: "checkbox" } : null) };
  assert.equal(press(" ", { target: box }), null);
  assert.equal(press("b", { target: box }).value, "brush");
});

test("intensities of a scan from 0 to 1 are told apart", () => {
  assert.deepEqual([intensity(812.4, 3000), intensity(0.4567, 1), intensity(12.34, 50)], ["812", "0.457", "12.3"]);
});

test("a slider keeps the keys that move it, and no others", () => {
  const slider = { closest: (selector) => (selector.includes("input") ? { type: "range" } : null) };
  assert.equal(press("ArrowUp", { target: slider }), null);
  assert.equal(press("Enter", { target: slider }).action, "take");
});

const CASES = [
  { id: "a", name: "A", created: "2026-01-03", volumes_ml: { WT: 10 }, confidence: { value: 0.9, low: false } },
  { id: "b", name: "B", created: "2026-01-01", volumes_ml: { WT: 30 }, confidence: { value: 0.95, low: true } },
  { id: "c", name: "c", created: "2026-01-02", volumes_ml: {}, confidence: null },
  { id: "d", name: "D", created: "2026-01-04", volumes_ml: { WT: 20 }, confidence: { value: 0.6, low: false } },
];

test("the least trustworthy come first: low ones, then by value, those that were not asked last", () => {
  const ids = (sort) => sorted(CASES, sort).map(({ id }) => id).join("");
  assert.equal(ids({ column: "confidence", descending: false }), "bdac");
  assert.equal(ids({ column: "volume", descending: true }), "bdac");
  assert.equal(ids({ column: "date", descending: true }), "dacb");
  assert.equal(ids({ column: "name", descending: false }), "abcd");
});

test("what cannot be compared is not mixed: millilitres, then voxels, then what has no volume", () => {
  const own = [
    { id: "p", name: "p", created: "1", volumes_ml: { T: 5000 }, unit: "voxels" },
    { id: "m", name: "m", created: "2", volumes_ml: { WT: 30 }, unit: "ml" },
    { id: "f", name: "f", created: "3", volumes_ml: {}, unit: "ml" },
    { id: "n", name: "n", created: "4", volumes_ml: { WT: 7 }, unit: "ml" },
    { id: "q", name: "q", created: "5", volumes_ml: { T: 0 }, unit: "voxels" },
  ];
  const ids = (descending) => sorted(own, { column: "volume", descending }).map(({ id }) => id).join("");
  assert.equal(ids(true), "mnpqf");
  assert.equal(ids(false), "nmqpf");
});

test("a mask that a person has drawn waits for nobody's doubt", () => {
  const drawn = { ...CASES[1], id: "e", corrected: 1 };
  const ids = (descending) => sorted([drawn, ...CASES], { column: "confidence", descending }).map(({ id }) => id).join("");
  assert.equal(ids(false), "bdace");
  assert.equal(ids(true), "adbce");
});

test("what a network lacks is the shortest list that would do", () => {
  const model = { modalities: ["t1n", "t1c", "t2w", "t2f"], modality_sets: [["t1n", "t1c"], ["t2f"]] };
  assert.deepEqual(missing(model, ["t1n"]), ["t1c"]);
  assert.deepEqual(missing(model, ["t2f"]), []);
  assert.deepEqual(missing({ ...model, modality_sets: [] }, ["t1n", "t1c", "t2w"]), ["t2f"]);
});

test("a case never goes back while it is at work, and ends below the whole", () => {
  const at = (step, share) => shareOf({ state: "running", step, share });
  const course = [at("", 0), at("read", 0), at("network", 0), at("network", 0.5), at("network", 1), at("paint", 0)];
  for (let row = 1; row < course.length; row += 1) assert.ok(course[row] >= course[row - 1], String(row));
  assert.equal(course[0], 0);
  assert.ok(at("network", 0.5) > at("network", 0));
  assert.ok(course.at(-1) < 1);
  assert.equal(shareOf({ state: "queued", step: "", share: 0 }), 0);
});

test("time points stand by the days of their studies, else as they were queued", () => {
  const early = { id: "early", created: "2026-03-01T00:00:00+00:00", study_day: 40 };
  const late = { id: "late", created: "2026-02-01T00:00:00+00:00", study_day: 90 };
  assert.deepEqual([late, early].sort(byTime).map(({ id }) => id), ["early", "late"]);
  const untold = [early, late].map((own) => ({ ...own, study_day: null }));
  assert.deepEqual(untold.sort(byTime).map(({ id }) => id), ["late", "early"]);
  assert.equal(when(early), "Day 40");
  assert.match(when({ study_day: null, date: early.created }), /2026/);
});
