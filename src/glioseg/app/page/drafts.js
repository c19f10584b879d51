// Corrections that are not saved yet, kept by the browser so that a reload or a crash costs nothing. A draft is labels
// and the number of the mask that they began from: no names, no scans.

const STORE = "drafts";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("glioseg", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Run `act(store)`; null where the browser keeps nothing, as in private windows of some. */
async function within(mode, act) {
  let base;
  try {
    base = await open();
    return await new Promise((resolve, reject) => {
      const request = act(base.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result ?? null);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return null;
  } finally {
    base?.close();
  }
}

export function keepDraft(id, draft) {
  return within("readwrite", (store) => store.put(draft, id));
}

export function readDraft(id) {
  return within("readonly", (store) => store.get(id));
}

export function dropDraft(id) {
  return within("readwrite", (store) => store.delete(id));
}
