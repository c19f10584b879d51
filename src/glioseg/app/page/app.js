// The frame of the page: header, language and colours, and which view is open.

import { get, listen, openSession } from "./api.js";
import { caseView } from "./case.js";
import { compareView } from "./compare.js";
import { h, problem, say } from "./dom.js";
import { helpDialog } from "./help.js";
import { intakeView } from "./intake.js";
import { LANGUAGES, language, setLanguage, t } from "./texts.js";
import { worklistView } from "./worklist.js";

const THEME = "glioseg-theme";
const RETRY_MS = 1500;

/** The same answer for everybody who asks; after a failure it is asked for again. */
function once(ask) {
  let asked = null;
  return () => {
    asked ??= ask().catch((error) => {
      asked = null;
      throw error;
    });
    return asked;
  };
}

/** What the views share: the session, the networks, the names and states of cases, and who wants to hear of changes. */
const app = {
  session: null,
  askModels: once(() => get("/api/models")),
  view: null,
  unlisten: null,
  listeners: new Set(),
  states: new Map(),
  names: new Map(),
};

/** Address after # -> the view. A view is `(app, host, …parts)` and gives `{title, close()}`, maybe `isUnsaved()`. */
const VIEWS = { new: intakeView, cases: worklistView, case: caseView, compare: compareView };

async function start() {
  setLanguage(language());
  applyTheme();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  try {
    app.session = await openSession();
  } catch (error) {
    document.getElementById("main").replaceChildren(h("div", { class: "page" }, problem(error)));
    return;
  }
  app.askModels().catch(() => undefined); // So that they are there once scans are.
  drawHeader();
  app.unlisten = listen(onEvent, onLost);
  window.addEventListener("hashchange", open);
  window.addEventListener("beforeunload", (event) => {
    if (app.view?.isUnsaved?.()) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input[type=text], textarea, select");
    if (event.key === "?" && !typing) showHelp();
  });
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  await open();
}

function applyTheme() {
  const chosen = localStorage.getItem(THEME) ?? "auto";
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen === "auto" ? (dark ? "dark" : "light") : chosen;
}

function drawHeader() {
  document.querySelector(".skip").textContent = t("skip");
  document.querySelector(".skip").onclick = (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  };
  const here = parts()[0];
  const link = (name, text) => h("a", { href: `#/${name}`, "aria-current": here === name ? "page" : null }, text);
  const themes = ["auto", "light", "dark"].map((name) => [name, t(`theme.${name}`)]);
  document.getElementById("header").replaceChildren(
    h("a", { class: "brand", href: "#/cases" }, h("img", { src: "/page/icon.svg", alt: "" }), "glioseg"),
    h("nav", { "aria-label": t("nav.views") }, link("new", t("nav.new")), link("cases", t("nav.cases"))),
    h("span", { class: "research" }, t("research")),
    h(
      "div",
      { class: "settings" },
      choice(t("nav.language"), Object.entries(LANGUAGES), language(), (value) => {
        setLanguage(value);
        open();
      }),
      choice(t("nav.theme"), themes, localStorage.getItem(THEME) ?? "auto", (value) => {
        localStorage.setItem(THEME, value);
        applyTheme();
      }),
      h("button", { id: "help-button", onclick: showHelp, "aria-label": t("nav.help"), title: t("nav.help") }, "?"),
    ),
  );
}

function choice(label, options, chosen, onPick) {
  const entries = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("select", { "aria-label": label, title: label, onchange: (event) => onPick(event.target.value) }, entries);
}

function showHelp() {
  helpDialog(document.getElementById("help"));
}

function parts() {
  const own = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  return own[0] in VIEWS ? own : ["new"];
}

let nOpened = 0;

/** Each view has a host of its own: of one that another was opened after while it was waited for, nothing stays. */
async function open() {
  const [name, ...rest] = parts();
  nOpened += 1;
  const own = nOpened;
  app.view?.close();
  app.view = null;
  drawHeader();
  const host = h("div", { class: "view" });
  document.getElementById("main").replaceChildren(host);
  let view = null;
  try {
    view = await VIEWS[name](app, host, ...rest);
  } catch (error) {
    host.replaceChildren(h("div", { class: "page" }, problem(error)));
  }
  if (own !== nOpened) {
    view?.close();
    return;
  }
  app.view = view;
  document.title = app.view?.title ? `${app.view.title} · glioseg` : "glioseg";
}

function onEvent(event) {
  const before = app.states.get(event.case);
  app.states.set(event.case, event.state);
  if (before && before !== event.state && ["done", "failed"].includes(event.state)) {
    const name = app.names.get(event.case) ?? event.case;
    say(t(`event.${event.state}`, { name }), event.state === "failed" ? "error" : "note");
  }
  for (const listener of app.listeners) listener(event);
}

function onLost() {
  app.unlisten();
  const banner = h("p", { class: "banner", role: "alert" }, t("lost.server"));
  document.getElementById("header").after(banner);
  const tryAgain = async () => {
    try {
      app.session = await openSession();
    } catch (error) {
      if (error.status === 401 || error.status === 403) banner.textContent = t("lost.session");
      setTimeout(tryAgain, RETRY_MS);
      return;
    }
    banner.remove();
    say(t("lost.back"));
    app.unlisten = listen(onEvent, onLost);
    for (const listener of app.listeners) listener({});
  };
  setTimeout(tryAgain, RETRY_MS);
}

start();
