// Positions and weights of the windows of a volume, as inference/windows.py and inference/memory.py.

import { product, roundEven } from "./grid.js";

const centred = (size, side) => -Math.floor((side - size) / 2);

/** Return the first voxels of windows along an axis; neighbours overlap by a share of a side. */
export function starts(size, patch, overlap) {
  if (size < patch) return [centred(size, patch)];
  const stride = Math.max(1, roundEven(patch * (1 - overlap))), out = [];
  for (let at = 0; at < size - patch; at += stride) out.push(at);
  return [...out, size - patch];
}

function tilingOf(shape, window, along, sigma) {
  const places = shape.map((n, i) => along[i].map((start) => ({
    start, low: Math.max(0, start), high: Math.min(n, start + window[i]) })));
  return { shape, window, places, sigma, count: product(places.map((one) => one.length)),
           depth: Math.max(...places[2].map((place) => place.high - place.low)) };
}

/** Return the paper's windows: patches that overlap by a share of a side. */
export const overlapping = (shape, patch, overlap, sigma) =>
  tilingOf(shape, patch, shape.map((n, i) => starts(n, patch[i], overlap)), sigma);

/** Return few large windows with minimal overlap of at most `mostVoxels` each. */
export function large(shape, patch, divisor, mostVoxels, sigma, pad) {
  const sides = shape.map((n, i) => sidesOf(n, patch[i], divisor[i], Math.max(divisor[i], Math.floor(patch[i] / 4)), pad));
  const choices = [];
  for (const x of sides[0]) for (const y of sides[1]) for (const z of sides[2]) {
    choices.push({ counts: [x[0], y[0], z[0]], window: [x[1], y[1], z[1]] });
  }
  const usual = choices.filter((choice) => choice.window.every((w, i) => w >= Math.min(patch[i], shape[i])));
  const fits = (all) => all.filter((choice) => product(choice.window) <= mostVoxels);
  const fitting = [fits(usual), fits(choices)].find((all) => all.length)
    ?? [least(choices, (choice) => [product(choice.window)])];
  const { counts, window } = least(fitting, (c) => [product(c.counts) * product(c.window), product(c.counts)]);
  return tilingOf(shape, window, shape.map((n, i) => evenly(n, window[i], counts[i])), sigma);
}

/** Return the first of the elements whose key is least; keys are lists of numbers. */
function least(all, key) {
  return all.reduce((best, one) => {
    const a = key(one), b = key(best), i = a.findIndex((value, j) => value !== b[j]);
    return i >= 0 && a[i] < b[i] ? one : best;
  });
}

function sidesOf(size, patch, divisor, overlap, pad) {
  const whole = Math.ceil(size / divisor) * divisor, found = new Map();
  if (pad || whole === size || size < patch) found.set(whole, 1);
  const add = (side, number) => { if (!found.has(side)) found.set(side, number); };
  if (size >= divisor) {
    for (let number = 2; number < Math.floor(size / divisor) + 2; number++) {
      const side = Math.ceil((size + overlap * (number - 1)) / number / divisor) * divisor;
      if (overlap < side && side < size) add(side, number);
    }
    add(Math.floor(size / divisor) * divisor, 2);
  }
  return [...found].map(([side, number]) => [number, side]);
}

function evenly(size, side, number) {
  if (number === 1) return [centred(size, side)];
  return Array.from({ length: number }, (_, i) => roundEven((i * (size - side)) / (number - 1)));
}

/** Return the Gaussian weight of each voxel of a window (z fastest), at least 1e-4, with maximum 1. */
export function gaussianWeight(window, sigma) {
  const along = window.map((side) => Float64Array.from({ length: side }, (_, i) =>
    Math.exp(-0.5 * ((i - (side - 1) / 2) / (sigma * side)) ** 2)));
  const most = product(along.map((axis) => axis.reduce((a, b) => Math.max(a, b))));
  const out = new Float32Array(product(window));
  let at = 0;
  for (const x of along[0]) for (const y of along[1]) for (const z of along[2]) out[at++] = Math.max((x * y * z) / most, 1e-4);
  return out;
}

/** Return the tiling of a case: the first that pocket-infer would choose and whose network fits into the browser. */
export function choose(model, extent, zeroBorder) {
  const { patch, overlap, sigma, divisor, limits, choice } = model.windows;
  if (choice === "plan" || choice === "sparse") {
    return overlapping(extent.shape, patch, choice === "sparse" ? Math.min(limits.sparse_overlap, overlap) : overlap, sigma);
  }
  const tilings = limits.window_voxels.map((most) =>
    large(extent.shape, patch, divisor, most, sigma, zeroBorder || choice === "padded"));
  const network = (tiling) => limits.activation_mib * product(tiling.window);
  return tilings.find((tiling) => need(model, extent, tiling, network(tiling)) <= limits.default_mib
    && network(tiling) <= limits.browser_network_mib) ?? tilings.at(-1);
}

/** Return the memory in MiB that pocket-infer predicts for a tiling. */
function need(model, extent, tiling, activation) {
  const { limits } = model.windows, mib = 2 ** 20, inputs = model.modalities.length;
  const channels = model.classes + (model.predictions > 1 ? 1 : 0);
  const plane = extent.shape[0] * extent.shape[1], voxels = extent.sourceVoxels, images = extent.sourceBytes;
  const layer = plane * (Math.min(tiling.window[2], extent.shape[2]) * inputs + tiling.depth * (channels + 1)) * 4;
  const network = activation + (product(tiling.window) * (3 * inputs + 3 * channels) * 4) / mib;
  const components = (limits.component_bytes * voxels) / mib + (voxels > limits.release_voxels ? 0 : network);
  const working = (images + voxels) / mib + layer / mib + network + (3 * limits.part_bytes) / mib;
  return Math.ceil(limits.start_mib + Math.max((2.2 * images) / mib, working,
    (images + voxels) / mib + (Object.keys(model.operations).length ? components : 0)));
}
