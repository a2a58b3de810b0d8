// Every form of every page in a browser without JavaScript: sent, and seen by the API to have done what it says.
// node forms.mjs SERVER ADMIN_KEY PHONES [FOLDER FOR PICTURES]; FLOWCORE_FORMS is the list of all that forms are sent to,
// as JSON: what no form here was sent to fails the run.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { step, until, world } from "./world.mjs";

const w = await world({ javaScriptEnabled: false });
const { base, page, api, send, phone, script, received, browser, press, told } = w;
const PASSWORD = "correct horse battery";

const routes = JSON.parse(process.env.FLOWCORE_FORMS ?? "[]");
const patterns = routes.map((route) => [route, new RegExp(`^${route.replaceAll(".", "\\.").replace(/\{\w+\}/g, "[^/]+")}$`)]);
const sent = new Set();

/** Remembers where forms were sent to; the most exact of the routes that fit. */
function count(window) {
  window.on("request", (request) => {
    if (request.method() !== "POST") return;
    const path = new URL(request.url()).pathname;
    const fits = patterns.filter(([, pattern]) => pattern.test(path)).map(([route]) => route);
    sent.add(fits.sort((a, b) => a.split("{").length - b.split("{").length)[0] ?? path);
  });
}
count(page);

const field = (name, text, within = page) => within.getByLabel(name).first().fill(text);
const link = (name, within = page) => within.getByRole("link", { name }).first().click();
const file = (name, text) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });
const note = { name: "note.ogg", mimeType: "audio/ogg", buffer: Buffer.from("OggS") };

/** A code of an authenticator app, of this half minute or one beside it. */
function totp(secret, beside = 0) {
  const bits = [...secret].map((one) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30_000) + beside));
  const mac = createHmac("sha1", key).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

let number;

await step("signing in", async () => {
  await page.goto("/login");
  await field("Or the admin key", "wrong");
  await press("Sign in with the key");
  await page.getByText("This key is not known here").waitFor();
  await w.signIn(page);
});

await step("an instance is made and linked by a code", async () => {
  await link("New instance");
  await field("Name", "not good");
  await press("Create and link");
  assert.ok(await page.locator("#name:invalid").isVisible(), "the browser itself knows the rule");
  await field("Name", "shop");
  await press("Create and link");
  await page.locator(".code svg").waitFor();
  await page.getByText("Use a code instead").click();
  await field("Number of the phone", "+55 11 98888-7777");
  await press("Get a code to type");
  const code = await page.locator("#pairing-code").textContent();
  await phone("/admin/mock-phone/enter-code", { phone: "5511988887777", code });
  await until("it is linked", async () => (await api("/api/whatsapp/status/shop")).instance.status === "connected");
  await page.goto("/i/shop/link");
  await page.getByText("This instance is").waitFor();
  number = (await api("/api/whatsapp/status/shop")).instance.number;
});

await step("one that was only made is linked from its card", async () => {
  await send("/instance/create", { instanceName: "later", qrcode: false, integration: "WHATSAPP-BAILEYS" });
  await page.goto("/?search=later");
  await press("Link a phone");
  await page.locator(".code svg").waitFor();
});

await step("instances are searched, restarted and logged out, alone and together", async () => {
  await page.goto("/");
  await page.getByRole("searchbox").fill("lat");
  await press("Filter");
  assert.equal(await page.locator(".card").count(), 1);
  await page.goto("/?search=shop");
  await page.locator("summary", { hasText: "" }).first().click();
  await press("Restart", page.locator(".menu"));
  await told("shop restarts.");
  await until("it is back", async () => (await api("/api/whatsapp/status/shop")).instance.status === "connected");
  await page.goto("/i/later/logout");
  await press("Log out", page.locator("main"));
  await told("later was logged out.");
  for (const [how, said] of [["Restart", "The ticked instances restart."], ["Log out…", null], ["Delete…", null]]) {
    await page.goto("/");
    await page.getByLabel("Pick later").check();
    await press(how, page.locator("#bulk"));
    if (how.startsWith("Log")) await press("Log out", page.locator("main"));
    if (how.startsWith("Delete")) {
      await field("Type 1 to delete them", "1");
      await press("Delete", page.locator("main"));
    }
    await told(said ?? (how.startsWith("Log") ? "The ticked instances were logged out." : "The ticked instances were deleted."));
  }
  assert.deepEqual((await api("/api/whatsapp/instances")).map((one) => one.instanceName), ["shop"]);
});

await step("calls", async () => {
  await page.goto("/i/shop/calls");
  await page.getByLabel("Reject calls").check();
  await field("What callers are told", "Please write.");
  await press("Save");
  await told("Saved.");
  assert.deepEqual([(await api("/settings/find/shop")).rejectCall, (await api("/settings/find/shop")).msgCall], [true, "Please write."]);
});

const { phone: ana } = await phone("/admin/contacts", { name: "Ana" });
const write = (text) => phone(`/admin/contacts/${ana}/messages`, { to: number, text });
const got = (text) => until(`Ana gets ${text}`, async () => (await received(ana)).some((one) => one.text?.includes(text)));

await step("chats are searched and answered", async () => {
  await write("Are you open?");
  await until("it came", async () => {
    await page.goto("/i/shop/chats");
    return page.getByText("Are you open?").isVisible();
  });
  await page.getByRole("searchbox").fill("open");
  await press("Search");
  await link("Are you open?");
  await field("Answer", "Until six.");
  await press("Send");
  await told("The message");
  await got("Until six.");
});

await step("the assistant", async () => {
  const ai = () => api("/api/instances/shop/ai");
  await page.goto("/i/shop/ai");
  await field("System prompt", "You are Ana.");
  await field("Temperature", "0.7");
  await field("Waits for more", "50");
  await press("Test the connection");
  await page.getByText("It answers", { exact: true }).waitFor();
  await press("Save");
  await told("Saved.");
  assert.deepEqual([(await ai()).systemPrompt, (await ai()).temperature], ["You are Ana.", 0.7]);
  await press("Switch on");
  await told("The assistant answers from now on.");
  assert.equal((await ai()).isActive, true);
  await script("chat", [{ text: "You are Bia." }]);
  await field("What your business is", "A bakery.");
  await press("Write a draft");
  await press("Take it over");
  await told("The prompt was changed.");
  assert.equal((await ai()).systemPrompt, "You are Bia.");
  await page.locator('a[href*="/ai/versions/"]').nth(1).click();
  await press("Roll back to it");
  await told("The prompt is worded as it was.");
  assert.equal((await ai()).systemPrompt, "You are Ana.");
});

await step("the playground and its cases", async () => {
  const cases = async () => (await api("/api/instances/shop/ai/cases")).data;
  await page.goto("/i/shop/ai/test");
  await field("Message", "Do you sell bread?");
  await press("Send");
  await page.locator(".answer").first().waitFor();
  await field("Message", "Sure?");
  await page.locator("#systemPrompt").fill("You are Cleo.");
  await press("Send");
  assert.equal(await page.locator(".bubble.own").count(), 2);
  await press("Save this prompt");
  await told("The prompt was changed.");
  assert.equal((await api("/api/instances/shop/ai")).systemPrompt, "You are Cleo.");
  await page.goto("/i/shop/ai/test");
  await field("Message", "Do you sell bread?");
  await press("Send");
  await press("Keep as a test case");
  await told("The case was kept.");
  await field("A customer writes", "Do you sell cake?");
  await press("Keep the case");
  await told("The case was kept.");
  assert.deepEqual((await cases()).map((one) => one.message), ["Do you sell bread?", "Do you sell cake?"]);
  await press("Run all");
  await told("All cases passed.");
  await page.getByRole("button", { name: "Delete Do you sell cake?" }).click();
  await told("The case was deleted.");
  assert.equal((await cases()).length, 1);
});

await step("support and its keywords", async () => {
  await page.goto("/i/shop/support");
  await page.getByLabel("Customers can be handed over").check();
  await field("Back to the assistant after", "30");
  await press("Save");
  await told("Saved.");
  const set = await api("/api/instances/shop/support");
  assert.deepEqual([set.isActive, set.autoReturnMinutes], [true, 30]);
  for (const keyword of ["human", "person"]) {
    await field("New keyword or phrase", keyword);
    await press("Add");
    await told("The keyword was added.");
  }
  await field("A customer writes", "a human");
  await press("Try");
  await page.locator("#tried b", { hasText: "human" }).waitFor();
  await page.getByRole("button", { name: "Delete person" }).click();
  await told("The keyword was deleted.");
  assert.deepEqual((await api("/api/instances/shop/support/keywords")).data.map((one) => one.keyword), ["human"]);
});

await step("conversations and escalations", async () => {
  const owner = async () => (await api("/api/conversations")).data[0].owner;
  await write("Good morning");
  await until("there is a conversation", async () => (await api("/api/conversations")).data.length === 1);
  await page.goto("/conversations");
  await page.getByLabel("Who answers").selectOption("ai");
  await press("Filter");
  await link("Ana");
  await press("Take over");
  await told("The conversation is yours.");
  assert.equal(await owner(), "human");
  await field("Answer", "Here I am.");
  await press("Send");
  await told("The message");
  await got("Here I am.");
  await press("Hand back to the assistant");
  await told("The assistant goes on.");
  assert.equal(await owner(), "ai");
  await press("Call a person");
  await told("A person was called.");
  await page.goto("/escalations?instance=shop");
  await page.getByLabel("Status").selectOption("all");
  await press("Filter");
  await link("Ana");
  await field("Note for the team", "Done.");
  await page.getByLabel("The assistant goes on").uncheck();
  await press("Resolve");
  await told("It is resolved.");
  assert.deepEqual((await api("/api/escalations?status=resolved")).data.map((one) => one.note), ["Done."]);
  await page.goto("/escalations?status=resolved");
  await link("Ana");
  await press("Open it again");
  await told("It is open again.");
  assert.equal((await api("/api/escalations")).data.length, 1);
});

await step("webhooks and deliveries", async () => {
  const receiver = createServer((request, response) => { request.resume(); response.end("taken"); });
  await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));
  const hooks = async () => (await api("/api/instances/shop/webhooks")).data;
  await page.goto("/i/shop/webhooks");
  await field("Address that events are posted to", `http://127.0.0.1:${receiver.address().port}/hook`);
  await press("Make the webhook");
  const first = await page.locator("#secret").textContent();
  await page.goto("/i/shop/webhooks");
  await press(/^Test/);
  await page.locator(".once .badge", { hasText: "200" }).waitFor();
  await press(/^New secret/);
  assert.notEqual(await page.locator("#secret").textContent(), first);
  await page.goto("/i/shop/webhooks");
  await press(/^Switch off/);
  await told("Saved.");
  assert.equal((await hooks())[0].enabled, false);
  await press(/^Switch on/);
  await told("Saved.");
  assert.equal((await hooks())[0].enabled, true);
  await write("For the webhook");
  await until("it was delivered", async () => (await api("/api/instances/shop/deliveries")).data.some((one) => one.status === "delivered"));
  await page.goto("/i/shop/webhooks");
  await press(/^Retry/);
  await told("It is posted again.");
  await field("Since (UTC)", "2020-01-01T00:00");
  await press("Post again");
  await told("The events are on their way again.");
  await script("transcriptions", [{ text: "Two loaves, please." }]);
  await page.getByLabel("A recording").setInputFiles(note);
  await press("Write it down");
  await page.locator("#transcript", { hasText: "Two loaves, please." }).waitFor();
  await page.goto("/i/shop/webhooks");
  await page.getByRole("button", { name: /^Delete http/ }).click();
  await told("The webhook was deleted.");
  assert.deepEqual(await hooks(), []);
  receiver.close();
});

await step("documents", async () => {
  const of = async (name) => (await api(`/api/documents?instanceName=${name}`)).data.map((one) => one.name);
  await page.goto("/documents");
  await page.getByLabel("Add a document").setInputFiles(file("plain.txt", "We sell rye bread."));
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await told("The document was taken");
  await until("it is read", async () => (await api("/api/documents")).data[0].status === "indexed");
  await page.goto("/documents");
  await page.getByRole("searchbox").fill("rye");
  await press("Search");
  await page.locator(".passages", { hasText: "rye bread" }).waitFor();
  await page.goto("/documents");
  await link("plain.txt");
  await page.getByLabel("Instance", { exact: true }).fill("shop");
  await press("Let it answer from this");
  await told("Saved.");
  assert.deepEqual(await of("shop"), ["plain.txt"]);
  await press("Take away");
  await told("Saved.");
  assert.deepEqual(await of("shop"), []);
  await press("Delete the document");
  await told("The document was deleted.");
  assert.deepEqual((await api("/api/documents")).data, []);
});

await step("keys", async () => {
  await page.goto("/keys");
  await field("Name", "my app");
  await press("Make the key");
  const made = await page.locator("#secret").textContent();
  const works = async () => (await fetch(`${base}/api/me`, { headers: { apikey: made } })).status;
  assert.equal(await works(), 200);
  await page.getByRole("button", { name: "Revoke my app" }).click();
  await told("The key is good for nothing any more.");
  assert.equal(await works(), 401);
});

let bea;
const signIn = async (password, code) => {
  await bea.goto("/login");
  await field("User name", "bea", bea);
  await field("Password", password, bea);
  if (code) await field("Code of the authenticator app", code, bea);
  await bea.getByRole("button", { name: "Sign in", exact: true }).click();
};
const says = (text) => bea.locator(".toast", { hasText: text }).waitFor();

await step("a user, and what is their own", async () => {
  await page.goto("/users");
  await field("User name", "bea");
  await field("First password", PASSWORD);
  await press("Make the user");
  await told("The user was made.");
  await link("bea");
  await page.getByLabel("Webhooks", { exact: true }).fill("3");
  await press("Save");
  await told("Saved.");
  const [{ quotas }] = (await api("/api/users")).data.filter((one) => one.username === "bea");
  assert.equal(quotas.webhooks, 3);

  bea = await browser.window({ javaScriptEnabled: false });
  count(bea);
  await signIn(PASSWORD);
  await bea.getByRole("heading", { name: "Link your first number" }).waitFor();
  await bea.goto("/account");
  await press("Set it up", bea);
  let secret = await bea.locator("#totp-secret").textContent();
  await field("The code of the app", totp(secret, -1), bea);
  await press("Turn it on", bea);
  await says("The second factor is on.");
  await page.reload();
  await press("Take it off");
  await told("The second factor is off.");
  await bea.goto("/account");
  await press("Set it up", bea);
  secret = await bea.locator("#totp-secret").textContent();
  await field("The code of the app", totp(secret, -1), bea);
  await press("Turn it on", bea);
  await says("The second factor is on.");
  await field("A code of the app, to turn it off", totp(secret), bea);
  await press("Turn it off", bea);
  await says("The second factor is off.");

  await bea.getByLabel("Language of the pages").selectOption("pt");
  await press("Save", bea);
  await bea.getByRole("heading", { name: "Conta" }).waitFor();
  await bea.getByLabel("Idioma das páginas").selectOption("en");
  await press("Salvar", bea);
  const other = await fetch(`${base}/api/auth/login`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ username: "bea", password: PASSWORD }),
  });
  const { accessToken } = await other.json();
  const mine = async () => (await fetch(`${base}/api/me`, { headers: { authorization: `Bearer ${accessToken}` } })).status;
  assert.equal(await mine(), 200);
  await bea.reload();
  await press(/^End/, bea.locator("tr", { hasNotText: "this one" }).locator("td"));
  await says("The sign-in was ended.");
  assert.equal(await mine(), 401);
  await field("The password of now", PASSWORD, bea);
  await field("The new one", "another horse battery", bea);
  await press("Change the password", bea);
  await signIn("another horse battery");
  await press("Sign out", bea);
  await bea.getByRole("heading", { name: "Sign in to Flowcore" }).waitFor();
  await page.reload();
  await field("Type bea to delete it", "bea");
  await press("Delete", page.locator("main"));
  await told("The user was deleted.");
});

await step("an instance is deleted with its name", async () => {
  await page.goto("/i/shop/delete");
  await field("Type shop to delete it", "shop");
  await press("Delete", page.locator("main"));
  await told("shop was deleted.");
  assert.deepEqual(await api("/api/whatsapp/instances"), []);
});

await step("nothing was left out", async () => {
  const never = routes.filter((route) => !sent.has(route));
  assert.deepEqual(never, [], "no form was sent there");
});

await w.end();
