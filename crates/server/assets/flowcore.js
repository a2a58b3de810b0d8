// The dashboard's one module: keeps the page live, opens pages as dialogs, counts codes down. Without it
// everything works by plain pages and forms.

import { follow } from "/assets/live.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("dialog");

// --- fragments ---------------------------------------------------------------------------------

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// Replaces the element of the same id. What did not change is left alone, so that an open menu or a
// focused button survives.
const sources = new WeakMap();

function swap(fresh) {
  const old = byId(fresh.id);
  if (!old) return false;
  const source = fresh.outerHTML;
  if (sources.get(old) === source) return true;
  const open = old.querySelector("details[open]");
  const picked = old.querySelector(".pick")?.checked;
  const focused = old.contains(document.activeElement);
  old.replaceWith(fresh);
  sources.set(fresh, source);
  if (open) fresh.querySelector("details")?.setAttribute("open", "");
  if (picked) fresh.querySelector(".pick").checked = true;
  if (focused) fresh.querySelector("button, a, summary")?.focus();
  dress(fresh);
  return true;
}

function place(card) {
  const list = byId("instances");
  if (!list || swap(card) || "filtered" in list.dataset) return;
  const name = card.dataset.name.toLowerCase();
  const after = [...list.children].find((other) => other.dataset.name.toLowerCase() > name);
  if (!after && "more" in list.dataset) return;
  list.insertBefore(card, after ?? null);
  dress(card);
}

function count() {
  if (!byId("shown")) return;
  byId("shown").textContent = document.querySelectorAll(".card").length;
  byId("connected").textContent = document.querySelectorAll('.card[data-status="connected"]').length;
}

// --- what is live ------------------------------------------------------------------------------

// The whole list as the server shows it.
function sync(content) {
  const list = byId("instances");
  if (!list) return;
  const cards = [...content.querySelectorAll(".card")];
  const known = new Set(cards.map((card) => card.id));
  for (const old of [...list.children]) if (!known.has(old.id)) old.remove();
  for (const card of cards) if (!swap(card)) { list.append(card); dress(card); }
  count();
}

const focusable = "a, button, summary, input, select, textarea";

async function shown(address) {
  // A connection that died unseen costs a moment, not the answer.
  const asked = (ms) => fetch(address, { ...html, signal: AbortSignal.timeout(ms) });
  const answer = await asked(1500).catch(() => asked(4000)).catch(() => asked(15_000));
  if (answer.redirected && new URL(answer.url).pathname === "/login") location.assign("/login");
  return answer.ok && !answer.redirected && new DOMParser().parseFromString(await answer.text(), "text/html");
}

// What the server shows now takes the place of what is shown; where one reads, what is open and what plays stay.
function refresh(page, whole) {
  const waiting = page.getElementById("waiting");
  if (waiting && whole) swap(waiting);
  for (const id of ["followed", "followed-below"]) renew(page.getElementById(id), byId(id));
}

function renew(fresh, old) {
  if (!fresh || !old || sources.get(old) === fresh.innerHTML) return;
  sources.set(old, fresh.innerHTML);
  const thread = document.querySelector("[data-end]");
  const [top, atEnd] = thread ? [thread.scrollTop, thread.scrollHeight - thread.scrollTop - thread.clientHeight < 40] : [];
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  const at = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  document.adoptNode(fresh);
  for (const one of fresh.querySelectorAll("[data-now]")) {
    const known = byId(one.id);
    if (known?.dataset.now === one.dataset.now) one.replaceWith(known);
  }
  old.replaceChildren(...fresh.childNodes);
  old.querySelectorAll("details").forEach((one, at) => (one.open = open[at] ?? false));
  if (at >= 0) old.querySelectorAll(focusable)[at]?.focus();
  dress(old);
  if (atEnd) toEnd();
  else if (thread) document.querySelector("[data-end]").scrollTop = top;
}

// The page as the server has it now. Answers may overtake each other, and what the stream brought meanwhile is younger
// than any of them: nothing older takes the place of it. A stream brings all that its page shows when it begins.
let begun = 0, applied = 0, pushed = 0;

async function look() {
  const linking = document.querySelector(".linking");
  const [mine, before] = [++begun, pushed];
  const newest = () => pushed === before;
  try {
    // What a form answered with has no address of its own.
    const page = await shown(document.body.dataset.at ?? location.href);
    if (page && mine > applied) {
      applied = mine;
      if (newest()) sync(page);
      refresh(page, newest());
    }
    const link = linking && (await shown(`/i/${linking.dataset.name}/link`));
    if (link && newest()) linked(link.querySelector(".linking"));
  } catch {
    // The stream's keeper asks whether the server is there.
  }
}

// Upon news, but not for each of a flood of them.
let due, missed;
function soon() {
  missed = true;
  due ??= setTimeout(async () => {
    missed = false;
    await look();
    setTimeout(() => {
      due = undefined;
      if (missed) soon();
    }, 300);
  }, 50);
}

const pushing = (show) => (data) => {
  pushed += 1;
  show(data);
};

const kinds = {
  sync: pushing((html) => sync(parse(html))),
  card: pushing((html) => {
    place(parse(html).querySelector(".card"));
    count();
  }),
  gone: pushing((id) => {
    byId(`card-${id}`)?.remove();
    count();
  }),
  waiting: pushing((html) => swap(parse(html).querySelector("#waiting"))),
  news: soon,
  qr: pushing((html) => linked(parse(html).querySelector(".linking"))),
};

// Where linking stands. A code or a number that is being typed stays until the phone is linked.
function linked(fresh) {
  const old = byId(fresh.id);
  const done = "done" in fresh.dataset;
  if (old && "code" in old.dataset && !done) return;
  if (old?.querySelector(".instead[open]") && !done) {
    old.querySelector(".scan")?.replaceWith(fresh.querySelector(".scan") ?? "");
    dress(old);
    return;
  }
  swap(fresh);
}

// --- dialogs -----------------------------------------------------------------------------------

async function show(request) {
  const answer = await request;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const panel = page.querySelector(".panel");
  const told = page.querySelector(".toast");
  if (told) toast(told.textContent);
  if (!panel || panel.classList.contains("login")) {
    if (!told) location.assign(answer.url);
    dialog.close();
    return;
  }
  dialog.replaceChildren(document.adoptNode(panel));
  dress(dialog);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
}

const html = { headers: { accept: "text/html" } };

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".items")) menu.removeAttribute("open");
  }
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if ("close" in link.dataset && dialog.open) {
    event.preventDefault();
    dialog.close();
  } else if ("dialog" in link.dataset) {
    event.preventDefault();
    show(fetch(link.href, html)).catch(() => location.assign(link.href));
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("#instances form, dialog form");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter;
  const body = new URLSearchParams(new FormData(form));
  if (button) {
    button.disabled = true;
    if (button.dataset.busy) button.textContent = button.dataset.busy;
  }
  show(fetch(form.action, { ...html, method: "post", body }))
    .catch(() => toast("The server can't be reached. Try again."))
    .finally(() => button && (button.disabled = false));
});

dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => dialog.replaceChildren());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("details.menu[open]")?.removeAttribute("open");
});

// --- small things ------------------------------------------------------------------------------

function toast(text) {
  const note = document.createElement("p");
  note.className = "toast";
  note.textContent = text;
  byId("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// What fragments need once they are on the page: the viewer's time zone, running countdowns, the word
// that linking is done.
function dress(root) {
  for (const time of root.querySelectorAll("time")) time.textContent = when.format(new Date(time.dateTime));
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  for (const scan of root.querySelectorAll(".scan")) scan.ends = performance.now() + Number(scan.dataset.left);
  tick();
  const done = root.matches?.("[data-done]") ? root : root.querySelector("[data-done]");
  if (done && dialog.open && dialog.contains(done)) {
    toast(done.dataset.done);
    dialog.close();
  }
}

function tick() {
  for (const scan of document.querySelectorAll(".scan")) {
    const left = scan.ends - performance.now();
    const share = Math.max(0, left / Number(scan.dataset.whole));
    scan.classList.toggle("stale", left <= 0);
    scan.querySelector(".left").style.strokeDashoffset = 100 * (1 - share);
    scan.querySelector(".seconds").textContent = left > 0 ? `, ${Math.ceil(left / 1000)} s` : "";
  }
}

function toEnd() {
  const thread = document.querySelector("[data-end]");
  const wanted = location.hash && thread?.querySelector(`#${CSS.escape(location.hash.slice(1))}`);
  if (wanted) wanted.scrollIntoView({ block: "center" });
  else if (thread) thread.scrollTop = thread.scrollHeight;
}

// On a narrow screen the navigation is longer than what is seen of it.
for (const current of document.querySelectorAll("nav [aria-current]")) {
  const nav = current.parentElement;
  nav.scrollLeft = current.offsetLeft - nav.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}

dress(document);
setInterval(tick, 500);
for (const told of document.querySelectorAll(".toast")) setTimeout(() => told.remove(), 6000);
if (location.search.includes("did=")) history.replaceState(null, "", location.pathname);
if (document.body.dataset.live) follow(document.body.dataset.live, kinds, look);
document.addEventListener("fresh", (event) => dress(event.detail));
toEnd();

// --- copying, and previews ---------------------------------------------------------------------

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Over plain HTTP from another machine browsers keep the clipboard back, but for what was selected.
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" });
  (dialog.open ? dialog : document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(byId(button.dataset.copy).textContent);
  button.textContent = "✓";
});

document.addEventListener("input", (event) => {
  const preview = event.target.dataset?.preview;
  if (preview) byId(preview).textContent = event.target.value;
  const length = event.target.dataset?.length;
  if (length) byId(length).textContent = [...event.target.value].length;
});

// --- forms -------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-curl]");
  if (!button) return;
  const { curl } = await import("/assets/curl.js");
  await copy(curl(button.form));
  toast(button.dataset.copyCurl);
});

// Whether a name can be had is asked for while it is typed.
let naming;
document.addEventListener("input", ({ target }) => {
  if (!target.dataset?.ask) return;
  clearTimeout(naming);
  naming = setTimeout(async () => {
    const page = await shown(`${target.dataset.ask}${encodeURIComponent(target.value)}`).catch(() => null);
    const [fresh, old] = [page?.getElementById("told"), byId("told")];
    if (!fresh || !old) return;
    old.replaceChildren(...fresh.childNodes);
    target.setAttribute("aria-invalid", String(old.childElementCount > 0));
  }, 200);
});

// A button that works for long says so; the page that comes has a fresh one.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button?.dataset.busy) return;
  setTimeout(() => {
    button.disabled = true;
    button.textContent = button.dataset.busy;
  });
});
// Who comes back to a page finds it as it is now, not as it was left.
addEventListener("pageshow", (event) => event.persisted && location.reload());
