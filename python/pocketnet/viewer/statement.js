// The statement on a predicted case, as evaluation/statement/apply.py: expected Dice, bounds and a flag, and its words.

import { counted } from "./words.js";

/** Return the statement: {flag, reasons, coverage, labels}.
 *  given: {calibration, limits} of the model; features: {image, labels}; volumes: mL by label; unlike: warnings about images
 *  outside the ranges of the training images; accept, reject: thresholds. */
export function statement({ calibration: known, limits }, features, volumes, unlike, accept, reject) {
  const trusted = trust(known.image, features.image, limits), labels = {}, looking = [...unlike];
  for (const one of known.labels) {
    labels[one.label] = ofLabel(one, features.labels[one.label], volumes[one.label], trusted, limits);
  }
  looking.push(...unusual("the image", known.image, features.image, limits));
  for (const one of known.labels) {
    looking.push(...doubts(one, features.labels[one.label], labels[one.label], known.coverage, accept, limits));
  }
  const rejecting = Object.entries(labels).filter(([, { expected_dice: dice }]) => dice !== null && dice < reject)
    .map(([name, one]) => `${name}: expected Dice ${one.expected_dice.toFixed(2)}, below your ${general(reject, 6)}`);
  return { flag: rejecting.length ? "reject" : looking.length ? "look" : "accept", reasons: [...rejecting, ...looking],
           coverage: known.coverage, labels };
}

/** Return the statement on a label in words; empty if there is nothing to say. */
export function inWords({ labels, coverage }, name) {
  const one = labels[name];
  if (one.expected_dice === null) return "";
  const words = [`expected Dice ${one.expected_dice.toFixed(2)}`];
  if (one.dice_low !== null) words.push(`at least ${one.dice_low.toFixed(2)}`);
  if (one.volume_ml) words.push(`volume ${one.volume_ml.map((ml) => general(ml, 4)).join(" to ")} mL`);
  return words.join(", ") + (words.length > 1 ? ` (${percent(coverage)} coverage)` : "");
}

const percent = (share) => `${(100 * share).toFixed(0)}%`;

/** Format a number as Python's `g`: so many significant digits, without zeros at the end. */
export function general(value, digits) {
  const [, power] = value.toExponential(digits - 1).split("e");
  if (value === 0 || (+power >= -4 && +power < digits)) return String(+value.toPrecision(digits));
  const [mantissa] = (+value.toPrecision(digits)).toExponential().split("e");
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

function standardised(standard, features) {
  return standard.features.map((name, i) => ((features[name] ?? standard.mean[i]) - standard.mean[i]) / standard.scale[i]);
}

function distance({ standard, precision }, features) {
  const z = standardised(standard, features);
  const sum = precision.reduce((all, row, i) => all + z[i] * row.reduce((part, value, j) => part + value * z[j], 0), 0);
  return Math.sqrt(Math.max(0, sum) / z.length);
}

function trust(novelty, features, limits) {
  const found = distance(novelty, features), far = limits.far * novelty.limit;
  return found <= far ? 1 : far / found;
}

function ofLabel(known, features, volume, imageTrust, limits) {
  if (!features || !volume || !known.dice || !known.novelty) return { expected_dice: null, dice_low: null, volume_ml: null };
  const trusted = Math.max(limits.least_trust, imageTrust * trust(known.novelty, features, limits)), { dice } = known;
  const linear = standardised(dice.standard, features).reduce((sum, z, i) => sum + z * dice.weights[i], dice.intercept);
  const expected = trusted * Math.min(1, Math.max(0, linear));
  const low = dice.margin === null ? null : Math.min(1, Math.max(0, expected - dice.margin));
  if (!known.volume) return { expected_dice: expected, dice_low: low, volume_ml: null };
  const [bottom, top] = known.volume;
  return { expected_dice: expected, dice_low: low, volume_ml: [
    bottom === null ? 0 : volume * Math.exp(bottom / trusted), volume * Math.exp(Math.min(700, top / trusted))] };
}

function doubts(known, features, said, coverage, accept, limits) {
  if (said.expected_dice === null || !features || !known.novelty) {
    if (known.absent >= limits.needed && known.absent_rightly >= coverage * known.absent) return [];
    return [`${known.label}: not found, as in ${known.absent} calibration cases, rightly in ${known.absent_rightly}`];
  }
  const out = unusual(`the prediction of ${known.label}`, known.novelty, features, limits);
  if (said.dice_low === null) {
    out.push(`${known.label}: no bound, because ${counted(known.cases, "calibration case")} of at least ${limits.needed} `
      + `needed for ${percent(coverage)} are there`);
  } else if (said.dice_low < accept) {
    out.push(`${known.label}: lower bound ${said.dice_low.toFixed(2)}, below your ${general(accept, 6)}`);
  }
  return out;
}

function unusual(what, novelty, features, limits) {
  const found = distance(novelty, features);
  if (found <= novelty.limit) return [];
  const most = standardised(novelty.standard, features).map((z, i) => [novelty.standard.features[i], z])
    .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, limits.most_told).filter(([, z]) => Math.abs(z) >= 2);
  const names = most.map(([name, z]) => `${name} ${z < 0 ? "" : "+"}${z.toFixed(1)} sd`);
  return [`${what} is unlike the calibration cases: distance ${found.toFixed(1)}, limit ${novelty.limit.toFixed(1)}`
    + (names.length ? ` (${names.join(", ")})` : "")];
}
