// Grids of volumes: affines (3×4, mm), orientations, reordering between file axes and RAS+, as preprocessing/grid.py.
// In memory, volumes are RAS+ with x fastest: index = x + nx * (y + ny * z).

const FLAT = 1e-6, SMALLEST_MM = 1e-7;

/** Return the length of a column of a matrix. */
export const norm = (matrix, column) => Math.hypot(matrix[0][column], matrix[1][column], matrix[2][column]);

/** Return the product of a shape's sides. */
export const product = (values) => values.reduce((a, b) => a * b, 1);

/** Round to the nearest whole number, and halves to the even one, as Python does. */
export function roundEven(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** Return the largest distance between the places that two affines give a voxel. */
export function apart(a, b, shape) {
  let most = 0;
  for (let corner = 0; corner < 8; corner++) {
    const at = [0, 1, 2].map((i) => ((corner >> i) & 1) * (shape[i] - 1));
    const difference = a.map((row, i) => row[3] - b[i][3] + at.reduce((sum, n, j) => sum + n * (row[j] - b[i][j]), 0));
    most = Math.max(most, Math.hypot(...difference));
  }
  return most;
}

const determinant = (m) => m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
  + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);

/** Return the inverse of the transpose of a 3×3 matrix. */
function inverseTransposed(m) {
  const d = determinant(m);
  return [0, 1, 2].map((i) => [0, 1, 2].map((j) => {
    const [a, b] = [(i + 1) % 3, (i + 2) % 3], [c, e] = [(j + 1) % 3, (j + 2) % 3];
    return (m[a][c] * m[b][e] - m[a][e] * m[b][c]) / d;
  }));
}

/** Return whether voxels with this affine have a size. */
export function isUsable(affine) {
  const sides = [0, 1, 2].map((i) => norm(affine, i));
  return affine.every((row) => row.every(Number.isFinite)) && sides.every((side) => side > SMALLEST_MM)
    && Math.abs(determinant(affine.map((row) => row.slice(0, 3).map((v, j) => v / sides[j])))) >= FLAT;
}

/** Return, per file axis, the RAS axis that it is closest to and whether it runs backwards: [axis, flipped].
 *  Source: nibabel's io_orientation. The nearest rotation is found by Newton's iteration. */
export function orientation(affine) {
  let r = affine.map((row) => row.slice(0, 3).map((value, j) => value / norm(affine, j)));
  for (let step = 0; step < 100; step++) {
    const other = inverseTransposed(r), next = r.map((row, i) => row.map((value, j) => (value + other[i][j]) / 2));
    const change = Math.max(...next.flatMap((row, i) => row.map((value, j) => Math.abs(value - r[i][j]))));
    r = next;
    if (change < 1e-15) break;
  }
  const taken = [false, false, false];
  return [0, 1, 2].map((column) => {
    let best = -1;
    for (let i = 0; i < 3; i++) {
      if (!taken[i] && (best < 0 || Math.abs(r[i][column]) > Math.abs(r[best][column]))) best = i;
    }
    taken[best] = true;
    return [best, r[best][column] < 0];
  });
}

/** Return how a file's axes lie: {shape, spacing} along RAS+ x, y, z, and start and steps of RAS+ in the file's order. */
export function rasLayout(shape, affine) {
  const turned = orientation(affine), strides = [1, shape[0], shape[0] * shape[1]];
  const out = { shape: [], spacing: [], steps: [], start: 0 };
  turned.forEach(([axis, flipped], file) => {
    out.shape[axis] = shape[file];
    out.spacing[axis] = norm(affine, file);
    out.steps[axis] = flipped ? -strides[file] : strides[file];
    if (flipped) out.start += (shape[file] - 1) * strides[file];
  });
  return out;
}

/** Call visit(RAS index, file index) for each voxel. */
function eachVoxel({ shape, steps, start }, visit) {
  let at = 0;
  for (let z = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      let from = start + z * steps[2] + y * steps[1];
      for (let x = 0; x < shape[0]; x++, from += steps[0]) visit(at++, from);
    }
  }
}

/** Reorder values from file order to RAS+. */
export function toRas(values, layout) {
  const out = new values.constructor(values.length);
  eachVoxel(layout, (ras, file) => { out[ras] = values[file]; });
  return out;
}

/** Reorder values from RAS+ to file order. */
export function fromRas(values, layout) {
  const out = new values.constructor(values.length);
  eachVoxel(layout, (ras, file) => { out[file] = values[ras]; });
  return out;
}

/** Return whether two grids are the same within 0.001 mm, and within a tenth of a voxel. */
export function sameGrid(a, b) {
  const most = Math.min(1e-3, 0.1 * Math.min(...[0, 1, 2].map((i) => norm(a.affine, i))));
  return a.shape.every((n, i) => n === b.shape[i])
    && a.affine.every((row, i) => row.every((v, j) => Math.abs(v - b.affine[i][j]) <= most + 1e-5 * Math.abs(b.affine[i][j])));
}
