// All cases: what is at work, and what is done, the least trustworthy first.

import { get, send } from "./api.js";
import { h, problem, say } from "./dom.js";
import { dropDraft } from "./drafts.js";
import { job, showProgress } from "./progress.js";
import { byTime, date, number, t, volumeWords } from "./texts.js";

const SORTED = "glioseg-sort";

/**
 * The columns that can be sorted by: how a case is compared, and whether the first click puts the largest on top. What
 * cannot be compared (millilitres with the voxels of pictures, what is known with what is not) stands in groups, whose
 * order is the same both ways.
 */
const COLUMNS = {
  name: { value: (own) => own.name.toLowerCase(), largestFirst: false },
  patient: { value: (own) => (own.patient ?? "").toLowerCase(), largestFirst: false },
  date: { value: (own) => own.created, largestFirst: true },
  day: { value: (own) => own.study_day ?? -1, largestFirst: true, group: (own) => (Number.isInteger(own.study_day) ? 0 : 1) },
  volume: { value: (own) => mainVolume(own) ?? -1, largestFirst: true, group: (own) => (mainVolume(own) === undefined ? 2 : own.unit === "voxels" ? 1 : 0) },
  confidence: { value: trust, largestFirst: false, group: (own) => (trust(own) === null ? 1 : 0) },
};

/** How far the mask of a case can be trusted, low ones below all; null where nobody asked, or a person has drawn it. */
function trust({ confidence: own, corrected }) {
  if (!own || corrected) return null;
  return own.low ? own.value - 1 : own.value;
}

/** The first region, which holds the others. */
function mainRegion(own) {
  return Object.keys(own.volumes_ml ?? {})[0];
}

function mainVolume(own) {
  return own.volumes_ml?.[mainRegion(own)];
}

/** Cases in the order of a column; equal ones by date, the newest first. */
export function sorted(cases, { column, descending }) {
  const { value, group = () => 0 } = COLUMNS[column];
  const sign = descending ? -1 : 1;
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return [...cases].sort((a, b) => order(group(a), group(b)) || sign * order(value(a), value(b)) || order(b.created, a.created));
}

export async function worklistView(app, host) {
  const view = { app, host, cases: [], selected: new Set(), sort: stored(), title: t("cases.title") };
  view.page = h("div", { class: "page" });
  host.append(view.page);
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => refresh(view), 120);
  };
  const onEvent = (event) => {
    const known = view.cases.find(({ id }) => id === event.case);
    if (!known || !showProgress(view.page, Object.assign(known, { step: event.step, share: event.share }), event)) later();
  };
  app.listeners.add(onEvent);
  view.close = () => {
    app.listeners.delete(onEvent);
    clearTimeout(timer);
  };
  await refresh(view);
  return view;
}

function stored() {
  const own = JSON.parse(localStorage.getItem(SORTED) ?? "null");
  return own && own.column in COLUMNS ? own : { column: "confidence", descending: false };
}

async function refresh(view) {
  try {
    view.cases = await get("/api/cases");
  } catch (error) {
    if (view.cases.length === 0) view.page.replaceChildren(problem(error));
    return;
  }
  for (const own of view.cases) {
    view.app.names.set(own.id, own.name);
    view.app.states.set(own.id, own.state);
  }
  view.selected = new Set([...view.selected].filter((id) => view.cases.some((own) => own.id === id)));
  draw(view);
}

function draw(view) {
  const focused = document.activeElement?.id;
  const waiting = view.cases.filter(({ state }) => state === "queued" || state === "running");
  const others = view.cases.filter((own) => !waiting.includes(own));
  view.page.replaceChildren(
    h("div", { class: "spread" }, h("h1", {}, t("cases.title")), actions(view)),
    ...(waiting.length ? [queue(view, waiting)] : []),
    view.cases.length === 0
      ? h("div", { class: "card" }, h("p", {}, t("cases.none")), h("a", { class: "button", href: "#/new" }, t("cases.first")))
      : table(view, sorted(others, view.sort)),
  );
  if (focused) document.getElementById(focused)?.focus();
}

function actions(view) {
  const chosen = view.cases.filter(({ id }) => view.selected.has(id));
  const pair = chosen.length === 2 && chosen.every(({ state, patient }) => state === "done" && patient === chosen[0].patient);
  const [first, second] = [...chosen].sort(byTime);
  const compare = () => {
    location.hash = `#/compare/${encodeURIComponent(first.id)}/${encodeURIComponent(second.id)}`;
  };
  return h(
    "div",
    { class: "row" },
    h("span", { class: "muted small" }, t("cases.selected", { n: chosen.length })),
    h("button", { id: "compare", disabled: !pair, title: pair ? null : t("cases.compare.how"), onclick: compare }, t("cases.compare")),
    h("button", { id: "keep", disabled: !chosen.some(({ corrected }) => corrected), onclick: () => keep([...view.selected]) }, t("cases.keep")),
  );
}

/** Collect corrected masks into a folder that `glioseg train` reads. */
export async function keep(ids) {
  try {
    say(t("cases.kept", await send("POST", "/api/keep", { ids })));
  } catch (error) {
    say(error.message, "error");
  }
}

function queue(view, cases) {
  return h("section", { class: "card" }, h("h2", {}, t("cases.queue")), ...cases.map((own) => job(own, () => change(view, "POST", `/api/cases/${own.id}/cancel`))));
}

/** Whether the server did it. */
async function change(view, method, path) {
  let done = true;
  try {
    await send(method, path);
  } catch (error) {
    done = false;
    say(error.message, "error");
  }
  if (view.page) await refresh(view);
  return done;
}

function table(view, cases) {
  const regions = new Set(cases.map(mainRegion).filter(Boolean));
  const knowsDays = cases.some((own) => Number.isInteger(own.study_day));
  const heads = {
    name: t("cases.name"),
    patient: t("cases.patient"),
    date: t("cases.date"),
    ...(knowsDays ? { day: t("cases.day") } : {}),
    volume: regions.size === 1 ? [...regions][0] : t("cases.volume"),
    confidence: t("cases.confidence"),
  };
  return h(
    "section",
    { class: "card" },
    h("p", { class: "muted small" }, t("cases.sort")),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("cases.title") },
      h(
        "table",
        { id: "worklist" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td", {}),
            ...Object.entries(heads).map(([column, text]) => head(view, column, text)),
            h("th", { scope: "col" }, t("cases.network")),
            h("th", { scope: "col" }, t("cases.state")),
            h("th", { scope: "col" }, t("cases.actions")),
          ),
        ),
        h("tbody", {}, ...cases.map((own) => line(view, own, knowsDays))),
      ),
    ),
  );
}

function head(view, column, text) {
  const { sort } = view;
  const order = sort.column === column ? (sort.descending ? "descending" : "ascending") : null;
  const click = () => {
    view.sort = { column, descending: sort.column === column ? !sort.descending : COLUMNS[column].largestFirst };
    localStorage.setItem(SORTED, JSON.stringify(view.sort));
    draw(view);
  };
  const kind = ["day", "volume", "confidence"].includes(column) ? "number" : null;
  return h("th", { scope: "col", "aria-sort": order, class: kind }, h("button", { id: `sort-${column}`, onclick: click }, text));
}

function line(view, own, knowsDays) {
  const select = (event) => {
    view.selected[event.target.checked ? "add" : "delete"](own.id);
    draw(view);
  };
  const done = own.state === "done";
  const link = `#/case/${encodeURIComponent(own.id)}`;
  return h(
    "tr",
    {},
    h("td", {}, h("input", { type: "checkbox", id: `select-${own.id}`, checked: view.selected.has(own.id), disabled: !done, "aria-label": t("cases.select", { name: own.name }), onchange: select })),
    h("td", {}, done ? h("a", { href: link }, own.name) : own.name),
    h("td", {}, own.patient ?? ""),
    h("td", { class: "nowrap" }, date(own.created)),
    knowsDays ? h("td", { class: "number" }, Number.isInteger(own.study_day) ? String(own.study_day) : "–") : null,
    h("td", { class: "number nowrap" }, volumeWords(mainVolume(own), own.unit)),
    h("td", { class: "number" }, done ? confidence(own) : "–"),
    h("td", { class: "nowrap" }, own.model.replace(/^model:/, "")),
    h("td", {}, state(own)),
    h("td", { class: "nowrap" }, buttons(view, own, link)),
  );
}

function confidence({ confidence: own, corrected }) {
  if (corrected) return h("span", { class: "muted" }, t("cases.drawn"));
  if (!own) return h("span", { class: "muted" }, t("cases.unknown"));
  const value = h("span", { title: own.words }, number(own.value, 2));
  return own.low ? [h("span", { class: "tag warning" }, t("cases.low")), " ", value] : value;
}

function state(own) {
  const kind = { failed: "error", cancelled: "note", done: "good" }[own.state];
  return [
    h("span", { class: `tag ${kind}` }, t(`state.${own.state}`)),
    own.corrected ? [" ", h("span", { class: "tag note" }, t("cases.corrected"))] : null,
    own.error ? problem({ error: own.error }) : null,
  ].flat();
}

function buttons(view, own, link) {
  const remove = async () => {
    if (!window.confirm(t("cases.delete.sure", { name: own.name }))) return;
    if (await change(view, "DELETE", `/api/cases/${own.id}`)) dropDraft(own.id);
  };
  return h(
    "div",
    { class: "row" },
    own.state === "done"
      ? h("a", { class: "button", href: link, "aria-label": `${t("cases.open")}: ${own.name}` }, t("cases.open"))
      : h("button", { onclick: () => change(view, "POST", `/api/cases/${own.id}/retry`) }, t("retry")),
    h("button", { class: "quiet", onclick: remove, "aria-label": `${t("cases.delete")}: ${own.name}` }, t("cases.delete")),
  );
}
