// Show an image with its label map in three planes, with NiiVue.

let shown = null;

/** Show a file and the bytes of its label map. describe(text): called when the crosshair moves. */
export async function show(canvas, file, labelBytes, labels, describe) {
  const { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER } = globalThis.niivue;
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) throw new Error("it has no WebGL 2");
  if (!shown) {
    shown = new Niivue({ dragAndDropEnabled: false, loadingText: "", isColorbar: false, backColor: [0, 0, 0, 1],
      crosshairColor: [1, 1, 1, 0.5], crosshairWidth: 1, crosshairWidthUnit: "percent", logLevel: "silent", multiplanarShowRender: SHOW_RENDER.NEVER, isOrientationTextVisible: true });
    await shown.attachToCanvas(canvas);
    shown.setSliceType(SLICE_TYPE.MULTIPLANAR);
  }
  while (shown.volumes.length) shown.removeVolumeByIndex(shown.volumes.length - 1);
  const image = await NVImage.loadFromFile({ file, name: file.name });
  const map = await NVImage.loadFromFile({ file: new File([labelBytes], "labels.nii"), name: "labels.nii" });
  map.setColormapLabel(colours(labels));
  shown.addVolume(image);
  shown.addVolume(map);
  shown.onLocationChange = (place) => describe(said(place, image, labels));
  centre(map);
  shown.updateGLVolume();
  shown.createOnLocationChange();
}

/** Return the text for a place: mm, the image's value, the label. */
function said(place, image, labels) {
  const mm = [...place.mm].slice(0, 3).map((value) => value.toFixed(1)).join(", ");
  const [value, label] = place.values.map((one) => one.value);
  const name = labels.find((one) => one.value === Math.round(label ?? 0))?.name ?? "background";
  return `${mm} mm · value ${+Number(value).toPrecision(4)} · ${name}`;
}

/** Put the crosshair on the middle of the labelled voxels. */
function centre(map) {
  const values = map.img, [nx, ny] = [map.hdr.dims[1], map.hdr.dims[2]], sum = [0, 0, 0];
  let n = 0;
  for (let i = 0; i < values.length; i++) {
    if (!values[i]) continue;
    n++;
    sum[0] += i % nx;
    sum[1] += Math.floor(i / nx) % ny;
    sum[2] += Math.floor(i / (nx * ny));
  }
  if (!n) return;
  const at = sum.map((total) => Math.round(total / n)), affine = map.hdr.affine;
  shown.scene.crosshairPos = shown.mm2frac(affine.slice(0, 3).map((row) =>
    at.reduce((place, index, axis) => place + row[axis] * index, row[3])));
}

/** Return NiiVue's table of label colours; the background is transparent. */
function colours(labels) {
  const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["background"] };
  for (const { value, name, colour } of labels) {
    table.I.push(value);
    table.labels.push(name);
    ["R", "G", "B"].forEach((channel, i) => table[channel].push(colour[i]));
    table.A.push(255);
  }
  return table;
}

/** Set the opacity of the label map, 0 to 1. */
export function setOpacity(value) {
  if (shown?.volumes.length > 1) shown.setOpacity(1, value);
}
