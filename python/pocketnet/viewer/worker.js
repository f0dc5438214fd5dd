// The worker: reads files and segments them, so that the page stays responsive. It loads nothing from anywhere.

import { convert } from "./dicom.js";
import { isUsable, rasLayout, sameGrid, toRas, fromRas, product } from "./grid.js";
import { Unusable, labelFile, parse, unzip, zip } from "./nifti.js";
import { segment } from "./predictor.js";
import { findings } from "./ranges.js";

let model, ort, converter, sessions = [], weights = [];

const imported = (code) => import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));

async function start({ described, runtime, wasm, networks, conversion }) {
  model = described;
  weights = networks;
  converter = conversion;
  ort = await imported(runtime);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
}

const sized = (shape) => shape.join(" × ");

/** Read the files of a case, one per modality or one with a volume per modality. */
async function read(files) {
  const wanted = model.modalities.length, images = [];
  for (const { name, bytes } of files) {
    try {
      const image = parse(await unzip(new Uint8Array(bytes), name));
      if (!isUsable(image.affine)) throw new Unusable("The affine is singular: the voxels have no size.");
      images.push({ name, ...image });
    } catch (error) {
      if (error instanceof RangeError) throw new Unusable(`${name}: the file is too large for this browser.`);
      throw new Unusable(`${name}: ${error instanceof Unusable ? error.message : `it cannot be read (${error.message}).`}`);
    }
  }
  const volumes = images.reduce((sum, image) => sum + image.volumes, 0);
  if (volumes !== wanted) {
    throw new Unusable(`The model takes ${wanted === 1 ? "1 modality" : `${wanted} modalities`} (${model.modalities.join(", ")}), found ${
      volumes === 1 ? "1 volume" : `${volumes} volumes`} in ${files.length === 1 ? files[0].name : `${files.length} files`}.`);
  }
  const [first] = images, layout = rasLayout(first.shape, first.affine);
  const unlike = images.filter((image) => !sameGrid(image, first));
  if (unlike.length) {
    throw new Unusable(`The modalities cannot be used together: ${unlike.map((image) => image.name).join(", ")} (${
      sized(unlike[0].shape)} voxels) lies on another grid than ${first.name} (${sized(first.shape)} voxels).`);
  }
  fits(layout.shape, images);
  const channels = [], warnings = [];
  for (const image of images) {
    for (const text of image.warnings) warnings.push(images.length > 1 ? `${image.name}: ${text}` : text);
    for (let volume = 0; volume < image.volumes; volume++) channels.push(usable(image.name, toRas(image.read(volume), layout)));
  }
  const scan = { channels, shape: layout.shape, spacing: layout.spacing,
                 bytes: images.reduce((sum, image) => sum + image.bytes * image.volumes, 0) };
  return { scan, layout, header: { ...first.header, dim: [3, ...first.header.dim.slice(1)] }, first,
           warnings, unlike: findings(model.ranges, model.modalities, scan) };
}

/** Refuse a case whose volumes do not fit into the browser's memory, and say what would fit. */
function fits(shape, images) {
  const limit = model.windows.limits.browser_mib * Math.min(1, (navigator.deviceMemory ?? 8) / 8);
  const channels = model.modalities.length, voxels = product(shape);
  const perVoxel = 4 * channels + 4 * (channels + model.classes + 1) + 8, mib = (voxels * perVoxel) / 2 ** 20;
  if (mib <= limit) return;
  const depth = Math.floor((shape[2] * limit) / mib);
  throw new Unusable(`${images[0].name}: the volume is too large for this page. It has ${sized(shape)} voxels, which take about ${
    (mib / 1024).toFixed(1)} GB; the page uses at most ${(limit / 1024).toFixed(1)} GB. About ${sized([shape[0], shape[1], depth])
    } voxels would fit. Crop the image, or use pocket-infer.`);
}

function usable(name, values) {
  let low = Infinity, high = -Infinity, bad = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) bad++;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (bad) throw new Unusable(`${name}: ${bad === 1 ? "1 voxel is" : `${bad} voxels are`} NaN or infinite.`);
  if (low === high) throw new Unusable(`${name}: empty image: every voxel is ${low}.`);
  return values;
}

/** Run a network on one window. Only one network is in memory at a time, as long as there are several. */
async function run(number, values, window) {
  if (!sessions[number]) {
    await Promise.all(sessions.map((session) => session?.release()));
    sessions = [];
    sessions[number] = await ort.InferenceSession.create(weights[number], { executionProviders: ["wasm"],
      graphOptimizationLevel: "all", enableCpuMemArena: false, logSeverityLevel: 3 });
  }
  const session = sessions[number], input = new ort.Tensor("float32", values, [1, ...window, model.modalities.length]);
  const output = (await session.run({ [session.inputNames[0]]: input }))[session.outputNames[0]];
  return output.data;
}

async function work(files) {
  const began = performance.now(), { scan, layout, header, warnings, unlike, first } = await read(files);
  postMessage({ kind: "read", shape: scan.shape, spacing: scan.spacing, warnings: [...warnings, ...unlike] });
  const found = await segment(model, scan, run, (done, all) => postMessage({ kind: "progress", done, all }));
  const counts = new Float64Array(256), ml = product(scan.spacing) / 1000;
  for (const value of found.classes) counts[value]++;
  const volumes = model.labels.map((label) => {
    const voxels = (label.parts ?? [label.value]).reduce((sum, value) => sum + counts[value], 0);
    return { name: label.name, value: label.value, voxels, volume_ml: voxels * ml };
  });
  const labels = labelFile({ ...header, dim: first.header.volumes > 1 ? header.dim : first.header.dim },
                           fromRas(found.classes, layout), model.note);
  postMessage({ kind: "done", volumes, labels, unlike, features: found.features, warnings: [...warnings, ...unlike], window: found.window, windows: found.windows, skipped: found.skipped,
                seconds: (performance.now() - began) / 1000 }, [labels.buffer]);
}

/** Convert DICOM files, and hand the series back to the page. */
async function series(contents) {
  const { default: begin } = await imported(converter.code);
  const made = await convert(begin, converter.wasm, contents);
  postMessage({ kind: "series", ...made }, made.files.map((file) => file.bytes));
}

/** Answer the page's messages one after another. */
async function answer(data) {
  try {
    if (data.kind === "start") await start(data);
    else if (data.kind === "work") await work(data.files);
    else if (data.kind === "dicom") await series(data.files);
    else if (data.kind === "zip") postMessage({ kind: "zipped", blob: await zip(data.bytes) });
  } catch (error) {
    const known = error instanceof Unusable, memory = /memory|allocat|bad_alloc|out of bounds/i.test(String(error));
    postMessage({ kind: "failed", text: known ? error.message : memory
      ? "The browser has too little memory for this volume. Crop the image, or use pocket-infer."
      : `The page failed: ${error?.message ?? error}` });
    if (data.kind === "start") throw error;
  }
}

let before = Promise.resolve();
onmessage = ({ data }) => { before = before.then(() => answer(data)); };
