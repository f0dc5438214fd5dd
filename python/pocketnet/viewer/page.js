// The page: files in, progress, viewer, volumes, label map out. The work is done by the worker (worker.js).

import { isDicom } from "./dicom.js";
import { show, setOpacity } from "./display.js";
import { inWords, statement } from "./statement.js";

const COLUMNS = ["case", "label", "value", "voxels", "volume_ml", "expected_dice", "dice_low", "volume_low_ml", "volume_high_ml",
                 "flag", "reasons", "warnings"], SEPARATOR = " | ";
const $ = (id) => document.getElementById(id);
const model = JSON.parse($("model").textContent);
let worker = null, files = [], converted = null, result = null, judged = null, began = 0;

/** Return the bytes of a part of this file, which are stored as base64 of gzip. */
async function unpacked(id) {
  const text = atob($(id).textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Start the worker, with its own copies of the runtime and the networks. */
async function started() {
  const [code, runtime, wasm, converter, converterWasm, ...networks] = await Promise.all([
    ...["worker", "runtime", "wasm", "converter", "converterwasm"].map(unpacked), ...model.networks.map((_, number) => unpacked(`network${number}`))]);
  const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  made.onmessage = ({ data }) => receive(data);
  made.onerror = (event) => failed(`The page failed: ${event.message || "this browser does not run its worker"}.`);
  made.postMessage({ kind: "start", described: model, runtime, wasm, networks, conversion: { code: converter, wasm: converterWasm } },
    [runtime, wasm, converter, converterWasm, ...networks]);
  return made;
}

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").className = bad ? "bad" : "";
}

function failed(text) {
  $("working").hidden = true;
  document.body.dataset.state = "failed";
  say(text, true);
}

/** Take the files that a user chose: convert DICOM series, sort the files into the order of the modalities, and let the
    user correct it. */
async function take(chosen) {
  if (!chosen.length) return;
  converted = null;
  const all = [...chosen], which = await Promise.all(all.map(isDicom));
  if (which.includes(true)) return convertSeries(all.filter((_, index) => which[index]));
  offer(all);
}

/** Segment files, or ask first which of them is which modality. */
function offer(found) {
  files = inOrder(found);
  $("channels").hidden = true;
  const series = converted && found.length > model.modalities.length;
  if (series || (model.modalities.length > 1 && files.length === model.modalities.length)) return askOrder(series);
  segment();
}

/** Let the worker convert DICOM files. */
async function convertSeries(dicom) {
  working(`Reading ${dicom.length} DICOM files …`);
  try {
    worker ??= await started();
    const contents = await Promise.all(dicom.map((file) => file.arrayBuffer()));
    worker.postMessage({ kind: "dicom", files: contents }, contents);
  } catch (error) {
    failed(`The files cannot be read: ${error.message}`);
  }
}

/** Return the files of what a user dropped, also those in folders. */
async function dropped(transfer) {
  const plain = [...transfer.files], items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const handles = items.map((item) => item.getAsFileSystemHandle?.());  // of all items, before the event ends
  try {
    if (handles.every(Boolean)) return (await Promise.all(handles.map(async (handle) => inHandle(await handle)))).flat();
    return (await Promise.all(entries.map(inEntry))).flat();
  } catch (error) {
    failed("This browser does not let a dropped folder be read. Choose it instead.");
    return [];
  }
}

async function inHandle(handle) {
  if (handle.kind === "file") return [await handle.getFile()];
  const parts = [];
  for await (const inside of handle.values()) parts.push(...await inHandle(inside));
  return parts;
}

async function inEntry(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader(), parts = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return parts;
    for (const inside of some) parts.push(...await inEntry(inside));
  }
}

/** Sort by the ending _0000, _0001, … or by a modality's name in the file's name; otherwise by name. */
function inOrder(chosen) {
  const place = ({ name }) => {
    const number = /_(\d{4})\.nii(\.gz)?$/i.exec(name);
    const named = model.modalities.findIndex((modality) => name.toLowerCase().includes(modality.toLowerCase()));
    return number ? +number[1] : named < 0 ? model.modalities.length : named;
  };
  return chosen.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
}

function askOrder(series) {
  $("channels").replaceChildren(...model.modalities.map((modality, index) => {
    const label = document.createElement("label"), select = document.createElement("select");
    select.append(...files.map((file, number) => new Option(file.name, number, false, number === index)));
    label.append(modality, document.createElement("br"), select);
    return label;
  }), button("Segment", () => {
    const order = [...$("channels").querySelectorAll("select")].map((select) => files[+select.value]);
    if (new Set(order).size < order.length) return say("Choose another file for each modality.", true);
    files = order;
    segment();
  }));
  $("channels").hidden = false;
  document.body.dataset.state = "asking";
  $("working").hidden = true;
  say(series ? `${files.length} series were found. Choose ${model.modalities.length > 1 ? "one for each modality" : "one"}.`
    : "Check which file is which modality.");
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "main";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

function working(text) {
  result = null;
  for (const id of ["result", "warnings", "channels"]) $(id).hidden = true;
  $("working").hidden = false;
  $("progress").removeAttribute("value");
  document.body.dataset.state = "working";
  say(text);
}

async function segment() {
  working(`Reading ${files.map((file) => file.name).join(", ")} …`);
  try {
    worker ??= await started();
    const contents = await Promise.all(files.map(async (file) => ({ name: file.name, bytes: await file.arrayBuffer() })));
    began = performance.now();
    worker.postMessage({ kind: "work", files: contents }, contents.map((one) => one.bytes));
  } catch (error) {
    failed(`The files cannot be read: ${error.message}`);
  }
}

function receive(data) {
  if (data.kind === "read") {
    const warnings = [...(converted?.warnings ?? []), ...data.warnings];
    $("warnings").replaceChildren(...warnings.map((text) => element("li", `Warning: ${text}.`)));
    $("warnings").hidden = !warnings.length;
    say(`Segmenting ${data.shape.join(" × ")} voxels of ${data.spacing.map((mm) => +mm.toPrecision(4)).join(" × ")} mm …`);
    began = performance.now();
  } else if (data.kind === "progress") {
    $("progress").value = data.done / data.all;
    const left = ((performance.now() - began) / data.done) * (data.all - data.done) / 1000;
    if (data.done < data.all && left > 2) say(`Segmenting: window ${data.done} of ${data.all}, about ${Math.ceil(left)} s left …`);
  } else if (data.kind === "series") {
    converted = data;
    offer(data.files.map(({ name, bytes }) => new File([bytes], name)));
  } else if (data.kind === "done") finished(data);
  else if (data.kind === "failed") failed(data.text);
  else if (data.kind === "zipped") save(data.blob, `${stem()}_seg.nii.gz`);
}

async function finished(data) {
  result = data;
  $("working").hidden = true;
  $("result").hidden = false;
  $("volumes").tBodies[0].replaceChildren(...data.volumes.map((one, index) => {
    const row = document.createElement("tr"), key = element("span", ""), name = document.createElement("td");
    key.className = "key";
    key.style.background = `rgb(${model.labels[index].colour.join(" ")})`;
    name.append(key, one.name);
    row.append(name, element("td", one.volume_ml.toFixed(3), "number"), element("td", one.voxels.toLocaleString("en"), "number"));
    return row;
  }));
  state();
  $("timing").textContent = `${data.windows} windows of ${data.window.join(" × ")} voxels in ${data.seconds.toFixed(1)} s.`;
  say(`${files.map((file) => file.name).join(", ")}: segmented.`);
  try {
    await show($("canvas"), files[0], data.labels, model.labels, (text) => { $("place").textContent = text; });
    setOpacity(+$("opacity").value);
  } catch (error) {
    $("place").textContent = `This browser cannot show the image (${error.message}). The label map can be downloaded.`;
  }
  document.body.dataset.state = "done";
}

/** Show the statement on the case, by the thresholds of the page. */
function state() {
  const { calibration, none } = model.statement;
  $("unstated").hidden = !none;
  $("stated").hidden = !calibration;
  if (!calibration) {
    $("unstated").textContent = `No statement on how far to trust this: ${none}.`;
    return;
  }
  const volumes = Object.fromEntries(result.volumes.map((one) => [one.name, one.volume_ml]));
  const threshold = (id) => ($(id).validity.valid && $(id).value !== "" ? +$(id).value : calibration[id]);
  judged = statement(model.statement, result.features, volumes, result.unlike, threshold("accept"), threshold("reject"));
  $("flag").textContent = { accept: "Accept", look: "Look at this case", reject: "Reject" }[judged.flag];
  $("flag").className = judged.flag;
  $("reasons").replaceChildren(...judged.reasons.map((text) => element("li", text)));
  $("expected").replaceChildren(...Object.keys(judged.labels).filter((name) => inWords(judged, name)).flatMap((name) =>
    [element("dt", name), element("dd", inWords(judged, name))]));
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const stem = () => files[0].name.replace(/\.nii(\.gz)?$/i, "").replace(/_0000$/, "");

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function table() {
  const safe = (value) => (/^[=+\-@\t]/.test(value) && typeof value === "string" ? `'${value}` : String(value));
  const cell = (value) => (/[",\n]/.test(safe(value)) ? `"${safe(value).replaceAll('"', '""')}"` : safe(value));
  const digits = (value) => (value === null || value === undefined ? "" : +value.toPrecision(6));
  const rows = result.volumes.map((one) => {
    const own = judged?.labels[one.name];
    return [stem(), one.name, one.value, one.voxels, +one.volume_ml.toFixed(6), ...[own?.expected_dice, own?.dice_low,
      own?.volume_ml?.[0], own?.volume_ml?.[1]].map(digits), judged?.flag ?? "", judged?.reasons.join(SEPARATOR) ?? "",
      [...(converted?.warnings ?? []), ...result.warnings].join(SEPARATOR)];
  });
  return [COLUMNS, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function cancel() {
  worker?.terminate();
  worker = null;
  $("working").hidden = true;
  document.body.dataset.state = "ready";
  say("Cancelled.");
}

for (const [id, other] of [["files", "folder"], ["folder", "files"]]) {
  $(id).addEventListener("change", (event) => {
    $(other).value = "";
    take(event.target.files);
  });
}
$("drop").addEventListener("submit", (event) => event.preventDefault());
$("cancel").addEventListener("click", cancel);
$("download").addEventListener("click", () => worker.postMessage({ kind: "zip", bytes: result.labels }));
$("table").addEventListener("click", () => save(new Blob([table()], { type: "text/csv" }), `${stem()}_volumes.csv`));
for (const id of ["accept", "reject"]) {
  if (model.statement.calibration) $(id).value = model.statement.calibration[id];
  $(id).addEventListener("input", state);
}
$("opacity").addEventListener("input", (event) => setOpacity(+event.target.value));
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") dropped(event.dataTransfer).then(take);
  });
}
document.body.dataset.state = "ready";
