// Correcting a label map: shapes of brushes, filling, locks, undo, volumes. No DOM here: the tests run this file in Node.
//
// A `session` holds the labels as they are being corrected. Voxels are numbered x fastest; a point is [x, y, z]; `plane`
// is the axis that a slice stands on: 0 sagittal, 1 coronal, 2 axial.

const MAX_UNDO = 100;

/**
 * Begin to correct `labels` (Uint8Array) of `dims` voxels of `spacing` mm; `labels` itself is kept as it is. `voxel` is
 * the volume of a voxel: in ml, or 1 where nobody knows its size and voxels are counted.
 */
export function createSession(labels, dims, spacing, voxel = (spacing[0] * spacing[1] * spacing[2]) / 1000) {
  const counts = new Float64Array(256);
  for (const value of labels) counts[value] += 1;
  return {
    original: labels,
    labels: labels.slice(),
    nChanged: 0,
    dims: [...dims],
    spacing: [...spacing],
    voxel,
    locked: new Set(),
    counts,
    stroke: new Map(),
    undo: [],
    redo: [],
  };
}

/**
 * Give the voxels `label`, 0 to erase. Locked labels are neither overwritten nor given. `allowed(index)` may leave out
 * voxels. What changes until `commit` is one step of undo. Returns how many voxels changed.
 */
export function paint(session, indices, label, allowed = null) {
  if (session.locked.has(label)) return 0;
  let n = 0;
  for (const index of indices) {
    const old = session.labels[index];
    if (old === label || session.locked.has(old) || (allowed && !allowed(index))) continue;
    if (!session.stroke.has(index)) session.stroke.set(index, old);
    put(session, index, label);
    n += 1;
  }
  return n;
}

function put(session, index, label) {
  const [before, original] = [session.labels[index], session.original[index]];
  session.counts[before] -= 1;
  session.counts[label] += 1;
  session.nChanged += (label !== original) - (before !== original);
  session.labels[index] = label;
}

/** Close a stroke: what was painted since the last becomes one step of undo. Returns whether anything changed. */
export function commit(session) {
  const changed = [...session.stroke].filter(([index, old]) => session.labels[index] !== old);
  session.stroke.clear();
  if (changed.length === 0) return false;
  session.undo.push({
    indices: Uint32Array.from(changed, ([index]) => index),
    before: Uint8Array.from(changed, ([, old]) => old),
    after: Uint8Array.from(changed, ([index]) => session.labels[index]),
  });
  if (session.undo.length > MAX_UNDO) session.undo.shift();
  session.redo.length = 0;
  return true;
}

/** Take back what was painted since the last `commit`. */
export function cancelStroke(session) {
  for (const [index, old] of session.stroke) put(session, index, old);
  session.stroke.clear();
}

/** Take back the last step. Returns whether there was one. */
export function undo(session) {
  commit(session);
  return replay(session, session.undo, session.redo, "before");
}

/** Do again what was taken back last. Returns whether there was something. */
export function redo(session) {
  commit(session);
  return replay(session, session.redo, session.undo, "after");
}

function replay(session, from, to, side) {
  const step = from.pop();
  if (!step) return false;
  step.indices.forEach((index, row) => put(session, index, step[side][row]));
  to.push(step);
  return true;
}

/** Whether the labels differ from those that the session began with or that were kept last. */
export function isChanged(session) {
  return session.nChanged > 0;
}

/** The session from now on compared with `original`, which was kept. */
export function keptAs(session, original) {
  const nChanged = session.labels.reduce((sum, value, index) => sum + (value !== original[index]), 0);
  return { ...session, original, nChanged };
}

/** Put back a slice as it was when the session began or was kept last; locks hold here too. Returns how many voxels changed. */
export function revertSlice(session, plane, position) {
  let n = 0;
  for (const index of sliceIndices(session.dims, plane, position)) n += paint(session, [index], session.original[index]);
  return n;
}

/** The volume of a region, the union of label values. */
export function volumeOf(session, values) {
  return values.reduce((sum, value) => sum + session.counts[value], 0) * session.voxel;
}

export function indexOf(dims, [x, y, z]) {
  return x + dims[0] * (y + dims[1] * z);
}

export function pointOf(dims, index) {
  const rest = Math.floor(index / dims[0]);
  return [index % dims[0], rest % dims[1], Math.floor(rest / dims[1])];
}

export function isInside(dims, point) {
  return point.every((value, axis) => value >= 0 && value < dims[axis]);
}

/** The voxels of one slice. */
export function* sliceIndices(dims, plane, position) {
  const [a, b] = inPlane(plane);
  const point = [0, 0, 0];
  point[plane] = position;
  for (point[b] = 0; point[b] < dims[b]; point[b] += 1) {
    for (point[a] = 0; point[a] < dims[a]; point[a] += 1) yield indexOf(dims, point);
  }
}

/** The two axes that span a plane. */
export function inPlane(plane) {
  return [0, 1, 2].filter((axis) => axis !== plane);
}

/** The voxels whose centres lie within `radiusMm` of a voxel's centre: of its slice, or in space where `plane` is null. */
export function ball(dims, spacing, centre, radiusMm, plane = null) {
  const reach = spacing.map((size, axis) => (axis === plane ? 0 : Math.floor(radiusMm / size)));
  const found = [];
  for (let dz = -reach[2]; dz <= reach[2]; dz += 1) {
    for (let dy = -reach[1]; dy <= reach[1]; dy += 1) {
      for (let dx = -reach[0]; dx <= reach[0]; dx += 1) {
        const distance = Math.hypot(dx * spacing[0], dy * spacing[1], dz * spacing[2]);
        const point = [centre[0] + dx, centre[1] + dy, centre[2] + dz];
        if (distance <= radiusMm + 1e-6 && isInside(dims, point)) found.push(indexOf(dims, point));
      }
    }
  }
  return found;
}

/** The voxels on the way from one point to another, both included, so that a quick stroke has no gaps. */
export function line(from, to) {
  const steps = Math.max(1, ...from.map((value, axis) => Math.abs(to[axis] - value)));
  return Array.from({ length: steps + 1 }, (_, step) =>
    from.map((value, axis) => Math.round(value + ((to[axis] - value) * step) / steps)),
  );
}

/** The region of one label around a point within its slice, connected by edges: what the fill tool fills. */
export function sameLabelOnSlice(session, start, plane) {
  const value = session.labels[indexOf(session.dims, start)];
  return connected(session.dims, start, inPlane(plane), (index) => session.labels[index] === value);
}

/** The mean probability of the 3 × 3 × 3 voxels around a point: what smart fill starts from. */
export function localProbability(probabilities, dims, point) {
  let sum = 0;
  let n = 0;
  for (let step = 0; step < 27; step += 1) {
    const near = [(step % 3) - 1, (Math.floor(step / 3) % 3) - 1, Math.floor(step / 9) - 1].map((d, axis) => point[axis] + d);
    if (!isInside(dims, near)) continue;
    sum += probabilities[indexOf(dims, near)];
    n += 1;
  }
  return sum / n;
}

/**
 * The voxels connected with a point, by faces, whose probability is at least `threshold`; the point itself always
 * belongs to them.
 */
export function smartFill(probabilities, dims, start, threshold) {
  const own = indexOf(dims, start);
  return connected(dims, start, [0, 1, 2], (index) => index === own || probabilities[index] >= threshold);
}

function connected(dims, start, axes, belongs) {
  const strides = [1, dims[0], dims[0] * dims[1]];
  const seen = new Uint8Array(dims[0] * dims[1] * dims[2]);
  const first = indexOf(dims, start);
  const found = [];
  const queue = [first];
  seen[first] = 1;
  while (queue.length > 0) {
    const index = queue.pop();
    if (!belongs(index)) continue;
    found.push(index);
    const point = pointOf(dims, index);
    for (const axis of axes) {
      for (const step of [-1, 1]) {
        const value = point[axis] + step;
        const next = index + step * strides[axis];
        if (value < 0 || value >= dims[axis] || seen[next]) continue;
        seen[next] = 1;
        queue.push(next);
      }
    }
  }
  return found;
}

/**
 * Edges around the voxels of a slice for which `belongs(index)` holds, as [a0, b0, a1, b1] in voxel corners of the two
 * axes of `inPlane(plane)`: outlines that fall exactly between voxels.
 */
export function outline(dims, plane, position, belongs) {
  const [a, b] = inPlane(plane);
  const strides = [1, dims[0], dims[0] * dims[1]];
  const base = position * strides[plane];
  const isIn = (i, j) =>
    i >= 0 && j >= 0 && i < dims[a] && j < dims[b] && belongs(base + i * strides[a] + j * strides[b]);
  const edges = [];
  for (let j = 0; j <= dims[b]; j += 1) {
    for (let i = 0; i <= dims[a]; i += 1) {
      const own = isIn(i, j);
      if (own !== isIn(i - 1, j)) edges.push([i, j, i, j + 1]);
      if (own !== isIn(i, j - 1)) edges.push([i, j, i + 1, j]);
    }
  }
  return edges;
}

/** The slice of each plane that cuts most voxels of the label values, null where there are none. */
export function largestSection(labels, dims, values) {
  const wanted = new Set(values);
  const areas = dims.map((size) => new Uint32Array(size));
  labels.forEach((value, index) => {
    if (!wanted.has(value)) return;
    pointOf(dims, index).forEach((at, axis) => {
      areas[axis][at] += 1;
    });
  });
  const best = areas.map((own) => own.reduce((top, area, at) => (area > own[top] ? at : top), 0));
  return areas[0].some((area) => area > 0) ? best : null;
}
