// Convert DICOM series to NIfTI files with dcm2niix, in memory.

import { Unusable } from "./nifti.js";

const MOST_WARNINGS = 5;
const USELESS = /manufacturer|protocol name|issue \d+/;

/** Whether a file begins as DICOM files do. */
export async function isDicom(file) {
  return (await file.slice(128, 132).text()) === "DICM";
}

/** Convert the contents of DICOM files: {files: [{name, bytes}], warnings}, a NIfTI file per series. */
export async function convert(start, wasm, contents) {
  const said = [], tool = await start({ wasmBinary: wasm, locateFile: (path) => path, print: (line) => said.push(line),
                                        printErr: (line) => said.push(line) });
  for (const folder of ["/in", "/out"]) tool.FS.mkdir(folder);
  contents.forEach((bytes, number) => tool.FS.writeFile(`/in/${number}.dcm`, new Uint8Array(bytes)));
  tool.callMain(["-z", "n", "-b", "n", "-f", "%s_%d", "-o", "/out", "/in"]);
  const names = tool.FS.readdir("/out").filter((name) => /\.nii$/i.test(name));
  const numbered = names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const warnings = [...new Set(said.filter((line) => /^\s*(Warning|Error)/i.test(line) && !USELESS.test(line)).map((line) =>
    line.trim().replace(/^(Warning|Error):?\s*/i, "").replace(/\.$/, "")))].slice(0, MOST_WARNINGS);
  if (!names.length) {
    throw new Unusable(`No series of ${contents.length === 1 ? "1 DICOM file" : `${contents.length} DICOM files`} can be read${
      warnings.length ? `: ${warnings.join("; ")}` : ""}.`);
  }
  const uneven = names.find((name) => /_(Eq|Tilt)(_\d+)?\.nii$/.test(name));
  if (uneven) {
    throw new Unusable(`${uneven.replace(/_(Eq|Tilt).*/, "")}: the slices ${/_Eq/.test(uneven)
      ? "are not evenly spaced: some are missing, or two series are mixed" : "are tilted against their axis"
    }. Convert the series with a tool that you trust, and use its NIfTI file.`);
  }
  return { files: numbered.map((name) => ({ name: `series_${name.replace(/_*\.nii$/i, "")}.nii`,
                                             bytes: tool.FS.readFile(`/out/${name}`).buffer })), warnings };
}
