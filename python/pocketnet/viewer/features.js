// What a prediction itself says of its quality, as inference/features.py and ensemble.disagreement.
// Volumes are RAS+ with x fastest; `limits` are the numbers of the Python module.

import { product, roundEven } from "./grid.js";
import { boxOf, eachComponent, maskOf } from "./postprocess.js";
import { measure, standardised } from "./ranges.js";

const AXES = ["x", "y", "z"], LEAST = Math.fround(1e-12);

/** Return the entropy in nats of one voxel: of a place's probabilities, or the sum over regions that overlap. */
export function entropy(count, regions, probability) {
  let sum = 0;
  for (let c = 0; c < count; c++) {
    const p = probability(c);
    sum -= p * Math.log(Math.max(p, LEAST));
    if (regions) sum -= (1 - p) * Math.log(Math.max(1 - p, LEAST));
  }
  return sum;
}

/** Sums over the probabilities of a case's labels. */
export class Tally {
  constructor({ labels, regions, classes, predictions, statement }) {
    Object.assign(this, { labels, regions, classes, predictions, floor: statement.limits.floor });
    this.most = Math.log(Math.min(predictions, regions ? 2 ** classes : classes));
    this.sums = labels.map(() => ({ voxels: 0, within: 0, total: 0, entropy: 0, spread: 0, seen: 0 }));
  }

  /** Add a slab. chosen: its classes; planes: its probabilities, and the mean entropy if there are several predictions. */
  add(chosen, planes) {
    const spread = this.predictions > 1 ? this.disagreement(planes) : null, floor = this.floor;
    this.labels.forEach((label, number) => {
      const channel = planes[this.regions ? label.value - 1 : label.value], sums = this.sums[number];
      for (let i = 0; i < channel.length; i++) {
        const p = channel[i];
        if (!(p > Math.fround(floor))) continue;
        const q = Math.min(1 - floor, Math.max(floor, p));
        sums.seen++;
        sums.total += p;
        sums.entropy -= q * Math.log(q) + (1 - q) * Math.log1p(-q);
        if (spread) sums.spread += spread[i];
        if (this.regions ? p > 0.5 : chosen[i] === label.value) {
          sums.voxels++;
          sums.within += p;
        }
      }
    });
  }

  /** Return how much several predictions differ at each voxel, 0 to 1 in 255 steps. */
  disagreement(planes) {
    const mean = planes[this.classes];
    return mean.map((value, i) => {
      const more = (entropy(this.classes, this.regions, (c) => planes[c][i]) - value) / this.most;
      return roundEven(255 * Math.min(1, Math.max(0, more))) / 255;
    });
  }

  /** Return the features of each label that has a voxel. */
  features() {
    return Object.fromEntries(this.labels.map(({ name }, number) => [name, this.sums[number]])
      .filter(([, { voxels }]) => voxels).map(([name, { voxels, within, total, entropy: all, spread, seen }]) => [name, {
        soft_dice: (2 * within) / (voxels + total), confidence: within / voxels, entropy: all / voxels,
        ...(this.predictions > 1 ? { disagreement: spread / seen } : {}) }]));
  }
}

/** Return the features of a case: {image, labels}. */
export function describe(model, scan, classes, tally) {
  const limits = model.statement.limits, shapes = ofShapes(classes, model.labels, scan, limits.most_voxels);
  return { image: ofScan(scan, model.modalities, limits.most_voxels), labels: Object.fromEntries(
    Object.entries(tally.features()).filter(([name]) => shapes[name]).map(([name, own]) => [name, { ...own, ...shapes[name] }])) };
}

/** Return the features of the shape of each label that has a voxel. */
function ofShapes(classes, labels, { shape, spacing }, most) {
  const found = {}, middle = [0, 0, 0];
  let all = 0;
  for (const label of labels) {
    const mask = maskOf(classes, label), box = boxOf(mask, shape, 1);
    if (!box) continue;
    const step = Math.max(1, Math.ceil((product(box.map(([low, high]) => high - low)) / most) ** (1 / 3)));
    const one = sampled(mask, shape, box, step);
    if (!one.voxels) continue; // all between the voxels that are measured
    let number = 0, largest = 0;
    eachComponent(one.shape, one.shape.map((n) => [0, n]), (at) => one.mask[at], ({ length }) => {
      number++;
      largest = Math.max(largest, length);
    });
    const { sides, centre, border } = along(one.counts, one.voxels, box, shape, step), voxels = one.voxels;
    const centreMm = centre.map((value, i) => value * spacing[i]), weight = voxels * step ** 3;
    centreMm.forEach((value, i) => { middle[i] += weight * value; });
    all += weight;
    found[label.name] = { centreMm, values: {
      volume: Math.log((weight * product(spacing)) / 1000), largest: largest / voxels, components: Math.log(number),
      surface: one.faces / (6 * voxels ** (2 / 3)), border: border / voxels,
      ...Object.fromEntries(AXES.map((axis, i) => [`extent_${axis}`, Math.log(sides[i] * spacing[i])])) } };
  }
  return Object.fromEntries(Object.entries(found).map(([name, { centreMm, values }]) => [name, {
    ...values, ...Object.fromEntries(AXES.map((axis, i) => [`offset_${axis}`, centreMm[i] - middle[i] / all])) }]));
}

/** Return evenly spaced voxels of a box: their mask and shape, how many are inside, in all and per plane, and the faces. */
function sampled(mask, [nx, ny], box, step) {
  const shape = box.map(([low, high]) => Math.ceil((high - low) / step)), [sx, sy, sz] = shape;
  const out = new Uint8Array(sx * sy * sz), counts = shape.map((n) => new Float64Array(n));
  let voxels = 0, faces = 0, at = 0;
  for (let z = 0; z < sz; z++) {
    for (let y = 0; y < sy; y++) {
      for (let x = 0; x < sx; x++, at++) {
        out[at] = mask[box[0][0] + x * step + nx * (box[1][0] + y * step + ny * (box[2][0] + z * step))];
        if (x && out[at] !== out[at - 1]) faces++;
        if (y && out[at] !== out[at - sx]) faces++;
        if (z && out[at] !== out[at - sx * sy]) faces++;
        if (!out[at]) continue;
        voxels++;
        [x, y, z].forEach((place, i) => { counts[i][place]++; });
      }
    }
  }
  return { mask: out, shape, counts, voxels, faces };
}

/** Return the mask's sides and centre in voxels of the image, and how many voxels lie in its outermost planes. */
function along(counts, voxels, box, shape, step) {
  const sides = [], centre = [];
  let border = 0;
  counts.forEach((planes, axis) => {
    let first = -1, last = 0, sum = 0;
    planes.forEach((count, index) => {
      const place = box[axis][0] + step * index;
      if (!count) return;
      if (first < 0) first = place;
      last = place;
      sum += count * place;
      if (shape[axis] >= 3 && (place === 0 || place >= shape[axis] - step)) border += count;
    });
    sides.push(last - first + step);
    centre.push(sum / voxels);
  });
  return { sides, centre, border };
}

/** Return the features of a case's images. */
function ofScan({ channels, shape, spacing }, modalities, most) {
  const out = {}, side = roundEven(most ** (1 / 3));
  AXES.forEach((axis, i) => {
    out[`spacing_${axis}`] = Math.log(spacing[i]);
    out[`extent_${axis}`] = Math.log(shape[i] * spacing[i]);
  });
  const block = shape.map((n) => [Math.max(0, Math.floor((n - side) / 2)), Math.min(n, Math.max(0, Math.floor((n - side) / 2)) + side)]);
  modalities.forEach((name, index) => {
    for (const [what, value] of Object.entries(standardised(measure(channels[index], shape)))) out[`${name}: ${what}`] = value;
    sharpness(channels[index], shape, block).forEach((value, i) => { out[`${name}: sharpness_${AXES[i]}`] = value; });
  });
  return out;
}

/** Return the logarithm of the mean difference of neighbours per axis, relative to the standard deviation of a block. */
function sharpness(values, [nx, ny], block) {
  const steps = [1, nx, nx * ny], sums = [0, 0, 0], sides = block.map(([low, high]) => high - low), n = product(sides);
  let mean = 0, squares = 0;
  const each = (visit) => {
    for (let z = block[2][0]; z < block[2][1]; z++) {
      for (let y = block[1][0]; y < block[1][1]; y++) {
        for (let x = block[0][0]; x < block[0][1]; x++) visit(x + nx * (y + ny * z), x, y, z);
      }
    }
  };
  each((at, x, y, z) => {
    mean += values[at] / n;
    [x, y, z].forEach((place, i) => { if (place > block[i][0]) sums[i] += Math.abs(values[at] - values[at - steps[i]]); });
  });
  each((at) => { squares += (values[at] - mean) ** 2; });
  const deviation = Math.sqrt(squares / n) || 1;
  return sums.map((sum, i) => Math.log(Math.max(sides[i] > 1 ? sum / ((n / sides[i]) * (sides[i] - 1)) / deviation : 1, 1e-4)));
}
