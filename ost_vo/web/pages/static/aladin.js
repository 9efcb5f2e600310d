// Aladin Lite in a frame in place of a map, with what the map shows: coverage, fields and targets. Place and
// field of view come from the frame's data and go back there; it asks the archive, and nobody else unless
// the operator has named a survey.

const PART = 0.15; // of the map that an arrow moves it
const CLOSEST = 0.02; // degrees across the map at its closest
const WIDE = 40; // degrees across from which fields are too small to be seen without a mark
const LABELS = 60; // names on the map at most
const FONT = "12px system-ui, sans-serif";
const ATTEMPTS = 30; // to get the coverage while it is computed

const frame = window.frameElement;
const page = document.body.dataset;
const words = JSON.parse(page.words);
const start = JSON.parse(frame?.dataset.view ?? "[0, 0, 360]");
const fields = JSON.parse(frame?.dataset.fields ?? "[]");
const status = document.querySelector("#status");
const style = getComputedStyle(document.body);
const colour = (name) => style.getPropertyValue(name);

function go(path) {
  (frame ? window.parent : window).location.assign(`${page.base}${path}`);
}

function search(ra, dec, fov) {
  const radius = Math.max(0.05, Math.min(5, fov / 40)).toPrecision(2);
  go(`/search?${new URLSearchParams({ q: `${ra.toFixed(5)} ${dec.toFixed(5)} r=${radius}` })}`);
}

// The coverage is computed when somebody asks for it first, and may take longer than an answer may.
async function fetched(path) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${page.base}${path}`);
    if (answer.ok) return answer.json();
    if (answer.status !== 503 || attempt === ATTEMPTS) throw new Error(`${answer.status} ${path}`);
    status.textContent = words.computing;
    await new Promise((again) => setTimeout(again, 1000 * Number(answer.headers.get("Retry-After") ?? 60)));
  }
}

function opened(A) {
  const aladin = A.aladin("#sky", {
    survey: [], // none; null would be Aladin Lite's own, from elsewhere
    hipsList: [],
    log: false,
    samp: false,
    mode: "dark",
    backgroundColor: style.backgroundColor,
    projection: "AIT", // Hammer's, as on the map
    cooFrame: "ICRS",
    fov: start[2],
    reticleColor: colour("--accent"),
    gridColor: colour("--quiet"),
    gridOptions: { enabled: true, labelSize: 12, opacity: 0.35 },
    showCooGridControl: true,
    showFullscreenControl: Boolean(frame?.allowFullscreen),
    realFullscreen: true,
    showReticle: false,
    showStatusBar: false,
    showLayersControl: false, // its surveys are elsewhere
    showCooLocation: false, // as is what finds a name
  });
  aladin.gotoRaDec(start[0], start[1]);
  return aladin;
}

// Gives names to what Aladin Lite has as pictures alone, also where it draws it anew.
function name(sky) {
  for (const [selector, word] of Object.entries(words)) {
    if (selector.startsWith(".")) sky.querySelector(selector)?.setAttribute("aria-label", word);
  }
  for (const image of sky.querySelectorAll("img:not([alt])")) image.alt = "";
}

function listen(aladin) {
  const tell = () => {
    if (!frame) return;
    const [ra, dec] = aladin.getRaDec();
    frame.dataset.view = JSON.stringify([ra, dec, aladin.getFov()[0]]);
    frame.dispatchEvent(new Event("moved"));
  };
  aladin.on("positionChanged", tell);
  aladin.on("zoomChanged", tell);
  const zoom = (factor) => aladin.setFoV(Math.max(CLOSEST, Math.min(360, aladin.getFov()[0] * factor)));
  const move = (east, north) => {
    const [ra, dec] = aladin.getRaDec();
    const [across, high] = aladin.getFov();
    const stretch = Math.max(0.05, Math.cos((dec * Math.PI) / 180));
    const least = PART * Math.min(across, high);
    aladin.gotoRaDec((ra + (east * least) / stretch + 360) % 360, Math.max(-90, Math.min(90, dec + north * least)));
  };
  const actions = {
    ArrowLeft: () => move(1, 0),
    ArrowRight: () => move(-1, 0),
    ArrowUp: () => move(0, 1),
    ArrowDown: () => move(0, -1),
    "+": () => zoom(0.8),
    "=": () => zoom(0.8),
    "-": () => zoom(1.25),
    0: () => { aladin.gotoRaDec(start[0], start[1]); aladin.setFoV(start[2]); },
    Enter: () => search(...aladin.getRaDec(), aladin.getFov()[0]),
  };
  document.addEventListener("keydown", (event) => {
    const isOurs = event.target === document.body || event.target.id === "sky";
    if (!isOurs || !actions[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[event.key]();
  });
  // A click hits all that is near, a field with its targets; what stands for either says where it leads.
  let hit = [];
  const lead = () => {
    const found = hit.find((object) => object.data?.name) ?? hit[0];
    hit = [];
    (found.open ?? found.data?.open)?.();
  };
  aladin.on("objectClicked", (object) => {
    if (object && hit.push(object) === 1) setTimeout(lead);
  });
}

// A field is a point, a circle with its diameter, or an outline: two, three or more numbers, degrees.
function addFields(A, aladin) {
  const overlay = A.graphicOverlay({ name: words.fields, color: colour("--accent"), lineWidth: 2 });
  const centres = A.catalog({
    name: words.fields,
    shape: "circle",
    sourceSize: 8,
    color: colour("--accent"),
    filter: (mark) => mark.data.isPoint || aladin.getFov()[0] > WIDE,
  });
  aladin.addOverlay(overlay);
  aladin.addCatalog(centres);
  const marks = [];
  for (const numbers of fields) {
    let [ra, dec] = numbers;
    let shape = null;
    if (numbers.length === 3) shape = A.circle(ra, dec, numbers[2] / 2);
    if (numbers.length > 3) {
      const vertices = [];
      for (let i = 0; i + 1 < numbers.length; i += 2) vertices.push([numbers[i], numbers[i + 1]]);
      shape = A.polygon(vertices);
      [ra, dec] = middle(vertices);
    }
    const open = () => search(ra, dec, aladin.getFov()[0]);
    if (shape) overlay.add(Object.assign(shape, { open }));
    marks.push(A.source(ra, dec, { open, isPoint: !shape }));
  }
  centres.addSources(marks);
}

function vector(ra, dec) {
  const [r, d] = [(ra * Math.PI) / 180, (dec * Math.PI) / 180];
  return [Math.cos(d) * Math.cos(r), Math.cos(d) * Math.sin(r), Math.sin(d)];
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

function middle(vertices) {
  const directions = vertices.map(([ra, dec]) => vector(ra, dec));
  const [x, y, z] = directions.reduce((a, b) => a.map((value, axis) => value + b[axis]));
  return [((Math.atan2(y, x) * 180) / Math.PI + 360) % 360, (Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI];
}

async function addTargets(A, aladin) {
  const { targets } = await fetched("/api/v1/targets?limit=1000");
  const catalogue = A.catalog({
    name: words.targets,
    shape: "circle",
    sourceSize: 10,
    color: colour("--warm"),
    displayLabel: true,
    labelColumn: "label",
    labelColor: colour("--ink"),
    labelFont: FONT,
  });
  aladin.addCatalog(catalogue);
  const sources = targets.filter((target) => target.s_ra !== null).map(({ target_name: name, s_ra, s_dec }) =>
    A.source(s_ra, s_dec, { name, label: "", open: () => go(`/targets/${encodeURIComponent(name)}`) }),
  );
  const near = ({ ra, dec }) => dot(vector(ra, dec), vector(start[0], start[1]));
  sources.sort((a, b) => near(b) - near(a)); // the target of the page gets its name before others
  label(sources, aladin);
  catalogue.addSources(sources);
  for (const change of ["AL:zoom.changed", "AL:position.changed"]) {
    aladin.addListener(change, () => label(sources, aladin));
  }
}

// Gives names to targets in view, as long as no name is on another.
function label(sources, aladin) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  const [width, height] = aladin.getSize();
  const taken = [];
  for (const { ra, dec, data } of sources) {
    const [x, y] = (taken.length < LABELS && aladin.world2pix(ra, dec)) || [-1, -1];
    const wide = x < 0 ? 0 : pen.measureText(data.name).width + 12;
    const isIn = x >= 0 && y >= 0 && x + wide < width && y < height;
    const isClear = taken.every(([a, b, w]) => a + w < x || x + wide < a || Math.abs(b - y) > 13);
    if (isIn && isClear) taken.push([x, y, wide]);
    data.label = isIn && isClear ? data.name : "";
  }
}

async function addCoverage(A, aladin) {
  const moc = await fetched("/moc?RESPONSEFORMAT=json&ORDER=8");
  if (!Object.values(moc).some((cells) => cells.length)) return;
  const colours = { color: colour("--covered"), fillColor: colour("--covered") };
  const options = { name: words.coverage, ...colours, fill: true, perimeter: true, opacity: 0.7 };
  await new Promise((ready, failed) => aladin.addMOC(A.MOCFromJSON(moc, options, ready, failed)));
}

// Asked for its description first: Aladin Lite would look for another survey where this one is not there.
async function addSurvey(aladin) {
  const answer = await fetch(`${page.survey}/properties`).catch(() => null);
  if (!answer?.ok) throw new Error(`${words.unreachable} ${page.survey}`);
  aladin.setBaseImageLayer(page.survey);
}

async function show() {
  const { default: A } = await import(page.script);
  try {
    await A.init;
  } catch (error) {
    throw new Error(/WebGL/.test(error) ? words.unsupported : error);
  }
  const sky = document.querySelector("#sky");
  new MutationObserver(() => name(sky)).observe(sky, { childList: true, subtree: true });
  const aladin = opened(A);
  listen(aladin);
  addFields(A, aladin);
  const parts = [addCoverage(A, aladin), addTargets(A, aladin)];
  if (page.survey) parts.push(addSurvey(aladin));
  const failed = (await Promise.allSettled(parts)).filter((part) => part.reason);
  status.textContent = failed.map((part) => part.reason.message).join("; ");
  // What is added is drawn with the next picture.
  await new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)));
}

try {
  await show();
  page.state = "drawn";
} catch (error) {
  status.textContent = error.message;
  page.state = "failed";
}
