// Files that were chosen for a download, kept by this browser across pages; and the progress of downloads.

const CART = "ost-cart", JOBS = "ost-downloads";
const KEPT_JOBS = 20;
const FIRST_LOOK = 700, LAST_LOOK = 5000; // ms between looks at a job

const kept = (key, nothing) => JSON.parse(localStorage.getItem(key) ?? "null") ?? nothing;
const keep = (key, value) => localStorage.setItem(key, JSON.stringify(value));

// Identifiers to names of files.
const chosen = () => kept(CART, {});

function choose(files) {
  keep(CART, { ...chosen(), ...files });
  showCount();
}

function showCount() {
  const count = Object.keys(chosen()).length;
  const badge = document.getElementById("cart-count");
  if (badge) badge.textContent = count ? ` (${count})` : "";
}

for (const form of document.querySelectorAll("form.pick")) {
  const boxes = () => [...form.querySelectorAll('input[name="ID"]')];
  form.querySelector("[data-scripted]").hidden = false;
  form.querySelector("[data-all]").addEventListener("change", (event) => {
    for (const box of boxes()) box.checked = event.target.checked;
  });
  form.querySelector("[data-add]").addEventListener("click", () => {
    const taken = boxes().filter((box) => box.checked);
    choose(Object.fromEntries(taken.map((box) => [box.value, box.dataset.name])));
  });
}

for (const button of document.querySelectorAll("button[data-choose]")) {
  button.hidden = false;
  button.addEventListener("click", () => choose({ [button.dataset.choose]: button.dataset.name }));
}

const cart = document.getElementById("cart");
if (cart) {
  const list = document.getElementById("chosen");
  const show = () => {
    const files = Object.entries(chosen());
    cart.hidden = files.length === 0;
    document.getElementById("nothing-chosen").hidden = files.length > 0;
    document.getElementById("chosen-count").textContent = files.length;
    list.replaceChildren(...files.map(([identifier, name]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${list.dataset.base}/product?${new URLSearchParams({ ID: identifier })}`;
      link.textContent = name;
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "ID", value: identifier });
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
      button.setAttribute("aria-label", `${list.dataset.remove}: ${name}`);
      button.addEventListener("click", () => {
        const { [identifier]: _, ...rest } = chosen();
        keep(CART, rest);
        showCount();
        show();
      });
      item.append(link, " ", button, field);
      return item;
    }));
  };
  document.getElementById("empty").addEventListener("click", () => {
    keep(CART, {});
    showCount();
    show();
  });
  show();
  const jobs = document.getElementById("own-jobs");
  if (jobs) {
    jobs.replaceChildren(...kept(JOBS, []).map(({ id, since }) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${jobs.dataset.base}/cart/${encodeURIComponent(id)}`;
      link.textContent = new Date(since).toLocaleString();
      item.append(link);
      return item;
    }));
  }
}

// Keeps a part of the page up to date as long as it is active.
async function follow(part, pause = FIRST_LOOK) {
  const shown = document.getElementById(part);
  if (!shown?.hasAttribute("data-active")) return;
  await new Promise((resolve) => setTimeout(resolve, pause));
  const answer = await fetch(location.href);
  // What has the focus is left alone: a button is not taken away from under a hand.
  if (answer.ok && !shown.contains(document.activeElement)) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    shown.replaceWith(page.getElementById(part));
  }
  await follow(part, Math.min(LAST_LOOK, pause * 1.3));
}

const job = document.getElementById("job");
if (job) {
  const { id } = job.dataset;
  const before = kept(JOBS, []);
  if (!before.some((known) => known.id === id)) {
    keep(JOBS, [{ id, since: Date.now() }, ...before].slice(0, KEPT_JOBS));
    keep(CART, {}); // what was chosen is in it
  }
  follow("job");
}
follow("jobs");
showCount();
