// Reads the header of a FITS file in the browser, and fills in the form of calibration frames with it.

const BLOCK = 2880, CARD = 80, MOST_BLOCKS = 60; // bytes, and how many of a header are read
// Field of the form to the keywords that it may have, the first one that is there counts.
const KEYWORDS = {
  instrument_name: ["INSTRUME"],
  readout_mode: ["READOUTM"],
  t_exptime: ["EXPTIME", "EXPOSURE"],
  ccd_temperature: ["CCD-TEMP", "SET-TEMP"],
  s_xel1: ["ZNAXIS1", "NAXIS1"],
  s_xel2: ["ZNAXIS2", "NAXIS2"],
  binning_x: ["XBINNING"],
  binning_y: ["YBINNING"],
  gain: ["GAIN"],
  black_level: ["OFFSET", "BLKLEVEL"],
};
const drop = document.getElementById("drop");
const form = document.getElementById("values");

// The values of a header unit's cards (FITS 4.0 section 4.2), and where the next unit's header would begin.
function cards(bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  const found = {};
  for (let at = 0; at + CARD <= text.length; at += CARD) {
    const card = text.slice(at, at + CARD), keyword = card.slice(0, 8).trim();
    if (keyword === "END") return { found, end: Math.ceil((at + CARD) / BLOCK) * BLOCK };
    if (card.slice(8, 10) !== "= ") continue;
    const value = /^\s*(?:'((?:[^']|'')*)'|([^/]*))/.exec(card.slice(10));
    found[keyword] = value[1] !== undefined ? value[1].replaceAll("''", "'").trim() : value[2].trim();
  }
  return null;
}

async function header(file) {
  const bytes = new Uint8Array(await file.slice(0, BLOCK * MOST_BLOCKS).arrayBuffer());
  const first = cards(bytes);
  if (!first || first.found.SIMPLE !== "T") throw new Error(`${file.name}: FITS?`);
  // Of a compressed image, the header is that of the first extension.
  const second = first.found.NAXIS === "0" ? cards(bytes.slice(first.end)) : null;
  return { ...first.found, ...second?.found };
}

async function fill(file) {
  const said = drop.querySelector("output");
  try {
    const found = await header(file);
    for (const [field, keywords] of Object.entries(KEYWORDS)) {
      const keyword = keywords.find((name) => found[name]);
      form.elements[field].value = keyword ? found[keyword] : "";
    }
    said.textContent = file.name;
    form.querySelector("button").focus();
  } catch (error) {
    said.textContent = error.message;
  }
}

drop.hidden = false;
document.getElementById("fits").addEventListener("change", (event) => event.target.files[0] && fill(event.target.files[0]));
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files[0]) fill(event.dataTransfer.files[0]);
});
