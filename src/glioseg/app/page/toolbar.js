// The tools on the left of a case, and the proposal of smart fill over the scans.

import { h, svg } from "./dom.js";
import { keyFor } from "./keys.js";
import { intensity, number, t, unitWord, volumeWords } from "./texts.js";
import { MIN_PROBABILITY, TOOLS, changeRadius, changeThreshold, leaveProposal, proposalVolume, redoStep, revertHere, takeProposal, undoStep } from "./tools.js";
import { windowOf } from "./viewer.js";

const ARRANGEMENTS = ["planes", "axial", "coronal", "sagittal", "modalities", "render"];

export function drawToolbar(view) {
  const { tools } = view;
  const focused = document.activeElement?.id;
  view.toolbar.replaceChildren(
    group(...TOOLS.map((name) => button(`tool-${name}`, t(`tool.${name}`), keyFor("tool", name), () => view.act.chooseTool(view, name), { "aria-pressed": String(tools.tool === name) }))),
    h("h3", { class: "small muted" }, t("label.title")),
    h("div", { class: "labels" }, ...view.detail.mask.labels.map((label, row) => labelRow(view, label, row))),
    radius(view),
    ...(tools.tool === "threshold" ? [range(view)] : []),
    ...(tools.tool === "smart" ? [h("p", { class: "small muted" }, t(tools.maps.length ? "smart.hint" : "smart.none"))] : []),
    group(
      button("undo", t("tool.undo"), keyFor("undo"), () => undoStep(tools), { disabled: tools.viewer.session.undo.length === 0 }),
      button("redo", t("tool.redo"), keyFor("redo"), () => redoStep(tools), { disabled: tools.viewer.session.redo.length === 0 }),
      button("revert", t("tool.revert"), keyFor("revert"), () => revertHere(tools)),
      button("save", t("tool.save"), keyFor("save"), () => view.act.saveDialog(view), { class: "main", disabled: !view.isUnsaved() }),
      ...(view.isUnsaved() ? [button("discard", t("save.discard"), "", () => view.act.discard(view))] : []),
    ),
  );
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function group(...buttons) {
  return h("div", { class: "list" }, ...buttons);
}

function button(id, text, key, onclick, attributes = {}) {
  return h("button", { id, onclick, ...attributes }, text, key ? h("kbd", { "aria-hidden": "true" }, key) : null);
}

function labelRow(view, { value, name, colour }, row) {
  const locked = view.viewer.session.locked.has(value);
  const swatch = h("span", { class: "swatch", style: { "--own": colour } });
  const lockName = t("label.lock", { name });
  return h(
    "div",
    {},
    h("button", { id: `label-${value}`, "aria-pressed": String(view.tools.label === value), onclick: () => view.act.chooseLabel(view, value) }, swatch, name, row < 9 ? h("kbd", { "aria-hidden": "true" }, String(row + 1)) : null),
    h("button", { id: `lock-${value}`, class: "lock", "aria-pressed": String(locked), "aria-label": lockName, title: lockName, onclick: () => view.act.toggleLock(view, value) }, lockPicture(locked)),
  );
}

function lockPicture(locked) {
  const bow = locked ? "M8 11 V8 a4 4 0 0 1 8 0 V11" : "M8 11 V7 a4 4 0 0 1 8 0";
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: bow }), svg("rect", { x: 5, y: 11, width: 14, height: 9, rx: 2 }));
}

function radius(view) {
  const { tools } = view;
  const steps = () => Math.round(tools.radius / tools.radiusStep);
  const words = () => t("tool.size", { size: number(tools.radius), unit: unitWord(view.viewer.isPicture ? "px" : "mm") });
  const slide = ({ target }) => {
    changeRadius(tools, Number(target.value) - steps()); // The slider stays: another could not be dragged on.
    target.setAttribute("aria-valuetext", words());
    target.previousElementSibling.textContent = words();
  };
  return h(
    "label",
    { class: "field" },
    h("span", {}, words()),
    h("input", { type: "range", id: "radius", min: 0, max: Math.round(40 / tools.radiusStep), value: String(steps()), "aria-label": t("tool.radius"), "aria-valuetext": words(), oninput: slide }),
  );
}

function range(view) {
  const { range: own } = view.tools;
  const { min, max } = windowOf(view.viewer);
  const slider = (name, key) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, `${t(key)} ${intensity(own[name], max - min)}`),
      h("input", {
        type: "range",
        id: `range-${name}`,
        min,
        max,
        step: "any",
        value: String(own[name]),
        oninput: (event) => {
          own[name] = Number(event.target.value);
          event.target.previousElementSibling.textContent = `${t(key)} ${intensity(own[name], max - min)}`;
        },
      }),
    );
  return h("div", {}, slider("low", "tool.from"), slider("high", "tool.to"));
}

/** What smart fill proposes, to take or to leave. */
export function drawProposal(view) {
  const { tools } = view;
  view.proposal.hidden = !tools.proposal;
  if (!tools.proposal) return view.proposal.replaceChildren();
  const words = t("smart.proposal", { volume: volumeWords(proposalVolume(tools), view.detail.unit), threshold: number(tools.proposal.threshold, 2) });
  if (view.proposal.firstElementChild) {
    view.proposal.querySelector("p").textContent = words;
    return undefined;
  }
  view.proposal.replaceChildren(
    h("p", { "aria-live": "polite" }, words),
    h(
      "label",
      { class: "field" },
      h("span", {}, t("smart.threshold")),
      h("input", { type: "range", id: "threshold", min: MIN_PROBABILITY, max: 0.99, step: 0.01, value: String(tools.proposal.threshold), oninput: (event) => changeThreshold(tools, Number(event.target.value)) }),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { class: "main", id: "take", onclick: () => takeProposal(tools) }, t("smart.take"), h("kbd", { "aria-hidden": "true" }, keyFor("take", true))),
      h("button", { onclick: () => leaveProposal(tools) }, t("smart.leave"), h("kbd", { "aria-hidden": "true" }, keyFor("take", false))),
    ),
  );
  return undefined;
}

/** Which planes are shown. */
export function drawArrangements(view) {
  const now = view.viewer?.arrangement ?? "planes";
  view.arrangements.hidden = Boolean(view.viewer?.dims.includes(1) && view.tools);
  view.arrangements.replaceChildren(
    ...ARRANGEMENTS.map((name) => h("button", { class: "tight", "aria-pressed": String(name === now), onclick: () => view.act.arrange(view, name) }, t(`view.${name}`))),
  );
}
