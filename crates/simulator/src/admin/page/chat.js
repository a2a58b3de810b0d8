// One person's conversations: what came, what was sent, and how a bubble looks.
//
// The network keeps what a person received. What was sent from this page is kept by the browser.

const KEY = "flowcore.sent.";

export const el = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function day(seconds) {
  const then = new Date(seconds * 1000).toDateString();
  return then === new Date().toDateString() ? "Today" : new Date(seconds * 1000).toLocaleDateString([], { dateStyle: "medium" });
}

export class Inbox {
  constructor(phone) {
    this.phone = phone;
    this.received = [];
    this.readIds = new Set();
    this.receipts = new Map();
    this.typing = [];
    try {
      this.sent = JSON.parse(localStorage.getItem(KEY + phone)) ?? [];
    } catch {
      this.sent = [];
    }
  }

  get last() {
    return this.received.at(-1)?.id;
  }

  take(messages) {
    const known = new Set(this.received.map((message) => message.id));
    const fresh = messages.filter((message) => !known.has(message.id));
    const seen = Date.now();
    this.received.push(...fresh.map((message) => ({ ...message, seen })));
    return fresh;
  }

  note(sent) {
    this.sent.push({ ...sent, seen: Date.now() });
    localStorage.setItem(KEY + this.phone, JSON.stringify(this.sent.slice(-200)));
  }

  // How far a sent message has come: 1 sent, 2 delivered, 3 read.
  observe({ receipts, typing }) {
    const rank = { delivered: 2, read: 3, played: 3 };
    for (const { id, type } of receipts) {
      this.receipts.set(id, Math.max(this.receipts.get(id) ?? 1, rank[type] ?? 1));
    }
    this.typing = typing;
  }

  // Newest conversation first.
  chats() {
    const chats = new Map();
    for (const message of this.all()) {
      const chat = chats.get(message.chat) ?? { chat: message.chat, messages: [], unread: 0 };
      chat.messages.push(message);
      if (!message.mine && !this.readIds.has(message.id)) chat.unread += 1;
      chats.set(message.chat, chat);
    }
    return [...chats.values()].sort((a, b) => b.messages.at(-1).at - a.messages.at(-1).at);
  }

  // Both directions of everything, oldest first: stamps are whole seconds, so what this page saw first goes first.
  // Changes to a message are not bubbles.
  all() {
    const bubbles = new Set(["edit", "delete", "reaction", "protocol", "vote"]);
    const came = this.received
      .filter((message) => !bubbles.has(message.type))
      .map((message, order) => ({ ...message, at: message.timestamp, order, mine: message.fromMe }));
    const sent = this.sent.map((message, order) => ({ ...message, order, mine: true }));
    return [...came, ...sent].sort((a, b) => a.at - b.at || (a.seen ?? 0) - (b.seen ?? 0) || a.order - b.order);
  }

  reactionsTo(id) {
    return this.received
      .filter((message) => message.type === "reaction" && message.reaction?.id === id)
      .map((message) => message.reaction.emoji)
      .filter(Boolean)
      .slice(-3);
  }

  editOf(message) {
    const edit = this.received.findLast((other) => other.edit?.id === message.id);
    return edit ? edit.edit.text : undefined;
  }

  isDeleted(message) {
    return message.deleted || this.received.some((other) => other.delete?.id === message.id);
  }
}

export function preview(message) {
  if (message.type === "text") return message.text ?? "";
  const words = { image: "Photo", video: "Video", voice: "Voice message", audio: "Audio", sticker: "Sticker", document: "Document", poll: "Poll", location: "Location", contact: "Contact" };
  return message.caption || words[message.type] || "Message";
}

const urls = new Map();

function mediaUrl(message) {
  if (!message.media) return undefined;
  if (!urls.has(message.id)) {
    const bytes = Uint8Array.from(atob(message.media), (char) => char.charCodeAt(0));
    const type = message.mimetype?.split(";")[0] ?? "application/octet-stream";
    // A picture that is really a page must not become one.
    const safe = /^(image\/(png|jpeg|gif|webp)|audio\/|video\/)/.test(type);
    urls.set(message.id, URL.createObjectURL(new Blob([bytes], { type: safe ? type : "application/octet-stream" })));
  }
  return urls.get(message.id);
}

let playing;

function voice(message, onPlay) {
  const row = el("div", "voice");
  const button = el("button", "round");
  button.type = "button";
  button.setAttribute("aria-label", "Play voice message");
  button.append(icon("play"));
  const bars = el("div", "bars");
  for (let bar = 0; bar < 26; bar += 1) {
    const height = 4 + ((bar * 7919 + message.id.charCodeAt(bar % message.id.length) * 13) % 17);
    const line = el("i");
    line.style.height = `${height}px`;
    bars.append(line);
  }
  const url = mediaUrl(message);
  button.disabled = !url;
  button.addEventListener("click", () => {
    playing?.pause();
    playing = new Audio(url);
    playing.play().catch(() => {});
    onPlay?.();
  });
  const seconds = message.seconds ?? 0;
  row.append(button, bars, el("span", "length", `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`));
  return row;
}

function body(message, inbox) {
  if (inbox.isDeleted(message)) return [el("p", "gone", "This message was deleted")];
  const url = mediaUrl(message);
  const parts = [];
  if (message.type === "image" || message.type === "sticker") {
    if (url) {
      const image = el("img", message.type);
      image.src = url;
      image.alt = message.caption || "Photo";
      parts.push(image);
    } else parts.push(el("p", "gone", "Photo that cannot be shown"));
  } else if (message.type === "video" && url) {
    const video = el("video");
    video.src = url;
    video.controls = true;
    parts.push(video);
  } else if (message.type === "voice" || message.type === "audio") {
    parts.push(voice(message));
    if (message.mine && message.text) parts.push(el("p", "said", `“${message.text}”`));
  } else if (message.type === "document") {
    const link = el("a", "file", message.fileName || "Document");
    if (url) {
      link.href = url;
      link.download = message.fileName || "document";
    }
    link.prepend(icon("file"));
    parts.push(link);
  } else if (message.type === "poll") {
    parts.push(el("strong", "", message.poll?.name ?? "Poll"));
    for (const option of message.poll?.options ?? []) parts.push(el("p", "option", option.name ?? option));
  } else if (message.type === "location") {
    const { name, latitude, longitude } = message.location ?? {};
    parts.push(el("p", "", `📍 ${name || "Location"}`), el("small", "", `${latitude}, ${longitude}`));
  } else if (message.type === "contact") {
    parts.push(el("p", "", `👤 ${message.contact?.displayName ?? message.contact?.name ?? "Contact"}`));
  }
  const text = inbox.editOf(message) ?? message.text ?? message.caption;
  if (text && message.type !== "voice") parts.push(el("p", "words", text));
  if (!parts.length) parts.push(el("p", "gone", "A kind of message that this phone does not show"));
  return parts;
}

function ticks(level) {
  const mark = icon(level > 1 ? "ticks" : "tick");
  mark.setAttribute("class", level > 2 ? "seen" : "");
  mark.setAttribute("aria-hidden", "false");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", ["", "Sent", "Delivered", "Read"][level]);
  return mark;
}

export function bubble(message, inbox, { quoted, author }) {
  const node = el("li", message.mine ? "bubble mine" : "bubble");
  node.dataset.id = message.id;
  if (author) node.append(el("b", "author", author));
  if (quoted) {
    const quote = el("blockquote");
    quote.append(el("p", "", preview(quoted)));
    node.append(quote);
  }
  node.append(...body(message, inbox));
  const foot = el("span", "foot");
  if (inbox.editOf(message) !== undefined) foot.append("Edited ");
  foot.append(clock(message.at));
  if (message.mine) foot.append(ticks(inbox.receipts.get(message.id) ?? 1));
  node.append(foot);
  const reactions = inbox.reactionsTo(message.id);
  if (reactions.length) node.append(el("span", "reactions", reactions.join("")));
  return node;
}
