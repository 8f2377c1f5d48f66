"use strict";
const WIDTH = 224, HEIGHT = 168, EVERY = 1000;
const at = (id) => document.getElementById(id);
let all = null, shown = [], here = 0, columns = 1, read = 0, mixed = new Set(), place = new Map();
const stacks = new Map();  // image -> its decisions that count, the last one last
const mine = [];           // images that were decided on in this page, for undo
const cards = new Map();   // position -> element

function choices(select, texts, first) {
  select.replaceChildren(...[[first, ""], ...texts.map((text, n) => [text === "" ? "(none)" : text, String(n)])].map(([text, value]) => {
    const option = document.createElement("option");
    option.textContent = text; option.value = value;
    return option;
  }));
}

const decided = (n) => { const s = stacks.get(all.image[n]); return s && s.length ? s[s.length - 1] : null; };
function isKept(n) { const d = decided(n); return d ? d.verdict !== "reject" : all.kept[n] === 1; }
function classOf(n) { const d = decided(n); return d && d.verdict === "relabel" ? d.label : all.classes[all.class[n]] ?? "?"; }

function choose() {
  const by = at("sort").value, down = at("down").checked ? -1 : 1;
  const want = { class: at("class").value, reason: at("reason").value, method: at("method").value, state: at("state").value };
  shown = [];
  for (let n = 0; n < all.image.length; n++) {
    if (want.class !== "" && all.class[n] !== +want.class) continue;
    if (want.reason !== "" && all.reason[n] !== +want.reason) continue;
    if (want.method !== "" && all.method[n] !== +want.method) continue;
    if (want.state === "kept" && !isKept(n) || want.state === "rejected" && isKept(n)) continue;
    if (want.state === "open" && decided(n) || want.state === "decided" && !decided(n)) continue;
    shown.push(n);
  }
  const score = all.scores[by];
  if (score) shown.sort((a, b) => {
    const x = score[a], y = score[b];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return (x - y) * down || a - b;
  });
  else if (down < 0) shown.reverse();
  here = Math.min(here, Math.max(0, shown.length - 1));
  lay();
}

function lay() {
  columns = Math.max(1, Math.floor(at("view").clientWidth / WIDTH));
  at("tall").style.height = Math.ceil(shown.length / columns) * HEIGHT + "px";
  cards.forEach((card) => card.remove());
  cards.clear();
  paint();
}

function picture(kind, n, words) {
  const image = document.createElement("img");
  image.alt = words; image.decoding = "async"; image.width = 102; image.height = 104;
  image.src = `${kind}/${n}?side=160`;
  return image;
}

function make(position) {
  const n = shown[position], card = document.createElement("article");
  card.style.left = (position % columns) * WIDTH + "px";
  card.style.top = Math.floor(position / columns) * HEIGHT + "px";
  card.dataset.image = all.image[n];
  const pair = document.createElement("div");
  pair.className = "pair";
  const seed = picture("seed", n, "seed");
  seed.addEventListener("error", () => { seed.removeAttribute("src"); seed.alt = "no seed image"; });
  pair.append(seed, picture("image", n, all.image[n]));
  card.append(pair, ...["what", "what sign"].map((name) => Object.assign(document.createElement("span"), { className: name })));
  card.addEventListener("click", () => { here = position; paint(); at("view").focus(); });
  mark(card, n);
  return card;
}

function mark(card, n) {
  const d = decided(n), by = at("sort").value, score = all.scores[by];
  card.className = "card " + (d ? d.verdict : "") + (isKept(n) ? "" : " out");
  const [what, sign] = card.querySelectorAll(".what");
  what.textContent = classOf(n) + (score && score[n] !== null ? ` · ${by} ${score[n]}` : "");
  what.title = all.image[n];
  const old = all.kept[n] ? "kept" : "rejected: " + all.reasons[all.reason[n]];
  sign.textContent = d ? ({ accept: "accepted", reject: "rejected", relabel: "now " + d.label })[d.verdict] + ` by ${d.by}` : old;
}

function paint() {
  const view = at("view"), from = Math.floor(view.scrollTop / HEIGHT) - 1;
  const rows = Math.ceil(view.clientHeight / HEIGHT) + 3;
  const first = Math.max(0, from * columns), last = Math.min(shown.length, (from + rows) * columns);
  cards.forEach((card, position) => { if (position < first || position >= last) { card.remove(); cards.delete(position); } });
  for (let position = first; position < last; position++) {
    if (!cards.has(position)) { const card = make(position); cards.set(position, card); at("tall").append(card); }
    cards.get(position).classList.toggle("here", position === here);
  }
  const count = [...stacks.values()].filter((s) => s.length).length;
  at("count").textContent = `${shown.length} of ${all.image.length} images, ${count} decided`;
}

function go(step) {
  here = Math.max(0, Math.min(shown.length - 1, here + step));
  const view = at("view"), top = Math.floor(here / columns) * HEIGHT;
  if (top < view.scrollTop) view.scrollTop = top;
  if (top + HEIGHT > view.scrollTop + view.clientHeight) view.scrollTop = top + HEIGHT - view.clientHeight;
  paint();
}

function trouble(words) { at("trouble").textContent = words; at("trouble").hidden = !words; }

let sent = Promise.resolve();
function decide(n, verdict, label) {  // keys may come faster than answers: one after the other, in their order
  const image = all.image[n];
  if (verdict !== "undo") mine.push(image);
  return sent = sent.then(() => send(image, verdict, label));
}

async function send(image, verdict, label) {
  const failed = (words) => {
    const last = verdict === "undo" ? -1 : mine.lastIndexOf(image);
    if (last >= 0) mine.splice(last, 1);
    trouble(words);
  };
  try {
    const answer = await fetch("decide", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ image, verdict, label }) });
    if (!answer.ok) return failed("not written: " + await answer.text());
    trouble("");
    await hear();
  } catch { failed("the server does not answer: start imaginate review again; what was decided is kept"); }
}

let heard = Promise.resolve();
function hear() { return heard = heard.catch(() => {}).then(listen); }  // one after the other

async function listen() {  // what was decided here and in other pages
  const answer = await fetch("decisions?after=" + read);
  if (!answer.ok) return;
  const { count, decisions } = await answer.json();
  if (count <= read) return;
  read = count;
  for (const d of decisions) {
    const stack = stacks.get(d.image) ?? [];
    stacks.set(d.image, stack);
    if (d.verdict === "undo") stack.pop(); else stack.push(d);
  }
  cards.forEach((card, position) => mark(card, shown[position]));
  paint();
}

function act(key) {
  const n = shown[here];
  if (n === undefined) return false;
  if (key === "a") { decide(n, "accept"); go(1); }
  else if (key === "r") { decide(n, "reject"); go(1); }
  else if (key === "u") {
    const image = mine.pop();
    const m = image === undefined ? n : place.get(image);
    if (image !== undefined || decided(m)) decide(m, "undo");
    const position = shown.indexOf(m);
    if (position >= 0) { here = position; go(0); }
  }
  else if (key === "l") {
    if (mixed.has(n)) trouble("this image has several classes; it can be accepted or rejected");
    else { at("label").value = ""; at("relabel").showModal(); }
  }
  else if (key === "enter") { at("big").src = `image/${n}?side=2048`; at("large").showModal(); }
  else if (key === "arrowright" || key === "j") go(1);
  else if (key === "arrowleft" || key === "k") go(-1);
  else if (key === "arrowdown") go(columns);
  else if (key === "arrowup") go(-columns);
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  if (act(event.key.toLowerCase())) event.preventDefault();
});
at("relabel").addEventListener("close", () => {
  const label = at("label").value;
  if (at("relabel").returnValue !== "take") return;
  if (!all.classes.includes(label)) return trouble("there is no class " + label);
  decide(shown[here], "relabel", label);
  go(1);
});
at("large").addEventListener("click", () => at("large").close());
at("view").addEventListener("scroll", () => requestAnimationFrame(paint));
addEventListener("resize", () => requestAnimationFrame(lay));

async function start() {
  all = await (await fetch("rows")).json();
  mixed = new Set(all.mixed);
  place = new Map(all.image.map((image, n) => [image, n]));
  document.title = at("title").textContent = "Review of " + all.run;
  choices(at("sort"), [], "as made");
  for (const name of Object.keys(all.scores)) { const o = document.createElement("option"); o.value = o.textContent = name; at("sort").append(o); }
  choices(at("class"), all.classes, "every class");
  choices(at("reason"), all.reasons, "every reason");
  choices(at("method"), all.methods, "every method");
  at("labels").replaceChildren(...all.classes.map((name) => Object.assign(document.createElement("option"), { value: name })));
  for (const id of ["sort", "down", "class", "reason", "method", "state"]) at(id).addEventListener("change", () => { here = 0; at("view").scrollTop = 0; choose(); });
  at("map").hidden = !all.map;
  at("map").addEventListener("click", () => { at("big").src = "map.svg"; at("large").showModal(); });
  await hear();
  choose();
  at("view").focus();
  setInterval(() => hear().catch(() => {}), EVERY);
}
start().catch((error) => trouble("the page could not start: " + error));
