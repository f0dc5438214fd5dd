// Segment a case: crop, resample, normalise, predict windows, merge, choose, postprocess; as inference/predictor.py.

import { Tally, describe, entropy } from "./features.js";
import { product } from "./grid.js";
import { Moments, normaliser } from "./intensity.js";
import { chooseClasses, merge, onSource } from "./merge.js";
import { postprocess } from "./postprocess.js";
import { neededPlanes, resamplePlanes, resampledShape } from "./resample.js";
import { choose } from "./windows.js";

const PART_BYTES = 64 * 2 ** 20;
const planesAtOnce = (plane, bytes) => Math.max(1, Math.floor(PART_BYTES / (plane * bytes)));

/** A scan that is cropped and resampled plane by plane. channels: Float32Arrays in RAS+, x fastest. */
export class PreparedScan {
  constructor({ channels, shape, spacing }, { crop, spacing_mm: target, normalisation }) {
    Object.assign(this, { channels, source: shape, scheme: normalisation });
    this.box = crop === "nonzero" ? foreground(channels, shape) : shape.map((n) => [0, n]);
    this.cropped = this.box.map(([low, high]) => high - low);
    this.shape = resampledShape(this.cropped, spacing, target ?? spacing);
  }

  /** Return the planes from `start` to `stop` of each channel. */
  planes(start, stop) {
    const [low, high] = neededPlanes(this.cropped[2], this.shape[2], start, stop);
    return this.channels.map((channel) =>
      resamplePlanes(this.cut(channel, low, high), low, this.cropped, this.shape, start, stop));
  }

  cut(channel, low, high) {
    const [[x0, x1], [y0, y1], [z0]] = this.box, [nx, ny] = this.source, width = x1 - x0;
    if (width === nx && y1 - y0 === ny) return channel.subarray((z0 + low) * nx * ny, (z0 + high) * nx * ny);
    const out = new Float32Array(width * (y1 - y0) * (high - low));
    let at = 0;
    for (let z = z0 + low; z < z0 + high; z++) {
      for (let y = y0; y < y1; y++, at += width) {
        const row = x0 + nx * (y + ny * z);
        out.set(channel.subarray(row, row + width), at);
      }
    }
    return out;
  }

  /** Return mean and standard deviation of each channel for the normalisation. */
  statistics() {
    const moments = this.channels.map(() => new Moments(this.scheme));
    const depth = planesAtOnce(this.shape[0] * this.shape[1], 4 * this.channels.length);
    for (let start = 0; this.scheme !== "window" && start < this.shape[2]; start += depth) {
      this.planes(start, Math.min(start + depth, this.shape[2])).forEach((part, c) => moments[c].add(part));
    }
    return moments.map((one) => one.statistics());
  }

  /** Return whether zero is background and fills most of the box's faces. */
  backgroundIsZero() {
    if (this.scheme !== "zscore") return false;
    const [nx, ny] = this.source;
    let zeros = 0, all = 0;
    for (let axis = 0; axis < 3; axis++) {
      for (const at of [this.box[axis][0], this.box[axis][1] - 1]) {
        const [xs, ys, zs] = this.box.map((side, i) => (i === axis ? [at, at + 1] : side));
        for (let z = zs[0]; z < zs[1]; z++) {
          for (let y = ys[0]; y < ys[1]; y++) {
            for (let x = xs[0]; x < xs[1]; x++, all++) {
              const i = x + nx * (y + ny * z);
              if (this.channels.every((channel) => channel[i] === 0)) zeros++;
            }
          }
        }
      }
    }
    return zeros / all > 0.5;
  }
}

function foreground(channels, shape) {
  const box = shape.map((n) => [n, 0]);
  let at = 0;
  for (let z = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[0]; x++, at++) {
        if (channels.every((channel) => channel[at] === 0)) continue;
        if (x < box[0][0]) box[0][0] = x;
        if (x >= box[0][1]) box[0][1] = x + 1;
        if (y < box[1][0]) box[1][0] = y;
        if (y >= box[1][1]) box[1][1] = y + 1;
        if (z < box[2][0]) box[2][0] = z;
        if (z >= box[2][1]) box[2][1] = z + 1;
      }
    }
  }
  return box[0][1] ? box : shape.map((n) => [0, n]);
}

/** Segment a scan; return {classes (RAS+, x fastest), window, windows, features (null without a calibration)}.
 *  run(network, window): async, a network's probabilities of a window (x, y, z, channel), the last axis fastest.
 *  progress(done, all): called after each window. */
export async function segment(model, scan, run, progress = () => {}) {
  const prepared = new PreparedScan(scan, model.preprocessing), statistics = prepared.statistics();
  const zeroBorder = prepared.backgroundIsZero();
  const extent = { shape: prepared.shape, sourceVoxels: product(scan.shape), sourceBytes: scan.bytes };
  const tiling = choose(model, extent, zeroBorder), all = tiling.count * model.networks.length;
  let done = 0, skipped = 0;
  const layer = { low: -1, planes: null };
  const members = model.networks.map((network, number) => {
    const normalise = scan.channels.map((_, c) => normaliser(prepared.scheme, statistics[c], network.intensity[c]));
    return async (places) => {
      const input = windowOf(prepared, tiling, places, layer, normalise);
      let out;
      if (zeroBorder && input.empty) {
        skipped++;
        out = background(model, product(tiling.window));
      } else {
        out = await predict(model, tiling.window, input.values, (values) => run(number, values, tiling.window));
      }
      progress(++done, all);
      return out;
    };
  });
  const classes = new Uint8Array(product(scan.shape)), [nx, ny] = scan.shape, [[x0, x1], [y0, y1], [z0]] = prepared.box;
  const merged = merge(tiling, channelsOf(model), members), tally = model.statement.calibration ? new Tally(model) : null;
  for await (const { first, planes } of onSource(merged, prepared.shape, prepared.cropped)) {
    const width = x1 - x0, height = y1 - y0, slab = tally && new Uint8Array(planes[0].length);
    chooseClasses(planes, model.classes, model.regions, (i, chosen) => {
      if (slab) slab[i] = chosen;
      const x = i % width, y = Math.floor(i / width) % height, z = Math.floor(i / (width * height));
      classes[x0 + x + nx * (y0 + y + ny * (z0 + first + z))] = chosen;
    });
    tally?.add(slab, planes);
  }
  postprocess(classes, scan.shape, model.labels, model.operations, product(scan.spacing));
  return { classes, window: tiling.window, windows: all, skipped, features: tally && describe(model, scan, classes, tally) };
}

/** Return the channels of a prediction: the classes; for the statement, also the mean entropy of several predictions. */
const channelsOf = (model) => model.classes + (model.statement.calibration && model.predictions > 1 ? 1 : 0);

/** Return a window's input (x, y, z, channel), normalised, 0 outside the volume; and whether all its voxels are 0. */
function windowOf(prepared, tiling, places, layer, normalise) {
  const [nx, ny, nz] = tiling.shape, [wx, wy, wz] = tiling.window, channels = normalise.length;
  const low = Math.max(0, places[2].start), high = Math.min(nz, places[2].start + wz);
  if (layer.low !== low) Object.assign(layer, { low, planes: null }).planes = prepared.planes(low, high);
  const values = new Float32Array(wx * wy * wz * channels);
  let empty = true;
  for (let x = places[0].low; x < places[0].high; x++) {
    for (let y = places[1].low; y < places[1].high; y++) {
      let to = (((x - places[0].start) * wy + (y - places[1].start)) * wz + (low - places[2].start)) * channels;
      for (let z = low, from = x + nx * y; z < high; z++, from += nx * ny) {
        for (let c = 0; c < channels; c++) {
          const value = layer.planes[c][from];
          if (value !== 0) empty = false;
          values[to++] = normalise[c](value);
        }
      }
    }
  }
  return { values, empty };
}

/** Return the prediction of an empty window: background, in equal shares of the members. */
function background(model, voxels) {
  const channels = channelsOf(model), out = new Float32Array(voxels * channels);
  if (!model.regions) for (let i = 0; i < out.length; i += channels) out[i] = 1 / model.networks.length;
  return out;
}

/** Return a network's share of the mean prediction, over mirrored images if the model takes them. */
async function predict(model, window, values, run) {
  const { classes } = model, channels = channelsOf(model);
  let total = null;
  for (const axes of model.mirrors) {
    const found = mirrored(await run(mirrored(values, window, axes)), window, axes);
    const said = channels > classes ? withEntropy(found, classes, model.regions) : found;
    if (model.predictions > 1) {
      const share = model.predictions;
      for (let i = 0; i < said.length; i++) said[i] /= share;
    }
    if (total) for (let i = 0; i < said.length; i++) total[i] += said[i];
    else total = said;
  }
  return total;
}

/** Return a prediction with its entropy as a last channel. */
function withEntropy(found, classes, regions) {
  const out = new Float32Array((found.length / classes) * (classes + 1));
  for (let from = 0, to = 0; from < found.length; from += classes, to += classes + 1) {
    for (let c = 0; c < classes; c++) out[to + c] = found[from + c];
    out[to + classes] = entropy(classes, regions, (c) => found[from + c]);
  }
  return out;
}

function mirrored(values, [wx, wy, wz], axes) {
  if (!axes.length) return values;
  const channels = values.length / (wx * wy * wz), out = new Float32Array(values.length);
  for (let x = 0; x < wx; x++) {
    for (let y = 0; y < wy; y++) {
      for (let z = 0; z < wz; z++) {
        const [a, b, c] = [x, y, z].map((at, i) => (axes.includes(i) ? [wx, wy, wz][i] - 1 - at : at));
        const to = ((x * wy + y) * wz + z) * channels, from = ((a * wy + b) * wz + c) * channels;
        for (let i = 0; i < channels; i++) out[to + i] = values[from + i];
      }
    }
  }
  return out;
}
