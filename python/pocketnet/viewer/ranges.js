// Warn about images that differ from the training images, as preprocessing/ranges.py.

import { product } from "./grid.js";
import { counted } from "./words.js";

const SAMPLE = 2 ** 20, SHARE = 0.1, FEW = 5, FACTOR = 1.25, INTENSITY_FACTOR = 1.5, DEVIATIONS = 0.25;
const IN_UNITS = { p0_5: "0.5th percentile", median: "median", p99_5: "99.5th percentile" };
const OF = { low: "p0_5", middle: "median", high: "p99_5" };

/** Return the warnings about a scan; none without ranges. */
export function findings(ranges, modalities, scan) {
  if (!ranges) return [];
  const out = [], images = counted(ranges.cases, "training image");
  ranges.intensities.forEach((modality, index) => {
    const words = unlike(modality, measure(scan.channels[index], scan.shape), ranges.cases);
    if (words.length) out.push(`${modality.modality}: intensities unlike those of the ${images}: ${words.join("; ")}`);
  });
  const extent = scan.shape.map((n, i) => n * scan.spacing[i]);
  for (const [what, found, seen] of [["voxel spacing", scan.spacing, ranges.spacing_mm], ["field of view", extent, ranges.extent_mm]]) {
    const inside = found.every((value, i) => {
      const [low, high] = limits(seen[i], ranges.cases, FACTOR);
      return low <= value && value <= high;
    });
    if (!inside) out.push(`${what} unlike that of the ${images}: ${found.map(text).join(" × ")} mm (in training ${seen.map(range).join(" × ")} mm)`);
  }
  return out;
}

/** Measure about a million voxels of a channel that are not 0, evenly spaced along all axes. */
export function measure(values, shape) {
  const every = Math.max(1, Math.ceil((product(shape) / SAMPLE) ** (1 / 3))), kept = [];
  const [sx, sy, sz] = shape.map((n) => Math.min(every, n));
  for (let z = 0; z < shape[2]; z += sz) {
    for (let y = 0; y < shape[1]; y += sy) {
      for (let x = 0; x < shape[0]; x += sx) {
        const value = values[x + shape[0] * (y + shape[1] * z)];
        if (value !== 0) kept.push(value);
      }
    }
  }
  if (!kept.length) return { mean: 0, std: 0, p0_5: 0, median: 0, p99_5: 0 };
  const sorted = Float64Array.from(kept).sort(), n = sorted.length;
  const percentile = (share) => {
    const at = share * (n - 1), low = Math.floor(at), high = Math.min(low + 1, n - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
  };
  const mean = sorted.reduce((a, b) => a + b, 0) / n;
  const std = Math.sqrt(sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
  return { mean, std, p0_5: percentile(0.005), median: percentile(0.5), p99_5: percentile(0.995) };
}

/** Return low, middle and high of an image in standard deviations from its mean. */
export const standardised = (found) => Object.fromEntries(Object.entries(OF).map(([name, of]) =>
  [name, found.std ? (found[of] - found.mean) / found.std : 0]));

function unlike(modality, found, cases) {
  const out = [], span = modality.p99_5.median - modality.p0_5.median;
  for (const [name, words] of Object.entries(IN_UNITS)) {
    const seen = modality[name], value = found[name];
    let [low, high] = seen.minimum > 0 ? limits(seen, cases, INTENSITY_FACTOR) : widened(seen, cases, DEVIATIONS * span);
    if (name === "p0_5" && seen.minimum > 0) low = 0;
    if (!(low <= value && value <= high)) out.push(`${words} ${text(value)} (in training ${range(seen)})`);
  }
  for (const [name, value] of Object.entries(standardised(found))) {
    const seen = modality[name], [low, high] = widened(seen, cases, DEVIATIONS);
    if (!(low <= value && value <= high)) {
      out.push(`${IN_UNITS[OF[name]]} ${text(value)} standard deviations from the mean (in training ${range(seen)})`);
    }
  }
  return out;
}

function limits(seen, cases, factor) {
  const width = Math.min(700, (Math.log(seen.maximum) - Math.log(seen.minimum)) * (SHARE + FEW / cases));
  return [seen.minimum / factor / Math.exp(width), seen.maximum * factor * Math.exp(width)];
}

function widened(seen, cases, more) {
  const by = more + (seen.maximum - seen.minimum) * (SHARE + FEW / cases);
  return [seen.minimum - by, seen.maximum + by];
}

function range(seen) {
  const low = text(seen.minimum), high = text(seen.maximum);
  return low === high ? low : `${low} to ${high}`;
}

/** Format a number with three significant digits, or as a whole number from 1000. */
function text(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
}
