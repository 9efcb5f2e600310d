// The picture of a file with another stretch, in the browser: levels, gamma, colours.

const viewer = document.querySelector(".viewer");
if (viewer) {
  const image = viewer.querySelector("img");
  if (image.complete && image.naturalWidth) prepare(viewer, image);
  else image.addEventListener("load", () => prepare(viewer, image), { once: true });
}

function prepare(viewer, image) {
  const canvas = viewer.querySelector("canvas");
  const form = viewer.querySelector("form");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const first = pen.getImageData(0, 0, canvas.width, canvas.height);
  const shown = pen.createImageData(first);
  const draw = () => {
    const tables = lookup(form.elements);
    for (let i = 0; i < first.data.length; i += 4) {
      for (let channel = 0; channel < 3; channel++) shown.data[i + channel] = tables[channel][first.data[i + channel]];
      shown.data[i + 3] = 255;
    }
    pen.putImageData(shown, 0, 0);
    image.hidden = true;
    canvas.hidden = false;
  };
  form.querySelector("[data-scripted]").hidden = false;
  form.addEventListener("input", (event) => event.target.name && draw());
  form.addEventListener("reset", () => setTimeout(draw));
  form.addEventListener("submit", (event) => event.preventDefault());
}

// What becomes of each value, for red, green and blue.
function lookup({ black, white, gamma, colours, negative }) {
  const low = Number(black.value), high = Math.max(low + 1, Number(white.value));
  const power = 10 ** -Number(gamma.value);
  const exponents = { grey: [1, 1, 1], heat: [0.5, 1.2, 3], cool: [3, 1.2, 0.5] }[colours.value];
  return exponents.map((exponent) =>
    Uint8ClampedArray.from({ length: 256 }, (_, value) => {
      const part = Math.min(1, Math.max(0, (value - low) / (high - low))) ** power;
      return 255 * (negative.checked ? 1 - part : part) ** exponent;
    }),
  );
}
