// A case at work: its steps, how far it is, and the way out.

import { h } from "./dom.js";
import { number, t } from "./texts.js";

/** The steps in their order, and about how long each takes compared with the others. */
const STEPS = { read: 1, register: 8, brain: 6, network: 12, explain: 4, paint: 3 };

/** Steps of every case; the others are shown of a case that takes them. */
const ALWAYS = new Set(["read", "network", "paint"]);

/** The steps that a case takes, and which one it is at. */
function stepsOf({ step }) {
  const steps = Object.keys(STEPS).filter((name) => ALWAYS.has(name) || name === step);
  return { steps, now: Math.max(0, steps.indexOf(step)) };
}

/** How much of a case is done, 0 to 1. */
export function shareOf(own) {
  if (own.state !== "running") return 0;
  const { steps, now } = stepsOf(own);
  const sum = (names) => names.reduce((total, name) => total + STEPS[name], 0);
  return (sum(steps.slice(0, now)) + STEPS[steps[now]] * (own.share ?? 0)) / sum(steps);
}

/** A case that waits or is at work; `cancel()` ends it. */
export function job(own, cancel) {
  return h(
    "div",
    { class: "job", dataset: { case: own.id, state: own.state } },
    h("strong", {}, own.name),
    h("div", {}, h("progress", { max: 1, "aria-label": own.name, value: String(shareOf(own)) }), steps(own)),
    h("button", { id: `cancel-${own.id}`, onclick: cancel, "aria-label": `${t("cases.cancel")}: ${own.name}` }, t("cases.cancel")),
  );
}

function steps(own) {
  if (own.state === "queued") return h("p", { class: "steps" }, t("state.queued"));
  const { steps: names, now } = stepsOf(own);
  return h(
    "ol",
    { class: "steps" },
    names.map((name, at) => h("li", { class: at < now ? "past" : null, "aria-current": at === now ? "step" : null }, at === now ? words(name, own.share) : t(`step.${name}`))),
  );
}

function words(step, share) {
  return share > 0 ? t("step.share", { step: t(`step.${step}`), share: number(100 * share, 0) }) : t(`step.${step}`);
}

/**
 * Show how far a case is that is at work already, without making its button anew, which somebody may be about to press.
 * Returns whether the event is of such a case.
 */
export function showProgress(host, own, event) {
  const shown = host.querySelector(`.job[data-case="${CSS.escape(own.id)}"]`);
  if (!shown || event.state !== "running" || shown.dataset.state !== "running") return false;
  shown.querySelector("progress").value = shareOf({ ...own, state: "running" });
  shown.querySelector(".steps").replaceWith(steps({ ...own, state: "running" }));
  return true;
}
