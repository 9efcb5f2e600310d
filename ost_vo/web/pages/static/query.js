// The ADQL page: runs a query, shows its rows, plots two columns, and completes names.

const MOST_ROWS = 500;
const MOST_POINTS = 20000;
const form = document.getElementById("query");
const editor = document.getElementById("adql");
const status = document.getElementById("status");
const result = document.getElementById("result");
const completions = document.getElementById("completions");
const tables = JSON.parse(form.dataset.completions);
const names = [...new Set([...Object.keys(tables), ...Object.values(tables).flat()])].sort();

form.addEventListener("submit", (event) => {
  const wantsPage = form.elements.RESPONSEFORMAT.value === "html";
  if (!wantsPage || event.submitter?.name === "download") return;
  event.preventDefault();
  run();
});

async function run() {
  status.textContent = "…";
  const started = performance.now();
  const body = new URLSearchParams({ LANG: "ADQL", QUERY: editor.value, RESPONSEFORMAT: "json" });
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body });
  } catch (error) {
    status.textContent = String(error);
    return;
  }
  if (!answer.ok) {
    result.hidden = true;
    status.textContent = reason(await answer.text());
    return;
  }
  show(await answer.json(), Math.round(performance.now() - started));
}

function reason(document_) {
  const parsed = new DOMParser().parseFromString(document_, "application/xml");
  const info = parsed.querySelector('INFO[name="QUERY_STATUS"]');
  return info ? info.textContent.trim() : document_;
}

function show(document_, milliseconds) {
  const { metadata: columns, data: rows } = document_;
  const said = document_.status?.value === "OK" ? "" : ` (${document_.status?.value}: ${document_.status?.message})`;
  status.textContent = `${rows.length} × ${columns.length}, ${milliseconds} ms${said}`;
  result.hidden = false;
  const head = element("tr");
  head.append(...columns.map((column) => element("th", column.name, column.description)));
  document.querySelector("#rows thead").replaceChildren(head);
  document.querySelector("#rows tbody").replaceChildren(
    ...rows.slice(0, MOST_ROWS).map((row) => {
      const line = element("tr");
      line.append(...row.map((value, i) => cell(columns[i].name, value)));
      return line;
    }),
  );
  const numeric = columns.map((column, i) => i).filter((i) => rows.some((row) => typeof row[i] === "number"));
  for (const [id, chosen] of [["plot-x", numeric[0]], ["plot-y", numeric[1] ?? numeric[0]]]) {
    const select = document.getElementById(id);
    select.replaceChildren(...numeric.map((i) => new Option(columns[i].name, i, false, i === chosen)));
    select.onchange = () => plot(rows);
  }
  plot(rows);
  const sent = document.querySelector("#sending .samp");
  sent.dataset.url = `${document.getElementById("sending").dataset.url}?${new URLSearchParams({ LANG: "ADQL", FORMAT: "votable", QUERY: editor.value })}`;
  const script = document.getElementById("script");
  script.textContent = `import pyvo\n\narchive = pyvo.dal.TAPService(${JSON.stringify(script.dataset.url)})\n` +
    `table = archive.search("""\n${editor.value.replaceAll("\\", "\\\\").replaceAll('"""', '\\"\\"\\"')}\n""").to_table()\nprint(table)\n`;
}

function cell(name, value) {
  const td = element("td", value === null ? "–" : String(value));
  if (typeof value === "number") td.className = "number";
  if (name === "obs_publisher_did" && value) {
    const link = element("a", value);
    link.href = `product?${new URLSearchParams({ ID: value })}`;
    td.replaceChildren(link);
  }
  return td;
}

function element(tag, text = "", title = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (title) made.title = title;
  return made;
}

function plot(rows) {
  const [x, y] = ["plot-x", "plot-y"].map((id) => Number(document.getElementById(id).value));
  const svg = document.getElementById("plot");
  const points = rows.slice(0, MOST_POINTS).map((row) => [row[x], row[y]]).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  svg.replaceChildren();
  if (points.length === 0) return;
  const [left, right, bottom, top] = [60, 550, 290, 10];
  const scale = (values, from, to) => {
    const low = Math.min(...values), high = Math.max(...values);
    const span = high - low || 1;
    return { low, high, at: (value) => from + ((value - low) / span) * (to - from) };
  };
  const across = scale(points.map((p) => p[0]), left, right);
  const up = scale(points.map((p) => p[1]), bottom, top);
  const draw = (tag, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    svg.append(made);
  };
  for (const value of [up.low, (up.low + up.high) / 2, up.high]) {
    draw("line", { class: "grid", x1: left, x2: right, y1: up.at(value), y2: up.at(value) });
    draw("text", { class: "up", x: left - 6, y: up.at(value) + 4 }, value.toPrecision(5));
  }
  for (const value of [across.low, (across.low + across.high) / 2, across.high]) {
    draw("text", { class: "across", x: across.at(value), y: bottom + 18 }, value.toPrecision(6));
  }
  for (const [a, b] of points) draw("circle", { cx: across.at(a), cy: up.at(b), r: 2.5 });
}

// Completion: names of tables and columns that begin with the word before the cursor.
let selected = 0;

function word() {
  return /[\w.]+$/.exec(editor.value.slice(0, editor.selectionStart))?.[0] ?? "";
}

function offer() {
  const begun = word().toLowerCase();
  const fitting = begun.length < 2 ? [] : names.filter((name) => name.toLowerCase().startsWith(begun) && name !== begun).slice(0, 12);
  selected = 0;
  completions.hidden = fitting.length === 0;
  completions.replaceChildren(
    ...fitting.map((name, i) => {
      const option = element("button", name);
      option.type = "button";
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(i === 0));
      option.addEventListener("click", () => take(name));
      return option;
    }),
  );
}

function take(name) {
  const end = editor.selectionStart;
  editor.setRangeText(name, end - word().length, end, "end");
  completions.hidden = true;
  editor.focus();
}

editor.addEventListener("input", offer);
editor.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("run"));
    return;
  }
  if (completions.hidden) return;
  const options = [...completions.children];
  if (event.key === "Tab") {
    event.preventDefault();
    take(options[selected].textContent);
  } else if (event.key === "Escape") {
    completions.hidden = true;
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    selected = (selected + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === selected)));
  }
});
