// Merge windows layer by layer, and resample the result back, as inference/merge.py and resample_back.py.
// Slabs are one Float32Array per class, x fastest.

import { gaussianWeight } from "./windows.js";
import { neededPlanes, resamplePlanes } from "./resample.js";

/** Yield {first, count, planes: [per channel]}: the Gaussian-weighted mean prediction, slab by slab along z.
 *  members: async functions from a window's places to its prediction (x, y, z, channel), channel fastest. */
export async function* merge(tiling, channels, members) {
  const [nx, ny] = tiling.shape, plane = nx * ny, layers = tiling.places[2];
  const weight = gaussianWeight(tiling.window, tiling.sigma);
  const total = Array.from({ length: channels }, () => new Float32Array(plane * tiling.depth));
  const weights = new Float32Array(plane * tiling.depth);
  for (let index = 0; index < layers.length; index++) {
    const layer = layers[index];
    for (const [number, member] of members.entries()) {
      for (const x of tiling.places[0]) {
        for (const y of tiling.places[1]) {
          add(total, number ? null : weights, weight, tiling, [x, y, layer], await member([x, y, layer]));
        }
      }
    }
    const end = index + 1 < layers.length ? layers[index + 1].low : layer.high, done = (end - layer.low) * plane;
    for (const channel of total) for (let i = 0; i < done; i++) channel[i] /= weights[i];
    yield { first: layer.low, count: end - layer.low, planes: total.map((channel) => channel.subarray(0, done)) };
    for (const array of [...total, weights]) {
      array.copyWithin(0, done);
      array.fill(0, array.length - done);
    }
  }
}

/** Add a window's prediction to the weighted sums. */
function add(total, weights, weight, tiling, places, said) {
  const [nx, ny] = tiling.shape, [, wy, wz] = tiling.window, classes = total.length, single = Math.fround;
  const [px, py, pz] = places;
  for (let x = px.low; x < px.high; x++) {
    for (let y = py.low; y < py.high; y++) {
      let from = ((x - px.start) * wy + (y - py.start)) * wz + (pz.low - pz.start), to = x + nx * y;
      for (let z = pz.low; z < pz.high; z++, from++, to += nx * ny) {
        const share = weight[from];
        for (let c = 0; c < classes; c++) total[c][to] += single(said[from * classes + c] * share);
        if (weights) weights[to] += share;
      }
    }
  }
}

/** Yield slabs on the cropped part of the case's own grid, resampled linearly. */
export async function* onSource(merged, shape, cropped) {
  if (shape.every((n, i) => n === cropped[i])) {
    yield* merged;
    return;
  }
  const plane = shape[0] * shape[1];
  let base = 0, kept = null, done = 0;
  for await (const { first, count, planes } of merged) {
    kept = planes.map((part, c) => (kept ? joined(kept[c], part) : part.slice()));
    const ready = first + count;
    let stop = cropped[2];
    while (stop > done && neededPlanes(shape[2], cropped[2], done, stop)[1] > ready) stop--;
    if (stop > done) {
      yield { first: done, count: stop - done,
              planes: kept.map((part) => resamplePlanes(part, base, shape, cropped, done, stop)) };
      done = stop;
    }
    if (done < cropped[2]) {
      const low = Math.max(base, Math.min(ready, neededPlanes(shape[2], cropped[2], done, done + 1)[0]));
      kept = kept.map((part) => part.slice((low - base) * plane));
      base = low;
    }
  }
}

function joined(a, b) {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Write the class of each voxel of a slab: the most probable, or of regions the last one above 0.5.
 *  planes: the probabilities of the classes first. */
export function chooseClasses(planes, classes, regions, write) {
  for (let i = 0; i < planes[0].length; i++) {
    let chosen = 0;
    if (regions) {
      for (let c = 0; c < classes; c++) if (planes[c][i] > 0.5) chosen = c + 1;
    } else {
      for (let c = 1; c < classes; c++) if (planes[c][i] > planes[chosen][i]) chosen = c;
    }
    write(i, chosen);
  }
}
