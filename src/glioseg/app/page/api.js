// Calls of the server, which is on this machine. Everything that changes something carries the header that proves that
// it came from this page.

import { t } from "./texts.js";

let csrf = "";

/** What the server refused or could not do, in its words. */
export class ServerError extends Error {
  constructor(error, status) {
    super([error.what, error.remedy].filter(Boolean).join(". "));
    this.error = error;
    this.status = status;
  }
}

/** `GET /api/session`: also what later calls prove themselves with. */
export async function openSession() {
  const session = await get("/api/session");
  csrf = session.csrf;
  return session;
}

export async function get(path) {
  return (await call("GET", path)).json();
}

/** POST, PUT or DELETE; `body` is sent as JSON unless it is a form or bytes. */
export async function send(method, path, body = null) {
  const raw = body instanceof FormData || body instanceof ArrayBuffer || body instanceof Blob;
  const headers = { "X-Glioseg-CSRF": csrf };
  if (body !== null && !raw) headers["Content-Type"] = "application/json";
  if (body instanceof ArrayBuffer) headers["Content-Type"] = "application/octet-stream";
  return (await call(method, path, { headers, body: raw || body === null ? body : JSON.stringify(body) })).json();
}

/** The bytes of a file of a case. */
export async function fetchBytes(path) {
  return (await call("GET", path)).arrayBuffer();
}

/** A file of a case and the name that the server gives it. */
export async function fetchFile(path) {
  const response = await call("GET", path);
  const said = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") ?? "");
  return { blob: await response.blob(), name: said ? decodeURIComponent(said[1]) : path.split("/").at(-1) };
}

async function call(method, path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method, credentials: "same-origin", ...options });
  } catch {
    throw new ServerError({ what: t("lost.server") }, 0);
  }
  if (response.ok) return response;
  let error = { what: t("error.status", { status: response.status }) };
  try {
    error = (await response.json()).error ?? error;
  } catch {
    // A body that is no JSON says no more than the status does.
  }
  throw new ServerError(error, response.status);
}

/**
 * Listen to what happens to cases: `onEvent` gets `{case, state, step, share}`; `onLost` is called once, when the server
 * stops to answer. Returns a function that ends it.
 */
export function listen(onEvent, onLost) {
  const source = new EventSource("/api/events");
  source.onmessage = (message) => onEvent(JSON.parse(message.data));
  source.onerror = () => {
    source.close();
    onLost();
  };
  return () => source.close();
}
