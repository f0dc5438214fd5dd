// Postprocess a label map: remove components, fill holes; as inference/postprocessing.py. x is fastest in memory.

/** Apply each label's operations in place: components of all labels first, then holes. */
export function postprocess(classes, shape, labels, operations, voxelMm3) {
  const of = (label) => operations[label.name] ?? {};
  const removes = (label) => of(label).largest_component || of(label).smallest_mm3 > 0;
  if (labels.some(removes)) {
    const masks = labels.some((label) => label.parts) ? labels.map((label) => maskOf(classes, label)) : null;
    if (masks) classes.fill(0);
    labels.forEach((label, index) => {
      const mask = masks ? masks[index] : removes(label) ? maskOf(classes, label) : null;
      if (!mask) return;
      const found = boxOf(mask, shape, 0);
      if (!found) return;
      if (removes(label)) keepComponents(mask, shape, found, of(label), voxelMm3, masks ? null : classes);
      if (masks) for (let i = 0; i < mask.length; i++) if (mask[i]) classes[i] = label.value;
    });
  }
  for (const label of labels) if (of(label).fill_holes) fillHoles(classes, shape, label);
  return classes;
}

/** Return the mask of a label. */
export function maskOf(classes, label) {
  const values = new Uint8Array(256), out = new Uint8Array(classes.length);
  for (const value of label.parts ?? [label.value]) values[value] = 1;
  for (let i = 0; i < classes.length; i++) out[i] = values[classes[i]];
  return out;
}

/** Return the box [[low, high], …] around the voxels of a mask, widened by `more` within the shape; null if empty. */
export function boxOf(mask, shape, more) {
  const box = shape.map((n) => [n, 0]);
  let at = 0;
  for (let z = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[0]; x++, at++) {
        if (!mask[at]) continue;
        [x, y, z].forEach((value, i) => {
          if (value < box[i][0]) box[i][0] = value;
          if (value >= box[i][1]) box[i][1] = value + 1;
        });
      }
    }
  }
  return box[0][1] ? box.map(([low, high], i) => [Math.max(0, low - more), Math.min(shape[i], high + more)]) : null;
}

/** Number the face-connected components of the voxels in a box that satisfy `inside`; visit each component's voxels.
 *  visit(voxels: list of indices, touches: whether the component reaches a side of the box with several voxels). */
export function eachComponent(shape, box, inside, visit) {
  const [nx, ny] = shape, seen = new Uint8Array(shape[0] * shape[1] * shape[2]), steps = [1, nx, nx * ny];
  for (let z = box[2][0]; z < box[2][1]; z++) {
    for (let y = box[1][0]; y < box[1][1]; y++) {
      for (let x = box[0][0]; x < box[0][1]; x++) {
        const start = x + nx * (y + ny * z);
        if (seen[start] || !inside(start)) continue;
        const voxels = [start];
        let touches = false;
        seen[start] = 1;
        for (let next = 0; next < voxels.length; next++) {
          const at = voxels[next], place = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))];
          for (let axis = 0; axis < 3; axis++) {
            const [low, high] = box[axis];
            if (high - low > 1 && (place[axis] === low || place[axis] === high - 1)) touches = true;
            for (const sign of [-1, 1]) {
              const to = at + sign * steps[axis], where = place[axis] + sign;
              if (where < low || where >= high || seen[to] || !inside(to)) continue;
              seen[to] = 1;
              voxels.push(to);
            }
          }
        }
        visit(voxels, touches);
      }
    }
  }
}

/** Remove the components of a mask that an operation does not keep; also from `classes`, where it is given. */
function keepComponents(mask, shape, box, operation, voxelMm3, classes) {
  const [nx, ny, nz] = shape, all = [];
  const rank = (at) => ((at % nx) * ny + (Math.floor(at / nx) % ny)) * nz + Math.floor(at / (nx * ny));
  eachComponent(shape, box, (at) => mask[at], (voxels) => all.push(
    { voxels, first: voxels.reduce((low, at) => Math.min(low, rank(at)), Infinity) }));
  // SciPy numbers components in the order of their first voxel with z fastest: of equal ones, the first is the largest.
  const largest = all.reduce((a, b) => (b.voxels.length > a.voxels.length
    || (b.voxels.length === a.voxels.length && b.first < a.first) ? b : a));
  for (const one of all) {
    const small = operation.smallest_mm3 > 0 && one.voxels.length * voxelMm3 < operation.smallest_mm3;
    if (!small && (!operation.largest_component || one === largest)) continue;
    for (const at of one.voxels) {
      mask[at] = 0;
      if (classes) classes[at] = 0;
    }
  }
}

/** Fill background that a label encloses. */
function fillHoles(classes, shape, label) {
  const mask = maskOf(classes, label), box = boxOf(mask, shape, 1);
  if (!box) return;
  eachComponent(shape, box, (at) => !mask[at], (voxels, touches) => {
    if (touches || voxels.some((at) => classes[at])) return;
    for (const at of voxels) classes[at] = label.value;
  });
}
