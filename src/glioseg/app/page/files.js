// Files and folders that were dropped or chosen, each with its path within what was dropped.

/** Of a drop: folders are walked through. Entries must be asked for before anything is waited for. */
export async function droppedFiles(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const loose = items.map((item) => item.getAsFile());
  const found = await Promise.all(
    entries.map((entry, row) => (entry ? walk(entry, "") : [{ file: loose[row], path: loose[row].name }])),
  );
  return found.flat();
}

/** Of a file input. */
export function pickedFiles(input) {
  const found = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  input.value = "";
  return found;
}

async function walk(entry, folder) {
  const path = folder ? `${folder}/${entry.name}` : entry.name;
  if (entry.isFile) return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path }];
  const found = [];
  for (const child of await children(entry)) found.push(...(await walk(child, path)));
  return found;
}

/** All entries of a folder; a reader gives a hundred at a time, and none when it is through. */
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
