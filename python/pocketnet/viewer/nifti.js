// Read and write NIfTI-1 and NIfTI-2 files, as preprocessing/nifti.py does.

import { apart, norm } from "./grid.js";

/** A file that cannot be used: what was found and what is expected, for the user. */
export class Unusable extends Error {}

const KINDS = {
  2: ["Uint8", 1], 4: ["Int16", 2], 8: ["Int32", 4], 16: ["Float32", 4], 64: ["Float64", 8], 256: ["Int8", 1],
  512: ["Uint16", 2], 768: ["Uint32", 4], 1024: ["BigInt64", 8], 1280: ["BigUint64", 8],
};
const OTHER_KINDS = { 1: "single bits", 32: "complex numbers", 128: "RGB colours", 1536: "128-bit numbers",
                      1792: "complex numbers", 2048: "complex numbers", 2304: "RGBA colours" };
const NIFTI1 = { size: 348, magic: 344, dim: 40, kind: 70, bits: 72, pixdim: 76, offset: 108, slope: 112, inter: 116,
                 units: 123, description: 148, qcode: 252, scode: 254, quatern: 256, srow: 280, whole: "Int16",
                 number: "Float32", code: "Int16", place: "Float32", unit: "Uint8" };
const NIFTI2 = { size: 540, magic: 4, dim: 16, kind: 12, bits: 14, pixdim: 104, offset: 168, slope: 176, inter: 184,
                 units: 500, description: 240, qcode: 344, scode: 348, quatern: 352, srow: 400, whole: "BigInt64",
                 number: "Float64", code: "Int32", place: "BigInt64", unit: "Int32" };
const BYTES = { Int16: 2, Int32: 4, Float32: 4, Float64: 8, BigInt64: 8, Uint8: 1 };
const MM = { 1: 1e3, 3: 1e-3 };
const TOLERANCE = 0.01;
const FARTHEST_CODE = 5;

/** Return the content of a file, unpacked if it is gzipped. The checksum of the stream is verified. */
export async function unzip(bytes, name) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (/\.gz$/i.test(name)) throw new Unusable("This is not a gzip file, although its name ends in .gz.");
    return bytes;
  }
  try {
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(
      new DecompressionStream("gzip"))).arrayBuffer());
  } catch (error) {
    throw new Unusable("The gzip stream is damaged or ends too early: the file is truncated, or other data follow it.");
  }
}

/** Return a content in gzip format. */
export async function zip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

/** Read a NIfTI file's content: {header, shape, affine (mm), warnings, volumes, read(volume)}. */
export function parse(bytes) {
  const header = headerOf(bytes);
  const shape = header.dim.slice(1, 1 + header.dim[0]);
  if (shape.length < 3) throw new Unusable(`Expected a 3D volume, found shape ${shape.join(" × ")}.`);
  if (shape.some((n) => n < 1)) throw new Unusable(`Expected at least one voxel on each axis, found ${shape.join(" × ")}.`);
  const volumes = shape.slice(3).reduce((a, b) => a * b, 1), voxels = shape[0] * shape[1] * shape[2];
  const kind = KINDS[header.kind];
  if (!kind) throw new Unusable(`Expected numbers as voxels, found ${OTHER_KINDS[header.kind] || `data type ${header.kind}`}.`);
  const expected = header.offset + voxels * volumes * kind[1];
  if (bytes.length < expected) {
    throw new Unusable(`The file is truncated: its header announces ${expected} bytes, there are ${bytes.length}.`);
  }
  const [affine, warnings] = placed(header);
  return { header, shape: shape.slice(0, 3), affine, warnings, volumes, bytes: voxels * kind[1],
           read: (volume) => valuesOf(bytes, header, voxels, volume) };
}

function headerOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = bytes.length >= 348 ? [view.getInt32(0, true), view.getInt32(0, false)] : [];
  const form = start.includes(348) ? NIFTI1 : start.includes(540) && bytes.length >= 540 ? NIFTI2 : null;
  if (!form) throw new Unusable(`This is not a NIfTI file: ${found(bytes)}.`);
  const little = start[0] === form.size;
  const get = (type, at) => Number(view[`get${type}`](at, little));
  const row = (type, at, n) => Array.from({ length: n }, (_, i) => get(type, at + i * BYTES[type]));
  const magic = String.fromCharCode(...bytes.subarray(form.magic, form.magic + 3));
  if (magic !== (form === NIFTI1 ? "n+1" : "n+2")) {
    throw new Unusable("This is a NIfTI or Analyze header without voxels: they are in an .img file. Save one .nii file.");
  }
  const header = {
    form, little, dim: row(form.whole, form.dim, 8), kind: get("Int16", form.kind), pixdim: row(form.number, form.pixdim, 8),
    offset: get(form.place, form.offset), slope: get(form.number, form.slope), inter: get(form.number, form.inter),
    units: get(form.unit, form.units), qcode: get(form.code, form.qcode), scode: get(form.code, form.scode),
    quatern: row(form.number, form.quatern, 6), srow: row(form.number, form.srow, 12),
  };
  if (!(header.dim[0] >= 0 && header.dim[0] <= 7) || !Number.isInteger(header.offset) || header.offset < form.size) {
    throw new Unusable(`The header is damaged: ${header.dim[0]} axes, voxels from byte ${header.offset}.`);
  }
  repair(header);
  return header;
}

/** Repair the fields that nibabel repairs when it reads a header. */
function repair(header) {
  if (header.pixdim[0] !== 1 && header.pixdim[0] !== -1) header.pixdim[0] = 1;
  for (let i = 1; i < 4; i++) header.pixdim[i] = Math.abs(header.pixdim[i]) || 1;
  for (const name of ["qcode", "scode"]) {
    if (header[name] < 0 || header[name] > FARTHEST_CODE) header[name] = 0;
  }
}

/** Describe what a file is instead of a NIfTI file. */
function found(bytes) {
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  if (!bytes.length) return "it is empty";
  if (text(128, 132) === "DICM") return "it is a DICOM file";
  if (text(0, 4) === "NRRD") return "it is an NRRD file";
  if (/^.(PNG|JFIF)/.test(text(0, 5)) || (bytes[0] === 0xff && bytes[1] === 0xd8)) return "it is a picture (PNG or JPEG)";
  if (text(0, 2) === "PK") return "it is a zip archive";
  if (text(0, 5) === "%PDF-") return "it is a PDF";
  return `it has ${bytes.length} bytes and begins with ${[...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, "0")).join(" ")}`;
}

/** Return the affine in mm, and warnings about the header's forms. */
function placed(header) {
  const shape = header.dim.slice(1, 4), warnings = [];
  const sform = [header.srow.slice(0, 4), header.srow.slice(4, 8), header.srow.slice(8, 12)];
  const qform = header.qcode > 0 || header.scode > 0 ? qformOf(header) : null;
  let affine;
  if (header.scode > 0) affine = sform;
  else if (header.qcode > 0) affine = qform;
  else affine = [0, 1, 2].map((i) => {
    const size = header.pixdim[i + 1] * (i ? 1 : -1), row = [0, 0, 0, (-(shape[i] - 1) / 2) * size];
    row[i] = size;
    return row;
  });
  if (!affine) throw new Unusable("The qform is not a rotation, and there is no sform: the voxels have no place.");
  const mm = MM[header.units & 7] ?? 1;
  if (!header.qcode && !header.scode) warnings.push("the header says no orientation (qform and sform codes are 0)");
  if (header.qcode && header.scode) {
    const distance = qform ? apart(qform, sform, shape) : Infinity;
    if (!(distance <= TOLERANCE * Math.min(...[0, 1, 2].map((i) => norm(affine, i))))) {
      warnings.push(`${Number.isFinite(distance) ? `qform and sform disagree by up to ${+(distance * mm).toPrecision(3)} mm`
        : "the qform is not a rotation"}; the sform is used, and results get both`);
    }
  }
  return [affine.map((row) => row.map((value) => value * mm)), warnings];
}

/** Return the 3×4 matrix of the quaternion; null if it is not a rotation. Source: nibabel's quaternions. */
function qformOf(header) {
  const [x, y, z, ...offset] = header.quatern;
  let w2 = 1 - (x * x + y * y + z * z);
  if (w2 < 0) {
    if (w2 < -3 * 1.1920928955078125e-7) return null;
    w2 = 0;
  }
  const w = Math.sqrt(w2), s = 2 / (w2 + x * x + y * y + z * z);
  const rotation = [
    [1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
    [s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x)],
    [s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y)]];
  const sides = [header.pixdim[1], header.pixdim[2], header.pixdim[3] * header.pixdim[0]];
  return rotation.map((row, i) => [...row.map((value, j) => value * sides[j]), offset[i]]);
}

/** Return the values of a volume as Float32Array in file order, scaled as nibabel does. */
function valuesOf(bytes, header, voxels, volume) {
  const [type, size] = KINDS[header.kind], at = header.offset + volume * voxels * size;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, voxels * size);
  const out = new Float32Array(voxels), plain = type.replace("Big", ""), typed = globalThis[`${type}Array`];
  const scaled = Number.isFinite(header.slope) && header.slope !== 0;
  if (scaled && !Number.isFinite(header.inter)) throw new Unusable("The header has a slope, but no valid intercept.");
  const slope = scaled ? header.slope : 1, inter = scaled ? header.inter : 0;
  if (header.little) {
    const raw = new typed(bytes.slice(at, at + voxels * size).buffer);
    if (plain.endsWith("64") && type.startsWith("Big")) for (let i = 0; i < voxels; i++) out[i] = Number(raw[i]) * slope + inter;
    else if (slope === 1 && inter === 0) out.set(raw);
    else for (let i = 0; i < voxels; i++) out[i] = raw[i] * slope + inter;
  } else {
    const get = view[`get${type}`].bind(view);
    for (let i = 0; i < voxels; i++) out[i] = Number(get(i * size, false)) * slope + inter;
  }
  return out;
}

/** Return a NIfTI file with a label map (file order, uint8) and exactly the geometry of the header that was read. */
export function labelFile(header, classes, description) {
  const { form } = header, offset = form === NIFTI1 ? 352 : 544;
  const bytes = new Uint8Array(offset + classes.length), view = new DataView(bytes.buffer);
  const set = (type, at, value) => view[`set${type}`](at, type.startsWith("Big") ? BigInt(value) : value, true);
  const row = (type, at, values) => values.forEach((value, i) => set(type, at + i * BYTES[type], value));
  const dim = header.dim.map((n, i) => (i > header.dim[0] ? 1 : n));
  set("Int32", 0, form.size);
  bytes.set([...(form === NIFTI1 ? "n+1\0" : "n+2\0\r\n\x1a\n")].map((c) => c.charCodeAt(0)), form.magic);
  row(form.whole, form.dim, dim);
  set("Int16", form.kind, 2);
  set("Int16", form.bits, 8);
  row(form.number, form.pixdim, header.pixdim);
  set(form.place, form.offset, offset);
  set(form.number, form.slope, 1);
  set(form.unit, form.units, header.units);
  bytes.set(new TextEncoder().encode(description).subarray(0, 79), form.description);
  set(form.code, form.qcode, header.qcode);
  set(form.code, form.scode, header.scode);
  row(form.number, form.quatern, header.quatern);
  row(form.number, form.srow, header.srow);
  bytes.set(classes, offset);
  return bytes;
}
