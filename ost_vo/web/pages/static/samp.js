// Sends tables and images to programs on the same desktop (SAMP 1.3, web profile: sections 5.2 and 5.3).

const HUB = "http://localhost:21012/";
let connection = null; // of this page with the hub, once somebody has sent something

function written(value) {
  const tag = (name, text) => `<${name}>${text}</${name}>`;
  const escaped = (text) => String(text).replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  if (typeof value === "string") return tag("value", tag("string", escaped(value)));
  const members = Object.entries(value).map(([name, member]) => tag("member", tag("name", escaped(name)) + written(member)));
  return tag("value", tag("struct", members.join("")));
}

function read(value) {
  const typed = value.firstElementChild;
  if (!typed) return value.textContent;
  const inside = (selector) => [...typed.querySelectorAll(selector)];
  if (typed.tagName === "array") return inside(":scope > data > value").map(read);
  if (typed.tagName !== "struct") return typed.textContent;
  return Object.fromEntries(
    inside(":scope > member").map((member) => [
      member.querySelector(":scope > name").textContent,
      read(member.querySelector(":scope > value")),
    ]),
  );
}

async function call(method, ...values) {
  const parameters = values.map((value) => `<param>${written(value)}</param>`).join("");
  const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${parameters}</params></methodCall>`;
  const answer = await fetch(HUB, { method: "POST", body, headers: { "Content-Type": "text/xml" }, referrerPolicy: "origin" });
  const document_ = new DOMParser().parseFromString(await answer.text(), "application/xml");
  const fault = document_.querySelector("methodResponse > fault > value");
  if (fault) throw new Error(read(fault).faultString);
  const result = document_.querySelector("methodResponse > params > param > value");
  return result ? read(result) : null;
}

async function connect() {
  const found = await call("samp.webhub.register", { "samp.name": document.title });
  const key = found["samp.private-key"];
  addEventListener("pagehide", () => call("samp.webhub.unregister", key), { once: true });
  return key;
}

async function send({ mtype, url, name }) {
  connection ??= await connect();
  const listening = await call("samp.webhub.getSubscribedClients", connection, mtype);
  if (Object.keys(listening).length === 0) return false;
  const own = mtype === "table.load.votable" ? { "table-id": url } : { "image-id": url };
  await call("samp.webhub.notifyAll", connection, { "samp.mtype": mtype, "samp.params": { url, name, ...own } });
  return true;
}

for (const place of document.querySelectorAll(".samp")) {
  const said = place.querySelector("output");
  place.hidden = false;
  place.querySelector("button").addEventListener("click", async () => {
    said.textContent = "…";
    try {
      said.textContent = (await send(place.dataset)) ? place.dataset.sent : place.dataset.nobody;
    } catch (error) {
      // No hub, or its user said no: fetch tells the one from the other by its type alone.
      said.textContent = error instanceof TypeError ? place.dataset.nobody : error.message;
      connection = null;
    }
  });
}
