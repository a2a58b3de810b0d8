// Every operation of the nodes, against a server and its simulated network.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { deflateSync } from "node:zlib";

const require = createRequire(import.meta.url);
const dist = "n8n-nodes-evolution-api/dist/nodes/EvolutionApi";
const { EvolutionApi } = require(`${dist}/EvolutionApi.node.js`);
const { resourceOperationsFunctions: OPERATIONS } = require(`${dist}/execute/index.js`);

const [SERVER, KEY, NETWORK] = process.argv.slice(2);
const SHOP = "shop";
const DEADLINE = 30_000;
setTimeout(() => fail(new Error("it hangs")), 150_000).unref();

const node = new EvolutionApi();
const done = new Set();

// What n8n's old request helper does with the options that these nodes give it.
async function request({ method, uri, headers = {}, body, json }) {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const all = { accept: "application/json", ...headers };
  if (sent !== undefined) all["content-type"] = "application/json";
  const answer = await fetch(uri, { method, headers: all, body: sent });
  const text = await answer.text();
  if (!answer.ok) {
    throw Object.assign(new Error(`${answer.status} - ${text}`), { statusCode: answer.status });
  }
  return json && text !== "" ? JSON.parse(text) : text;
}

// A field of the form: what was filled in, else the default that the form shows.
function parameter(filled, name, fallback) {
  const own = name.split(".").reduce((value, part) => value?.[part], filled);
  if (own !== undefined) return own;
  const shows = ({ show = {} } = {}) =>
    Object.entries(show).every(([field, values]) => values.includes(parameterOf(filled, field)));
  const property = node.description.properties.find(
    (one) => one.name === name && shows(one.displayOptions),
  );
  if (property?.default !== undefined) return property.default;
  if (fallback !== undefined) return fallback;
  throw new Error(`Could not get parameter "${name}"`);
}

function parameterOf(filled, field) {
  if (filled[field] !== undefined) return filled[field];
  return node.description.properties.find((one) => one.name === field)?.default;
}

// Runs an operation as a workflow would that stops at an error.
async function run(resource, operation, filled = {}) {
  done.add(`${resource}/${operation}`);
  const all = { instanceName: SHOP, ...filled, resource, operation };
  const workflow = {
    getInputData: () => [{ json: {} }],
    getNodeParameter: (name, _item, fallback) => parameter(all, name, fallback),
    getCredentials: async () => ({ "server-url": SERVER, apikey: KEY }),
    getNode: () => ({ name: "Evolution API" }),
    continueOnFail: () => false,
    helpers: { request, returnJsonArray: (data) => [data].flat() },
  };
  const [[result]] = await node.execute.call(workflow);
  // Some hand on the answer as it is.
  const { success, data, error } = result.json ?? { success: true, data: result };
  assert.ok(success, `${operation}: ${JSON.stringify(error)}`);
  return data;
}

async function refused(resource, operation, filled, why) {
  await assert.rejects(run(resource, operation, filled), (error) => {
    const said = `${error.message} ${error.description}`;
    assert.match(said, why, `${operation}: ${said}`);
    return true;
  });
}

async function network(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": typeof body === "string" ? "text/plain" : "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
  const answer = await fetch(NETWORK + path, options);
  assert.ok(answer.ok, `${path}: ${answer.status} ${answer.ok ? "" : await answer.text()}`);
  return answer.json();
}

async function until(what, ask) {
  const began = Date.now();
  for (;;) {
    const found = await ask();
    if (found) return found;
    assert.ok(Date.now() - began < DEADLINE, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const inbox = async (phone) => (await network(`/admin/contacts/${phone}/messages?wait=0`)).messages;
const got = (phone, what, fits) =>
  until(what, async () => (await inbox(phone)).find((message) => fits(message)));

// A PNG of one colour.
function picture() {
  const crcs = Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });
  const crc = (bytes) => {
    let value = 0xffffffff;
    for (const byte of bytes) value = crcs[(value ^ byte) & 255] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  };
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(data.length, 0);
    body.copy(whole, 4);
    whole.writeUInt32BE(crc(body), body.length + 4);
    return whole;
  };
  const side = 64;
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 8, 2, 0, 0, 0]);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3, 0x7f)]);
  const data = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat(parts).toString("base64");
}

// A second of a tone, as WAV.
function tone() {
  const rate = 8000;
  const wav = Buffer.alloc(44 + rate * 2);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + rate * 2, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(rate * 2, 40);
  for (let n = 0; n < rate; n += 1) wav.writeInt16LE(Math.round(8000 * Math.sin(n / 3)), 44 + n * 2);
  return wav.toString("base64");
}

async function instances() {
  const api = "instances-api";
  const made = await run(api, "instance-basic");
  assert.equal(made.instance.instanceName, SHOP);
  const shown = await run(api, "instance-connect");
  assert.match(shown.code, /^2@/);
  const { phone } = await network("/admin/mock-phone/scan-qr", shown.code);
  await until("connected", async () => {
    const [one] = await run(api, "fetch-instances");
    return one.connectionStatus === "open";
  });
  await run(api, "instance-settings", { rejectCall: true, msgCall: "Please write" });
  await run(api, "set-presence", { presence: "available" });
  await run(api, "set-proxy", { resourceForProxy: "findProxy" });
  return phone;
}

async function messages(ana) {
  const send = (operation, filled) =>
    run("messages-api", operation, { remoteJid: ana, ...filled });
  const text = await send("send-text", { messageText: "Hello from a workflow" });
  await got(ana, "a text", (message) => message.text === "Hello from a workflow");
  const quoted = { quoted: { messageQuoted: { messageId: text.key.id } } };
  await send("send-text", { messageText: "An answer", options_message: quoted });
  const files = { "send-image": "imageMessage", "send-document": "documentMessage" };
  for (const [operation, kind] of Object.entries(files)) {
    const sent = await send(operation, { media: picture(), caption: operation });
    assert.ok(sent.message[kind], operation);
  }
  assert.ok((await send("send-audio", { media: tone() })).message.audioMessage);
  await refused("messages-api", "send-video", { remoteJid: ana, media: picture() }, /400/);
  const answers = { metadataValues: [{ optionValue: "Red" }, { optionValue: "Blue" }] };
  await send("send-poll", { caption: "Which one?", options_display: answers });
  const card = { fullName: "Bob", wuid: "15550100099", phoneNumber: "+1 555 010 0099" };
  await send("send-contact", { contacts: { contactValues: [card] } });
  const rows = { rowValues: [{ title: "Bread", description: "of rye" }] };
  const sections = { sectionValues: [{ title: "Today", rows }] };
  const list = { title: "Menu", description: "What we have", buttonText: "Open", sections };
  await send("send-list", { ...list, options_message: { footer: "Until six" } });
  const buttons = { buttonValues: [{ type: "reply", displayText: "Yes", id: "yes" }] };
  await send("send-buttons", { title: "Sure?", description: "It is final", buttons });
  await send("send-pix", { name: "Shop", keyType: "email", key: "shop@example.com" });
  await send("send-reaction", {
    remoteJid: `${ana}@s.whatsapp.net`, messageId: text.key.id, fromMe: true, reaction: "👍",
  });
  await run("messages-api", "send-stories", { type: "text", content: "Open", statusJidList: ana });
  return text.key.id;
}

async function chats(ana, phone, own) {
  const chat = (operation, filled) =>
    run("chat-api", operation, { remoteJid: ana, number: ana, chat: `${ana}@s.whatsapp.net`, ...filled });
  const [known] = await chat("check-number", { numbers: ana });
  assert.equal(known.exists, true);
  const { id } = await network(`/admin/contacts/${ana}/messages`, { to: phone, text: "How much?" });
  const here = { messageId: id, fromMe: false };
  await until("the message", async () => {
    // Within one second what WhatsApp dates comes before what the server dates.
    const found = await chat("find-messages", { offset: 100 });
    return JSON.stringify(found).includes("How much?");
  });
  await chat("read-messages", { ...here, remoteJid: `${ana}@s.whatsapp.net` });
  await chat("manage-archive", { ...here, archive: true });
  await chat("mark-unread", here);
  await chat("fetch-profile-picture", {});
  await chat("send-presence", { presence: "composing", delay: 20 });
  await chat("block-contact", { status: "block" });
  await chat("block-contact", { status: "unblock" });
  const [contact] = await chat("find-contacts", {});
  assert.equal(contact.remoteJid, `${ana}@s.whatsapp.net`);
  assert.ok((await chat("find-contacts", { listAll: true })).length >= 1);
  assert.ok(Array.isArray(await chat("find-chats", { messageId: "" })));
  assert.ok(Array.isArray(await chat("find-status-messages", { messageId: own })));
  const shown = { to: phone, type: "image", media: picture(), mimetype: "image/png" };
  const sent = await network(`/admin/contacts/${ana}/messages`, shown);
  const file = await until("the picture", () =>
    chat("get-media-base64", { messageId: sent.id, convertToMp4: false }).catch(() => null));
  assert.equal(file.base64, picture());
  await chat("update-message", { messageId: own, text: "Hello again" });
  await chat("delete-message", { messageId: own, fromMe: true });
}

async function profiles(ana) {
  const own = (operation, filled) => run("profile-api", operation, { remoteJid: ana, ...filled });
  await own("fetch-profile");
  await own("fetch-business-profile");
  await own("update-profile-name", { name: "The shop" });
  await own("update-profile-status", { status: "Open until six" });
  await own("update-profile-picture", { picture: picture() });
  await own("remove-profile-picture");
  const before = await own("fetch-privacy-settings");
  const wanted = { readreceipts: "none", profile: "contacts", status: "contacts", online: "all", last: "contacts", groupadd: "all" };
  await own("update-privacy-settings", wanted);
  const after = await own("fetch-privacy-settings");
  assert.notDeepEqual(after, before);
  assert.equal(after.readreceipts, "none");
}

async function groups(ana) {
  const bob = (await network("/admin/contacts", { name: "Bob" })).phone;
  const made = await run("groups-api", "create-group", {
    subject: "Customers", description: "Of the shop", participants: ana,
  });
  const groupJid = made.id;
  const group = (operation, filled) => run("groups-api", operation, { groupJid, ...filled });
  await group("update-group-picture", { image: picture() });
  await group("update-group-name", { subject: "Friends" });
  await group("update-group-description", { description: "Of the bakery" });
  const code = await group("fetch-invite-code");
  assert.ok(code.inviteCode);
  await group("send-invite-link", { description: "Come in", numbers: bob });
  await group("revoke-invite-code");
  const searches = node.description.properties.find((one) => one.name === "searchMethod").options;
  const fresh = await group("fetch-invite-code");
  for (const { value } of searches) {
    await group("fetch-groups", { searchMethod: value, inviteCode: fresh.inviteCode, getParticipants: true });
  }
  for (const action of ["add", "promote", "demote", "remove"]) {
    await group("update-participants", { action, participants: bob });
  }
  const all = await group("find-participants");
  assert.equal(all.participants.length, 2, JSON.stringify(all));
  await group("update-settings", { action: "announcement" });
  await group("toggle-ephemeral", { expiration: 86400 });
  const found = await group("fetch-groups", { searchMethod: searches.find((one) => /jid/i.test(one.value)).value });
  assert.equal(found.subject, "Friends");
  await group("join-group", { inviteCode: fresh.inviteCode }).catch((error) => assert.match(error.message, /^4/));
  await group("leave-group");
}

async function rest() {
  const events = { webhookUrl: "http://127.0.0.1:9/hook", webhookEvents: ["MESSAGES_UPSERT"] };
  const form = node.description.properties.find((one) => one.name === "resourceForWebhook").options;
  for (const { value } of form) {
    const set = await run("events-api", "webhook", { resourceForWebhook: value, enabled: true, ...events });
    assert.equal(set.url, events.webhookUrl, JSON.stringify(set));
  }
  const queue = node.description.properties.find((one) => one.name === "resourceForRabbitMQ").options;
  await refused("events-api", "rabbitmq", { resourceForRabbitMQ: queue[0].value, enabled: true }, /400/);
  for (const [operation, field] of Object.entries({
    chatwoot: "resourceForChatwoot", typebot: "resourceForTypebot", "evolution-bot": "resourceForEvolutionBot",
    difyBot: "resourceForDifyBot", "flowise-bot": "resourceForFlowiseBot",
  })) {
    const choices = node.description.properties.find((one) => one.name === field)?.options ?? [];
    const find = choices.find((one) => /find|fetch/i.test(one.value)) ?? choices[0];
    const ids = { difyBotId: "1", flowiseBotId: "1", evolutionBotId: "1", typebotId: "1" };
    await refused("integrations-api", operation, { ...ids, [field]: find?.value }, /400/);
  }
}

async function end() {
  await run("instances-api", "restart-instance");
  await until("back", async () => (await run("instances-api", "fetch-instances"))[0].connectionStatus === "open");
  await run("instances-api", "logout-instance");
  await run("instances-api", "delete-instance");
  const all = Object.entries(OPERATIONS).flatMap(([api, own]) => Object.keys(own).map((one) => `${api}/${one}`));
  assert.deepEqual(all.filter((one) => !done.has(one)), [], "an operation was not tried");
  console.log(`${done.size} operations of the nodes`);
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

try {
  const phone = await instances();
  const ana = (await network("/admin/contacts", { name: "Ana" })).phone;
  const own = await messages(ana);
  await chats(ana, phone, own);
  await profiles(ana);
  await groups(ana);
  await rest();
  await end();
} catch (error) {
  fail(error);
}
