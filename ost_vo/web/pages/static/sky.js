// A map of the sky: coverage, outlines of fields and targets on a grid of ICRS, drawn by the browser alone.
// The projection is Hammer's about the centre of the map, north up and east left: it is whole when zoomed out,
// and true to shape when zoomed in.

const DEGREE = Math.PI / 180;
const FULL = 360; // degrees across the map at its widest
const CLOSEST = 0.02; // degrees across the map at its closest
const PART = 0.15; // of the map that an arrow moves it
const LABELS = 60; // names on the map at most
const NEAR = 60; // degrees across the map from which coverage is drawn to its outlines, not in counts
const UNFOLDED = 4; // times the sine of a fourth of a longitude is its place on Hammer's equator
const SHADES = 5; // of counts, by their logarithms
const COARSE = 3; // cells up to this order have edges that bend
const [DEC_STEPS, RA_STEPS] = [
  [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 1 / 30, 1 / 60, 1 / 300],
  [30, 15, 7.5, 5, 2.5, 1.25, 0.5, 0.25, 0.125, 1 / 24, 1 / 48, 1 / 240],
];
// Rows and columns of the twelve base cells (Gorski et al. 2005, section 4.1).
const FACE_ROW = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4];
const FACE_COLUMN = [1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7];
// The ICRS directions of the galactic pole, and of the centre (Hipparcos catalogue, volume 1, section 1.5.3).
const GALACTIC = [vector(192.85948, 27.12825), vector(266.40499, -28.93617)];
const ECLIPTIC = [vector(270, 66.56071), vector(0, 0)];

function vector(ra, dec) {
  const c = Math.cos(dec * DEGREE);
  return [c * Math.cos(ra * DEGREE), c * Math.sin(ra * DEGREE), Math.sin(dec * DEGREE)];
}

function place([x, y, z]) {
  return [(Math.atan2(y, x) / DEGREE + 360) % 360, Math.asin(Math.max(-1, Math.min(1, z))) / DEGREE];
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

// The direction of a place within a base cell of HEALPix; x and y run from 0 to 1.
function inFace(face, x, y) {
  const row = FACE_ROW[face] - x - y;
  const ring = row < 1 ? row : row > 3 ? 4 - row : 1;
  const z = row < 1 ? 1 - (ring * ring) / 3 : row > 3 ? (ring * ring) / 3 - 1 : ((2 - row) * 2) / 3;
  const longitude = ring < 1e-12 ? 0 : ((FACE_COLUMN[face] * ring + x - y) * Math.PI) / 4 / ring;
  const flat = Math.sqrt(Math.max(0, 1 - z * z));
  return [flat * Math.cos(longitude), flat * Math.sin(longitude), z];
}

// The corners of a cell, numbered as in the nested scheme; large cells get points along their edges.
function cell(order, number) {
  const across = 2 ** order;
  const face = Math.floor(number / (across * across));
  let inside = number % (across * across), x = 0, y = 0;
  for (let bit = 0; bit < order; bit++) {
    x |= (inside & 1) << bit;
    y |= ((inside >> 1) & 1) << bit;
    inside = Math.floor(inside / 4);
  }
  const parts = order <= COARSE ? 8 >> order || 1 : 1;
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const points = [];
  corners.forEach(([ax, ay], i) => {
    const [bx, by] = corners[(i + 1) % 4];
    for (let k = 0; k < parts; k++) {
      const f = k / parts;
      points.push(inFace(face, (x + ax + (bx - ax) * f) / across, (y + ay + (by - ay) * f) / across));
    }
  });
  return points;
}

function circle([ra, dec], radius) {
  const centre = vector(ra, dec);
  const east = [-Math.sin(ra * DEGREE), Math.cos(ra * DEGREE), 0];
  const north = cross(centre, east);
  return Array.from({ length: 24 }, (_, i) => {
    const [c, s] = [Math.cos(i * 15 * DEGREE), Math.sin(i * 15 * DEGREE)];
    const [r, d] = [Math.sin(radius * DEGREE), Math.cos(radius * DEGREE)];
    return centre.map((value, axis) => d * value + r * (c * east[axis] + s * north[axis]));
  });
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status} ${url}`);
  return answer.json();
}

class Sky {
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector("canvas");
    this.readout = figure.querySelector("output");
    this.cells = []; // of the coverage
    this.counts = []; // larger ones, with a shade from 0 to 1
    this.fields = [];
    this.targets = [];
    const [ra, dec, across] = JSON.parse(figure.dataset.view);
    this.start = { ra, dec, across };
    this.reset();
    for (const numbers of JSON.parse(figure.dataset.fields)) this.addField(numbers);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.load();
  }

  // A field is a point, a circle with its diameter, or an outline: two, three or more numbers, degrees.
  addField(numbers) {
    if (numbers.length <= 3) {
      const [ra, dec, size = 0] = numbers;
      this.fields.push({ centre: vector(ra, dec), points: size ? circle([ra, dec], size / 2) : [] });
      return;
    }
    const points = [];
    for (let i = 0; i + 1 < numbers.length; i += 2) points.push(vector(numbers[i], numbers[i + 1]));
    const sum = points.reduce((a, b) => a.map((value, axis) => value + b[axis]));
    const length = Math.hypot(...sum) || 1;
    this.fields.push({ centre: sum.map((value) => value / length), points });
  }

  async load() {
    const { cells, targets } = this.figure.dataset;
    try {
      if (targets) {
        const found = (await fetched(targets)).targets.filter((target) => target.s_ra !== null);
        this.targets = found.map((target) => ({ name: target.target_name, at: vector(target.s_ra, target.s_dec) }));
        this.draw();
      }
      if (cells) {
        const found = await fetched(cells);
        const most = Math.log(1 + Math.max(...found.cells.map(([, files]) => files)));
        this.counts = found.cells.map(([number, files]) => ({
          points: cell(found.order, number),
          shade: Math.ceil((Math.log(1 + files) / most) * SHADES),
        }));
        this.draw();
      }
    } catch (error) {
      this.readout.textContent = String(error.message);
    }
    this.figure.dataset.state = "drawn";
  }

  // The coverage to its outlines is larger than counts are, and asked for when somebody comes close.
  async loadCoverage() {
    const url = this.figure.dataset.coverage;
    if (!url || this.isAsked) return;
    this.isAsked = true;
    try {
      for (const [order, numbers] of Object.entries(await fetched(url))) {
        for (const number of numbers) this.cells.push(cell(Number(order), number));
      }
      this.draw();
    } catch (error) {
      this.readout.textContent = String(error.message);
    }
  }

  reset() {
    ({ ra: this.ra, dec: this.dec, across: this.across } = this.start);
  }

  get scale() {
    // Pixels for a radian at the centre. The whole sky is 4 sqrt 2 wide and half as high.
    const widest = Math.min(this.width / 5.75, this.height / 2.9);
    return (widest * FULL) / this.across;
  }

  // Pixels of a direction, with the longitude behind the seam of the map if it is asked for.
  project(v, turns = 0) {
    const x = dot(v, this.axes[0]), y = dot(v, this.axes[1]), z = dot(v, this.axes[2]);
    const longitude = Math.atan2(y, x) + turns * 2 * Math.PI;
    const flat = Math.sqrt(Math.max(0, 1 - z * z));
    const d = Math.sqrt(Math.max(1e-9, 1 + flat * Math.cos(longitude / 2)));
    return [
      this.width / 2 - (2 * Math.SQRT2 * flat * Math.sin(longitude / 2) * this.scale) / d,
      this.height / 2 - (Math.SQRT2 * z * this.scale) / d,
      longitude,
    ];
  }

  // The direction at pixels, null beside the map.
  at(px, py) {
    const x = (this.width / 2 - px) / this.scale, y = (this.height / 2 - py) / this.scale;
    const square = 1 - (x / 4) ** 2 - (y / 2) ** 2;
    if (square < 0.5) return null;
    const z = Math.sqrt(square);
    const longitude = 2 * Math.atan2(z * x, 2 * (2 * square - 1)), latitude = Math.asin(z * y);
    const flat = Math.cos(latitude);
    const local = [flat * Math.cos(longitude), flat * Math.sin(longitude), Math.sin(latitude)];
    return [0, 1, 2].map((axis) => local.reduce((sum, value, i) => sum + value * this.axes[i][axis], 0));
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    if (this.canvas.width !== Math.round(clientWidth * ratio) || this.canvas.height !== Math.round(clientHeight * ratio)) {
      this.canvas.width = Math.round(clientWidth * ratio);
      this.canvas.height = Math.round(clientHeight * ratio);
    }
    [this.width, this.height] = [clientWidth, clientHeight];
    const [ra, dec] = [this.ra * DEGREE, this.dec * DEGREE];
    this.axes = [
      vector(this.ra, this.dec),
      [-Math.sin(ra), Math.cos(ra), 0],
      [-Math.sin(dec) * Math.cos(ra), -Math.sin(dec) * Math.sin(ra), Math.cos(dec)],
    ];
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.save();
    pen.beginPath();
    pen.ellipse(this.width / 2, this.height / 2, 2 * Math.SQRT2 * this.scale, Math.SQRT2 * this.scale, 0, 0, 2 * Math.PI);
    pen.clip();
    // How far from the centre anything can be and still be seen.
    const reach = this.across > 120 ? -1 : Math.cos(Math.min(Math.PI, (Math.hypot(this.width, this.height) / this.scale / 2) * 1.3 + 0.15));
    pen.fillStyle = pen.strokeStyle = colour("--covered");
    pen.lineWidth = 0.7;
    if (this.across <= NEAR) this.loadCoverage();
    if (this.across <= NEAR && this.cells.length) {
      pen.beginPath();
      for (const points of this.cells) if (dot(points[0], this.axes[0]) > reach) this.trace(pen, points);
      pen.fill();
      pen.stroke();
    } else {
      for (let shade = 1; shade <= SHADES; shade++) {
        pen.globalAlpha = 0.25 + (0.75 * shade) / SHADES;
        pen.beginPath();
        for (const count of this.counts) {
          if (count.shade === shade && dot(count.points[0], this.axes[0]) > reach) this.trace(pen, count.points);
        }
        pen.fill();
      }
      pen.globalAlpha = 1;
    }
    this.drawGrid(pen, colour);
    this.drawFields(pen, colour, reach);
    pen.restore();
    pen.strokeStyle = colour("--line");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.ellipse(this.width / 2, this.height / 2, 2 * Math.SQRT2 * this.scale, Math.SQRT2 * this.scale, 0, 0, 2 * Math.PI);
    pen.stroke();
    this.drawTargets(pen, colour, reach);
  }

  // Adds a polygon to the path; one across the seam comes on both sides of the map.
  trace(pen, points) {
    const placed = points.map((v) => this.project(v));
    const isAcross = placed.some((p) => p[2] > 2) && placed.some((p) => p[2] < -2);
    for (const side of isAcross ? [1, -1] : [0]) {
      points.forEach((v, i) => {
        const wraps = side && Math.sign(placed[i][2]) !== side;
        const [x, y] = wraps ? this.project(v, side) : placed[i];
        if (i) pen.lineTo(x, y);
        else pen.moveTo(x, y);
      });
      pen.closePath();
    }
  }

  // Adds a line through directions to the path, broken at the seam.
  line(pen, points) {
    let before = null;
    for (const v of points) {
      const now = this.project(v);
      if (before === null || Math.abs(now[2] - before[2]) > Math.PI) pen.moveTo(now[0], now[1]);
      else pen.lineTo(now[0], now[1]);
      before = now;
    }
  }

  drawGrid(pen, colour) {
    const half = Math.min(90, (this.height / this.scale / DEGREE / 2) * 1.2);
    const wanted = Math.min(this.across, 180) / 5;
    const decStep = DEC_STEPS.find((step) => step <= wanted) ?? DEC_STEPS.at(-1);
    const low = Math.max(-90, this.dec - half), high = Math.min(90, this.dec + half);
    const stretch = Math.cos(Math.min(89, Math.max(Math.abs(low), Math.abs(high))) * DEGREE);
    const wide = this.across > 120 || stretch < 0.1 ? 180 : Math.min(180, (this.across / 2 / stretch) * 1.1);
    const raWanted = wide === 180 ? 30 : wanted / Math.max(0.1, Math.cos(this.dec * DEGREE));
    const raStep = RA_STEPS.find((step) => step <= raWanted) ?? RA_STEPS.at(-1);
    pen.strokeStyle = colour("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    const raFrom = Math.ceil((this.ra - wide) / raStep) * raStep;
    const decFrom = Math.ceil(low / decStep) * decStep;
    for (let ra = raFrom; ra <= this.ra + wide; ra += raStep) {
      this.line(pen, Array.from({ length: 61 }, (_, i) => vector(ra, low + ((high - low) * i) / 60)));
    }
    for (let dec = decFrom; dec <= high + 1e-9; dec += decStep) {
      this.line(pen, Array.from({ length: 121 }, (_, i) => vector(this.ra - wide + (2 * wide * i) / 120, dec)));
    }
    pen.stroke();
    pen.setLineDash([2, 4]);
    pen.strokeStyle = colour("--quiet");
    for (const [pole, start] of [GALACTIC, ECLIPTIC]) {
      const side = cross(pole, start);
      pen.beginPath();
      this.line(pen, Array.from({ length: 361 }, (_, i) => {
        const [c, s] = [Math.cos(i * DEGREE), Math.sin(i * DEGREE)];
        return start.map((value, axis) => c * value + s * side[axis]);
      }));
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.fillStyle = colour("--quiet");
    pen.font = "11px system-ui, sans-serif";
    for (let ra = raFrom; ra <= this.ra + wide; ra += raStep) {
      const [x, y] = this.project(vector(ra, Math.max(low, Math.min(high, this.across > 120 ? 0 : this.dec))));
      if (x > 20 && x < this.width - 30 && Math.abs(ra - this.ra) < 179) pen.fillText(hours(ra, raStep), x + 3, y - 3);
    }
    for (let dec = decFrom; dec <= high; dec += decStep) {
      const [x, y] = this.project(vector(this.ra, dec));
      if (y > 14 && y < this.height - 4 && Math.abs(dec) > 1e-9) pen.fillText(degrees(dec, decStep), x + 3, y - 3);
    }
  }

  drawFields(pen, colour, reach) {
    pen.strokeStyle = pen.fillStyle = colour("--accent");
    pen.lineWidth = 1.2;
    for (const { centre, points } of this.fields) {
      if (dot(centre, this.axes[0]) <= reach) continue;
      const [x, y] = this.project(centre);
      const radius = points.length ? Math.max(...points.map((v) => Math.hypot(...this.project(v).slice(0, 2).map((value, i) => value - [x, y][i])))) : 0;
      pen.beginPath();
      if (radius < 4 || radius > this.width) {
        pen.arc(x, y, 3, 0, 2 * Math.PI);
        pen.globalAlpha = 0.8;
        pen.fill();
      } else {
        this.trace(pen, points);
        pen.globalAlpha = 0.12;
        pen.fill();
        pen.globalAlpha = 0.9;
        pen.stroke();
      }
      pen.globalAlpha = 1;
    }
  }

  drawTargets(pen, colour, reach) {
    const taken = [];
    pen.font = "12px system-ui, sans-serif";
    for (const target of this.targets) {
      target.x = null;
      if (dot(target.at, this.axes[0]) <= reach) continue;
      const [x, y] = this.project(target.at);
      if (x < 0 || y < 0 || x > this.width || y > this.height) continue;
      [target.x, target.y] = [x, y];
      pen.strokeStyle = colour("--warm");
      pen.lineWidth = 1.4;
      pen.beginPath();
      pen.arc(x, y, 4, 0, 2 * Math.PI);
      pen.stroke();
      const wide = pen.measureText(target.name).width;
      const clear = taken.every(([a, b, w]) => a + w < x || x + wide + 12 < a || Math.abs(b - y) > 13);
      if (clear && taken.length < LABELS && x + wide + 12 < this.width) {
        taken.push([x, y, wide + 12]);
        pen.fillStyle = colour("--ink");
        pen.fillText(target.name, x + 8, y + 4);
      }
    }
  }

  zoom(factor) {
    this.across = Math.max(CLOSEST, Math.min(FULL, this.across * factor));
    this.draw();
  }

  move(x, y) {
    // By pixels, as if the sky were dragged.
    const stretch = Math.max(0.05, Math.cos(this.dec * DEGREE));
    this.ra = (this.ra + x / this.scale / DEGREE / stretch + 360) % 360;
    this.dec = Math.max(-90, Math.min(90, this.dec + y / this.scale / DEGREE));
    this.draw();
    this.say([this.ra, this.dec]);
  }

  say([ra, dec]) {
    this.readout.textContent = `${hours(ra, 1 / 240)} ${degrees(dec, 1 / 3600)}`;
  }

  // Opens the target next to a place on the map, or what the archive has there.
  open(px, py) {
    const near = this.targets.find((target) => target.x != null && Math.hypot(target.x - px, target.y - py) < 9);
    const { base } = this.figure.dataset;
    if (near) {
      location.assign(`${base}/targets/${encodeURIComponent(near.name)}`);
      return;
    }
    const found = this.at(px, py);
    if (!found) return;
    const [ra, dec] = place(found).map((value) => value.toFixed(5));
    const radius = Math.max(0.05, Math.min(5, this.across / 40)).toPrecision(2);
    location.assign(`${base}/search?${new URLSearchParams({ q: `${ra} ${dec} r=${radius}` })}`);
  }

  listen() {
    const { canvas } = this;
    let last = null, moved = 0;
    canvas.addEventListener("pointerdown", (event) => {
      last = event;
      moved = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (last) {
        moved += Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY);
        this.move(event.clientX - last.clientX, event.clientY - last.clientY);
        last = event;
        return;
      }
      const found = this.at(event.offsetX, event.offsetY);
      if (found) this.say(place(found));
      const near = this.targets.find((target) => target.x != null && Math.hypot(target.x - event.offsetX, target.y - event.offsetY) < 9);
      canvas.title = near ? near.name : "";
    });
    canvas.addEventListener("pointerup", (event) => {
      last = null;
      if (moved < 4) this.open(event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointercancel", () => (last = null));
    // Who scrolls past the map does not want it zoomed.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = PART * Math.min(this.width, this.height);
      const actions = {
        ArrowLeft: () => this.move(step, 0),
        ArrowRight: () => this.move(-step, 0),
        ArrowUp: () => this.move(0, step),
        ArrowDown: () => this.move(0, -step),
        "+": () => this.zoom(0.8),
        "=": () => this.zoom(0.8),
        "-": () => this.zoom(1.25),
        0: () => { this.reset(); this.draw(); },
        Enter: () => this.open(this.width / 2, this.height / 2),
      };
      if (!actions[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      actions[event.key]();
    });
    const buttons = { closer: () => this.zoom(0.6), farther: () => this.zoom(1 / 0.6), whole: () => { this.reset(); this.draw(); } };
    for (const button of this.figure.querySelectorAll("button[data-do]")) {
      button.addEventListener("click", buttons[button.dataset.do]);
    }
    this.aladin = this.figure.querySelector("button[data-aladin]");
    if (!this.aladin || !("WebGL2RenderingContext" in window)) return;
    this.aladin.hidden = false;
    this.aladin.addEventListener("click", () => (this.frame ? this.closeAladin() : this.openAladin()));
    this.figure.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.frame) this.closeAladin();
    });
  }

  // Aladin Lite takes the map's place, at the same view, in a frame with a policy of its own.
  openAladin() {
    const frame = document.createElement("iframe");
    const part = Math.min(Math.SQRT1_2, this.width / this.scale / 2 / UNFOLDED);
    frame.title = this.aladin.dataset.title;
    frame.allowFullscreen = true;
    frame.dataset.view = JSON.stringify([this.ra, this.dec, (2 * UNFOLDED * Math.asin(part)) / DEGREE]);
    frame.dataset.fields = this.figure.dataset.fields;
    frame.addEventListener("moved", () => this.follow(JSON.parse(frame.dataset.view)));
    frame.addEventListener("load", () => {
      const inside = frame.contentDocument; // null where the policy of another page keeps it out of frames
      inside?.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.closeAladin();
      });
      inside?.querySelector("[tabindex]")?.focus();
    });
    frame.src = this.aladin.dataset.aladin;
    this.frame = frame;
    this.canvas.replaceWith(frame);
    this.aladin.setAttribute("aria-pressed", "true");
  }

  // Takes over a place and the degrees across the frame.
  follow([ra, dec, degrees]) {
    const part = Math.sin((degrees * DEGREE) / 2 / UNFOLDED);
    const scale = this.width / (2 * UNFOLDED * part);
    this.across = Math.max(CLOSEST, Math.min(FULL, (this.across * this.scale) / scale));
    [this.ra, this.dec] = [ra, dec];
    this.say([ra, dec]);
  }

  closeAladin() {
    this.frame.replaceWith(this.canvas);
    this.frame = null;
    this.aladin.setAttribute("aria-pressed", "false");
    this.aladin.focus();
    this.draw();
  }
}

function sexagesimal(value, step, [first, minute, second]) {
  // As many parts as the step needs; rounded in the last one, so that 59.99 is never written as 60.
  const parts = step >= 1 ? 1 : step >= 1 / 60 - 1e-9 ? 60 : 3600;
  const whole = Math.round(Math.abs(value) * parts);
  const pad = (number) => String(number % 60).padStart(2, "0");
  const seconds = parts === 3600 ? `${pad(whole)}${second}` : "";
  const minutes = parts === 1 ? "" : `${pad(Math.floor((whole * 60) / parts))}${minute}`;
  return `${Math.floor(whole / parts)}${first}${minutes}${seconds}`;
}

function hours(ra, step) {
  const within = ((ra % 360) + 360) % 360;
  return sexagesimal(within / 15, (step / 15) * (1 + 1e-9), ["h", "m", "s"]);
}

function degrees(dec, step) {
  return (dec < 0 ? "−" : "+") + sexagesimal(dec, step, ["°", "′", "″"]);
}

for (const figure of document.querySelectorAll(".sky")) new Sky(figure);
