// Resample volumes between a case's grid and the network's grid, as preprocessing/resample.py.
// Linear interpolation over the same extent; positions beyond the centres of the outer voxels take the outer value.

import { roundEven } from "./grid.js";

/** Return the voxels per axis after resampling from a spacing to another one, in mm. */
export const resampledShape = (shape, spacing, target) =>
  shape.map((n, i) => Math.max(1, roundEven((n * spacing[i]) / target[i])));

/** Return the planes [low, high] of `depth` that the planes from `start` to `stop` of `newDepth` need. */
export function neededPlanes(depth, newDepth, start, stop) {
  if (depth === newDepth) return [start, stop];
  const step = depth / newDepth;
  return [Math.max(0, Math.floor((start + 0.5) * step - 0.5)), Math.min(depth, Math.floor((stop - 0.5) * step - 0.5) + 2)];
}

/** Return for each new voxel from `start` to `stop`: the two voxels before and after it, and the weight of the second. */
function taps(size, newSize, start, stop, first) {
  const low = new Int32Array(stop - start), high = new Int32Array(stop - start), share = new Float64Array(stop - start);
  const step = size / newSize;
  for (let i = start; i < stop; i++) {
    const at = Math.min(size - 1, Math.max(0, step / 2 - 0.5 + i * step)), floor = Math.floor(at);
    low[i - start] = floor - first;
    high[i - start] = Math.min(floor + 1, size - 1) - first;
    share[i - start] = at - floor;
  }
  return { low, high, share };
}

/** Return the planes from `start` to `stop` of a resampled volume.
 *  part: planes from `first` on of a volume of shape [nx, ny, depth]; newShape: of the resampled volume. */
export function resamplePlanes(part, first, [nx, ny, depth], newShape, start, stop) {
  if (newShape[0] === nx && newShape[1] === ny && newShape[2] === depth) {
    return part.subarray((start - first) * nx * ny, (stop - first) * nx * ny);
  }
  const xs = taps(nx, newShape[0], 0, newShape[0], 0), ys = taps(ny, newShape[1], 0, newShape[1], 0);
  const zs = taps(depth, newShape[2], start, stop, first);
  const out = new Float32Array(newShape[0] * newShape[1] * (stop - start)), plane = nx * ny;
  let at = 0;
  for (let z = 0; z < stop - start; z++) {
    const z0 = zs.low[z] * plane, z1 = zs.high[z] * plane, fz = zs.share[z];
    for (let y = 0; y < newShape[1]; y++) {
      const y0 = ys.low[y] * nx, y1 = ys.high[y] * nx, fy = ys.share[y];
      const a = z0 + y0, b = z0 + y1, c = z1 + y0, d = z1 + y1;
      for (let x = 0; x < newShape[0]; x++) {
        const i = xs.low[x], j = xs.high[x], fx = xs.share[x];
        const p = part[a + i] + (part[a + j] - part[a + i]) * fx, q = part[b + i] + (part[b + j] - part[b + i]) * fx;
        const r = part[c + i] + (part[c + j] - part[c + i]) * fx, s = part[d + i] + (part[d + j] - part[d + i]) * fx;
        const near = p + (q - p) * fy, far = r + (s - r) * fy;
        out[at++] = near + (far - near) * fz;
      }
    }
  }
  return out;
}
