// The page with the phones: whose phone is in the hand, which screen it shows, and what is new.

import * as network from "./network.js";
import { Inbox, bubble, clock, day, el, icon, preview } from "./chat.js";

const byId = (id) => document.getElementById(id);
const NAMES = ["Marta Oliveira", "Jonas Weber", "Aisha Khan", "Luca Ferri", "Noor Haddad", "Emma Larsen", "Diego Ramos", "Yuki Tanaka", "Zoe Martin", "Samuel Osei"];

const state = {
  people: [],
  phones: [],
  groups: [],
  // {kind: "owner", phone?: number} or {kind: "person", phone}
  hand: { kind: "owner" },
  screen: "scan",
  chat: undefined,
  quote: undefined,
  recording: false,
};
const inboxes = new Map();

function inboxOf(phone) {
  if (!inboxes.has(phone)) inboxes.set(phone, new Inbox(phone));
  return inboxes.get(phone);
}

const isGroup = (chat) => chat.endsWith("@g.us");
const ownerOf = (phone) => state.phones.find((owner) => owner.phone === phone);

// A number that never said its name is called by its number, as on any phone.
const nameOf = (phone) => {
  if (isGroup(phone)) return state.groups.find(({ jid }) => jid === phone)?.subject ?? "Group";
  const told = (ownerOf(phone) ?? state.people.find((person) => person.phone === phone))?.name;
  return told && told !== `Phone ${phone}` ? told : `+${phone}`;
};

function toast(text) {
  const note = byId("toast");
  note.textContent = text;
  note.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (note.hidden = true), 6000);
}

const attempt = (action) => async (event) => {
  event?.preventDefault();
  try {
    await action(event);
  } catch (error) {
    toast(error.message);
  }
};

function avatar(name, big) {
  const node = el("span", big ? "avatar big" : "avatar", [...name.replace(/[^\p{L}\p{N}]/gu, "")][0]?.toUpperCase() ?? "•");
  node.dataset.hue = String([...name].reduce((sum, char) => sum + char.codePointAt(0), 0) % 6);
  return node;
}

// --- the shelf of phones ----------------------------------------------------------------------

function shelfItem(name, hint, current, pick, unread) {
  const item = el("button", "shelf-item");
  item.type = "button";
  if (current) item.setAttribute("aria-current", "true");
  const words = el("span", "two-lines");
  words.append(el("b", "", name), el("small", "", hint));
  item.append(avatar(name), words);
  if (unread) item.append(el("span", "badge", String(unread)));
  item.addEventListener("click", pick);
  const row = el("li");
  row.append(item);
  return row;
}

function drawShelf() {
  const holds = (kind, phone) => state.hand.kind === kind && state.hand.phone === phone;
  const owners = state.phones.map(({ phone, devices }) => {
    const name = nameOf(phone);
    const linked = devices.length ? `${devices.length} linked` : "nothing linked";
    return shelfItem(name, name.startsWith("+") ? linked : `+${phone} · ${linked}`, holds("owner", phone), () => take({ kind: "owner", phone }));
  });
  if (!owners.length) {
    owners.push(shelfItem("Your number", "Scan a code to link it", holds("owner"), () => take({ kind: "owner" })));
  }
  byId("owners").replaceChildren(...owners);
  const people = state.people.map(({ phone, name }) => {
    const unread = inboxOf(phone).chats().reduce((sum, chat) => sum + chat.unread, 0);
    return shelfItem(name, `+${phone}`, holds("person", phone), () => take({ kind: "person", phone }), unread);
  });
  byId("people").replaceChildren(...people);
  byId("no-people").hidden = people.length > 0;
}

function take(hand) {
  state.hand = hand;
  state.chat = undefined;
  state.screen = hand.kind === "person" ? "chats" : linkedDevices().length ? "linked" : "scan";
  // With one number to write to, a customer's phone opens the conversation at once.
  if (hand.kind === "person" && state.phones.length === 1) open(state.phones[0].phone);
  draw();
}

const linkedDevices = () => ownerOf(state.hand.phone)?.devices ?? [];

// --- screens ----------------------------------------------------------------------------------

function show(screen) {
  state.screen = screen;
  draw();
}

function draw() {
  drawShelf();
  for (const screen of document.querySelectorAll(".screen")) screen.hidden = screen.id !== `screen-${state.screen}`;
  ({ scan: drawScan, linked: drawLinked, chats: drawChats, chat: drawChat })[state.screen]();
}

let codes = { codes: [], clients: [] };

function drawScan() {
  byId("scan-back").hidden = !state.hand.phone;
  const found = byId("codes");
  const rows = codes.codes.map(({ name, qr }) => {
    const button = el("button", "primary", `Scan the code of ${name}`);
    button.type = "button";
    button.addEventListener("click", attempt(() => scan(qr)));
    return button;
  });
  const key = JSON.stringify(codes);
  if (found.dataset.drawn === key) return;
  found.dataset.drawn = key;
  found.replaceChildren(...rows);
  const shown = codes.clients.length;
  byId("scan-hint").textContent = rows.length
    ? "A code is in view."
    : shown
      ? `${shown === 1 ? "A client shows" : `${shown} clients show`} a code. Paste its text.`
      : "No code in view. Create an instance in the dashboard: its code appears here.";
}

async function scan(qr) {
  byId("viewfinder").classList.add("caught");
  try {
    const { phone } = await network.scan(qr, state.hand.phone);
    byId("code").value = "";
    await refresh();
    take({ kind: "owner", phone });
    // The device is there once the client has signed, a moment later.
    show("linked");
    toast("Linked. Now write to it from a customer's phone.");
  } finally {
    byId("viewfinder").classList.remove("caught");
  }
}

function drawLinked() {
  const owner = ownerOf(state.hand.phone);
  if (!owner) return show("scan");
  const name = nameOf(owner.phone);
  byId("owner-name").textContent = name;
  byId("owner-number").textContent = name.startsWith("+") ? "" : `+${owner.phone}`;
  byId("owner-avatar").replaceChildren(avatar(name, true));
  const rows = owner.devices.map(({ device, online, linkedAt }) => {
    const row = el("li");
    const words = el("span", "two-lines");
    words.append(el("b", "", `Device ${device}`), el("small", "", `${online ? "Online" : "Offline"} · linked ${clock(linkedAt)}`));
    const button = el("button", "quiet", "Log out");
    button.type = "button";
    button.addEventListener("click", attempt(async () => {
      await network.unlink(owner.phone, device);
      await refresh();
    }));
    row.append(icon("device"), words, button);
    return row;
  });
  byId("devices").replaceChildren(...rows);
  byId("no-devices").hidden = rows.length > 0;
}

function drawChats() {
  const inbox = inboxOf(state.hand.phone);
  byId("me").textContent = nameOf(state.hand.phone);
  const chats = inbox.chats();
  const known = new Set(chats.map(({ chat }) => chat));
  const fresh = state.phones.filter(({ phone }) => !known.has(phone)).map(({ phone }) => ({ chat: phone, messages: [], unread: 0 }));
  const rows = [...chats, ...fresh].map(({ chat, messages, unread }) => {
    const last = messages.at(-1);
    const item = el("button", "chat-item");
    item.type = "button";
    const words = el("span", "two-lines");
    const typing = inbox.typing.includes(chat);
    words.append(el("b", "", nameOf(chat)), el("small", typing ? "typing" : "", typing ? "typing…" : last ? preview(last) : "Write the first message"));
    const side = el("span", "side");
    if (last) side.append(el("small", "", clock(last.at)));
    if (unread) side.append(el("span", "badge", String(unread)));
    item.append(avatar(nameOf(chat)), words, side);
    item.addEventListener("click", () => {
      open(chat);
      draw();
    });
    const row = el("li");
    row.append(item);
    return row;
  });
  byId("chats").replaceChildren(...rows);
  byId("no-chats").hidden = rows.length > 0;
}

function open(chat) {
  state.chat = chat;
  state.screen = "chat";
  state.quote = undefined;
  state.recording = false;
  byId("text").value = "";
}

function drawChat() {
  const inbox = inboxOf(state.hand.phone);
  const messages = inbox.all().filter(({ chat }) => chat === state.chat);
  const typing = inbox.typing.includes(state.chat);
  byId("chat-name").textContent = nameOf(state.chat);
  byId("chat-avatar").replaceChildren(avatar(nameOf(state.chat)));
  byId("chat-status").textContent = typing ? "typing…" : ownerOf(state.chat)?.available ? "online" : "";
  byId("chat-status").classList.toggle("typing", typing);
  drawComposer();
  const list = byId("bubbles");
  const key = JSON.stringify([state.hand.phone, state.chat, typing, messages.map(({ id }) => [id, inbox.receipts.get(id), inbox.reactionsTo(id).join("")]), inbox.received.length]);
  if (list.dataset.drawn === key) return;
  list.dataset.drawn = key;
  const find = (id) => messages.find((message) => message.id === id);
  const nodes = messages.map((message) => {
    const quoted = message.quoted?.id ? find(message.quoted.id) : undefined;
    const author = isGroup(state.chat) && !message.mine ? nameOf(message.from) : undefined;
    const node = bubble(message, inbox, { quoted, author });
    if (!message.mine) node.addEventListener("dblclick", () => {
      state.quote = message;
      drawComposer();
      byId("text").focus();
    });
    return node;
  });
  if (typing) {
    const dots = el("li", "bubble dots");
    dots.append(el("i"), el("i"), el("i"));
    nodes.push(dots);
  }
  if (messages.length) nodes.unshift(el("li", "day", day(messages[0].at)));
  list.replaceChildren(...nodes);
  list.parentElement.scrollTop = list.parentElement.scrollHeight;
  markRead(inbox, messages);
}

function markRead(inbox, messages) {
  const ids = messages.filter(({ id, mine }) => !mine && !inbox.readIds.has(id)).map(({ id }) => id);
  if (!ids.length || document.hidden) return;
  ids.forEach((id) => inbox.readIds.add(id));
  network.read(inbox.phone, state.chat, ids).catch((error) => toast(error.message));
  drawShelf();
}

// --- writing ----------------------------------------------------------------------------------

function drawComposer() {
  const text = byId("text");
  byId("composer").classList.toggle("recording", state.recording);
  text.placeholder = state.recording ? "What the voice note says" : "Message";
  byId("send").hidden = !text.value.trim() && !state.recording;
  byId("record").hidden = Boolean(text.value.trim()) || state.recording;
  byId("quote").hidden = !state.quote;
  byId("quote-text").textContent = state.quote ? preview(state.quote) : "";
}

let typedAt = 0;
let idle;

function typed() {
  drawComposer();
  const { phone } = state.hand;
  const { chat } = state;
  const say = (what) => network.typing(phone, chat, what).catch(() => {});
  if (Date.now() - typedAt > 4000) {
    typedAt = Date.now();
    say(state.recording ? "recording" : "composing");
  }
  clearTimeout(idle);
  idle = setTimeout(() => {
    typedAt = 0;
    say("paused");
  }, 3000);
}

async function send() {
  const text = byId("text").value.trim();
  if (!text) return;
  const { phone } = state.hand;
  const to = state.chat;
  const message = state.recording ? { to, voice: { text } } : { to, text };
  if (state.quote && !state.recording) message.quote = state.quote.id;
  clearTimeout(idle);
  typedAt = 0;
  byId("send").disabled = true;
  try {
    const { id } = await network.write(phone, message);
    const type = state.recording ? "voice" : "text";
    const seconds = Math.max(1, Math.round(text.length / 15));
    inboxOf(phone).note({ id, chat: to, type, text, seconds, at: Math.floor(Date.now() / 1000), quoted: message.quote ? { id: message.quote } : null });
    byId("text").value = "";
    state.quote = undefined;
    state.recording = false;
  } finally {
    byId("send").disabled = false;
  }
  draw();
  byId("text").focus();
}

// --- news -------------------------------------------------------------------------------------

async function refresh() {
  const [{ phones }, { contacts }, { groups }] = await Promise.all([network.phones(), network.people(), network.groups()]);
  Object.assign(state, { phones, people: contacts, groups });
  const here = state.hand.kind === "person" ? contacts : phones;
  if (state.hand.phone && !here.some(({ phone }) => phone === state.hand.phone)) take({ kind: "owner", phone: phones[0]?.phone });
  if (state.hand.kind === "owner" && !state.hand.phone && phones.length) take({ kind: "owner", phone: phones[0].phone });
}

// One conversation is watched closely; the other phones are looked at in passing.
async function watchHand() {
  const { kind, phone } = state.hand;
  if (kind !== "person") return pause(400);
  const inbox = inboxOf(phone);
  const { messages } = await network.messages(phone, inbox.last, 2);
  if (inbox.take(messages).length) draw();
}

async function lookAround() {
  await refresh();
  if (state.screen === "scan") codes = await network.waiting();
  for (const { phone } of state.people) {
    const inbox = inboxOf(phone);
    if (phone === state.hand.phone) inbox.observe(await network.person(phone));
    else inbox.take((await network.messages(phone, inbox.last, 0)).messages);
  }
  draw();
  await pause(1000);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function forever(round) {
  for (;;) {
    try {
      await round();
      byId("offline").hidden = true;
    } catch {
      byId("offline").hidden = false;
      await pause(1500);
    }
  }
}

// --- start ------------------------------------------------------------------------------------

byId("add-person").addEventListener("click", attempt(async () => {
  const taken = new Set(state.people.map(({ name }) => name));
  const name = NAMES.find((candidate) => !taken.has(candidate)) ?? `Customer ${state.people.length + 1}`;
  byId("add-person").disabled = true;
  try {
    const { phone } = await network.addPerson(name);
    await refresh();
    take({ kind: "person", phone });
  } finally {
    byId("add-person").disabled = false;
  }
}));
byId("scan-back").addEventListener("click", () => show("linked"));
byId("link-device").addEventListener("click", () => show("scan"));
byId("chat-back").addEventListener("click", () => show("chats"));
byId("paste").addEventListener("submit", attempt(() => scan(byId("code").value.trim())));
byId("composer").addEventListener("submit", attempt(send));
byId("text").addEventListener("input", typed);
byId("record").addEventListener("click", () => {
  state.recording = true;
  typed();
  byId("text").focus();
});
byId("unquote").addEventListener("click", () => {
  state.quote = undefined;
  drawComposer();
});
byId("text").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  state.recording = false;
  drawComposer();
});
const tick = () => (byId("time").textContent = clock(Date.now() / 1000));
tick();
setInterval(tick, 5000);
draw();
forever(lookAround);
forever(watchHand);
