// Every flow of the dashboard, on a server of the simulated network.
// node flows.mjs SERVER ADMIN_KEY PHONES [FOLDER FOR PICTURES]

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { asked, json, step, until, world } from "./world.mjs";

/** One pixel, as PNG. */
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const { base, key, phones, browser, page, inspect, press, told, api, phone, end } = await world();

await step("a wrong key is told, the right one signs in", async () => {
  await page.goto("/");
  await inspect("login");
  await page.getByLabel("Or the admin key").fill("wrong");
  await press("Sign in with the key");
  await page.getByText("This key is not known here").waitFor();
  await page.getByLabel("Or the admin key").fill(key);
  await press("Sign in with the key");
  await page.getByRole("heading", { name: "Link your first number" }).waitFor();
  await inspect("empty");
});

await step("a number is linked", async () => {
  await page.getByRole("link", { name: "New instance" }).first().click();
  const dialog = page.locator("#dialog");
  await dialog.getByLabel("Name").fill("shop");
  await inspect("new");
  await press("Create and link", dialog);
  await dialog.locator(".code svg").waitFor();
  await inspect("link");
  const { qrcode } = await asked(`${base}/api/whatsapp/connect`, {
    method: "POST", headers: { ...json, apikey: key }, body: JSON.stringify({ instanceName: "shop" }),
  });
  await asked(`${phones}/admin/mock-phone/scan-qr`, { method: "POST", body: qrcode });
  await told("shop is connected.");
  await page.locator('.card[data-status="connected"]').waitFor();
  await inspect("instances");
});

await step("a number is linked by a code that is typed on the phone", async () => {
  await page.getByRole("link", { name: "New instance" }).first().click();
  const dialog = page.locator("#dialog");
  await dialog.getByLabel("Name").fill("branch");
  await press("Create and link", dialog);
  await dialog.getByText("Use a code instead").click();
  await dialog.getByLabel("Number of the phone").fill("+55 11 98888-7777");
  await press("Get a code to type", dialog);
  const code = await dialog.locator("#pairing-code").textContent();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await press("Copy", dialog);
  await until("it is copied", () => page.evaluate((code) => navigator.clipboard.readText().then((text) => text === code), code));
  await inspect("code");
  await phone("/admin/mock-phone/enter-code", { phone: "5511988887777", code });
  await told("branch is connected.");
});

await step("a phone that asks for a passkey is told, and the next code is scanned", async () => {
  await page.getByRole("link", { name: "New instance" }).first().click();
  const dialog = page.locator("#dialog");
  await dialog.getByLabel("Name").fill("safe");
  await press("Create and link", dialog);
  await dialog.locator(".code svg").waitFor();
  await phone("/admin/faults", { target: "*", fault: "passkey" });
  await dialog.getByText("The phone asks for a passkey.", { exact: false }).waitFor();
  await inspect("passkey");
  await press("Get a new code", dialog);
  await dialog.locator(".code svg").waitFor();
  const { qrcode } = await asked(`${base}/api/whatsapp/connect`, {
    method: "POST", headers: { ...json, apikey: key }, body: JSON.stringify({ instanceName: "safe" }),
  });
  await asked(`${phones}/admin/mock-phone/scan-qr`, { method: "POST", body: qrcode });
  await told("safe is connected.");
});

await step("a taken name is told", async () => {
  await page.getByRole("link", { name: "New instance" }).first().click();
  const dialog = page.locator("#dialog");
  const name = dialog.getByLabel("Name");
  // Both are told while one types, before anything is sent.
  await name.pressSequentially("my shop");
  await dialog.getByText("1 to 64 letters", { exact: false }).nth(1).waitFor();
  await name.fill("Shop");
  await dialog.getByText("There is an instance of this name.").waitFor();
  await page.keyboard.press("Escape");
});

await step("calls are rejected with a message", async () => {
  await page.goto("/i/shop/calls");
  await page.getByLabel("Reject calls").check();
  await page.getByLabel("What callers are told").fill("Please write to us.");
  assert.equal(await page.locator("#preview").textContent(), "Please write to us.");
  await inspect("calls");
  await press("Save");
  await told("Saved.");
  const settings = await api("/settings/find/shop");
  assert.deepEqual([settings.rejectCall, settings.msgCall], [true, "Please write to us."]);
});

await step("a key is made and revoked", async () => {
  await page.goto("/keys");
  await page.getByLabel("Name").fill("my app");
  await page.getByLabel("read", { exact: true }).check();
  await press("Make the key");
  const made = await page.locator("#secret").textContent();
  await inspect("keys");
  const me = await fetch(`${base}/api/me`, { headers: { apikey: made } });
  assert.deepEqual((await me.json()).scopes, ["read"]);
  await page.getByRole("button", { name: "Revoke my app" }).click();
  await told("The key is good for nothing any more.");
  assert.equal((await fetch(`${base}/api/me`, { headers: { apikey: made } })).status, 401);
});

await step("a user is made and limited", async () => {
  await page.goto("/users");
  await page.getByLabel("User name").fill("anna");
  await page.getByLabel("First password").fill("correct horse battery");
  await press("Make the user");
  await told("The user was made.");
  await inspect("users");
  await page.getByRole("link", { name: "anna" }).click();
  await page.getByLabel("Instances", { exact: true }).fill("2");
  await inspect("user");
  await press("Save");
  await told("Saved.");
  const anna = (await api("/api/users")).data.find(({ username }) => username === "anna");
  assert.equal(anna.quotas.instances, 2);
});

await step("the account page, and another language", async () => {
  await page.goto("/account");
  await inspect("account");
  await page.getByLabel("Language of the pages").selectOption("pt");
  await press("Save");
  await page.getByRole("heading", { name: "Conta" }).waitFor();
  await page.goto("/");
  await page.getByRole("heading", { name: "Instâncias" }).waitFor();
  await inspect("instances-pt");
  await page.goto("/account");
  await page.getByLabel("Idioma das páginas").selectOption("en");
  await press("Salvar");
  await page.getByRole("heading", { name: "Account" }).waitFor();
});

const receiver = createServer((request, response) => { request.resume(); response.end("taken"); });
await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));

await step("a webhook is made and tested", async () => {
  await page.goto("/i/shop/webhooks");
  await page.getByLabel("Address that events are posted to").fill(`http://127.0.0.1:${receiver.address().port}/hook`);
  await press("Make the webhook");
  assert.match(await page.locator("#secret").textContent(), /^whsec_/);
  await page.getByRole("button", { name: /^Test/ }).click();
  await page.locator(".once .badge", { hasText: "200" }).waitFor();
  await inspect("webhooks");
});

const { phone: ana } = await phone("/admin/contacts", { name: "Ana" });
const number = (await api("/api/whatsapp/status/shop")).instance.number;
const write = (text) => phone(`/admin/contacts/${ana}/messages`, { to: number, text });

await step("the table of deliveries follows what becomes of each", async () => {
  await page.getByText("Nothing was posted yet.").waitFor();
  await write("Are you there?");
  const row = page.locator("#followed-below tr", { hasText: "messages.upsert" });
  await row.locator(".badge", { hasText: "delivered" }).waitFor();
  await row.getByText(/200, \d+ ms/).waitFor();
  await row.getByRole("link", { name: "messages.upsert" }).click();
  await page.locator("#attempts li", { hasText: "200" }).waitFor();
  await page.locator("#posted", { hasText: "Are you there?" }).waitFor();
  await inspect("delivery");
});

await step("a customer who writes is seen at once, and is answered", async () => {
  await page.goto("/i/shop/chats");
  await write("Are you open?");
  await page.locator(".line", { hasText: "Are you open?" }).waitFor();
  await inspect("chats");
  await page.getByRole("link", { name: "Ana" }).click();
  await page.getByText("Are you open?").waitFor();
  await write("Hello?");
  await page.getByText("Hello?").waitFor();
  await page.getByLabel("Answer").fill("Until six.");
  await press("Send");
  await page.locator(".bubble.own", { hasText: "Until six." }).waitFor();
  await inspect("chat");
  const shown = await asked(`${phones}/admin/contacts/${ana}/messages?wait=10`);
  assert.ok(JSON.stringify(shown).includes("Until six."), "Ana did not get the answer");
});

await step("a picture and a recording are in the chat, and words are found in it", async () => {
  const [media, sound] = [pixel, "T2dnUw=="];
  await phone(`/admin/contacts/${ana}/messages`, { to: number, type: "image", media, mimetype: "image/png", caption: "The cake" });
  const picture = page.locator(".bubble", { hasText: "The cake" }).locator("img");
  await picture.waitFor();
  await until("the picture is there", () => picture.evaluate((one) => one.complete && one.naturalWidth > 0));
  await phone(`/admin/contacts/${ana}/messages`, { to: number, type: "audio", media: sound, mimetype: "audio/ogg" });
  await page.locator(".bubble audio").waitFor();
  await inspect("chat-files");
  await page.goto("/i/shop/chats");
  await page.getByRole("searchbox").fill("are you op");
  await press("Search");
  await inspect("chats-found");
  await page.getByRole("link", { name: /Are you open/ }).click();
  await page.locator(".bubble:target", { hasText: "Are you open?" }).waitFor();
});

await step("the way of a message, and the day", async () => {
  await page.goto("/i/shop/logs");
  await inspect("logs");
  await page.locator("tr", { hasText: "Until six." }).getByRole("link").click();
  await page.getByText("Handed to WhatsApp").waitFor();
  await inspect("trace");
  await page.goto("/i/shop");
  await page.getByText("5 came in").waitFor();
  await inspect("overview");
});

await step("the reference finds a route and tries it", async () => {
  await page.goto("/docs");
  await page.getByLabel("Your key, to try them").fill(key);
  await page.getByLabel("Find a route").fill("/api/me");
  const me = page.locator("#getApiMe");
  await me.locator("summary").click();
  await press("Send", me);
  await me.locator(".outcome", { hasText: "admin" }).waitFor();
});

await step("an instance is deleted with its name", async () => {
  await page.goto("/i/shop/delete");
  await inspect("delete");
  await page.getByLabel("Type shop to delete it").fill("shop");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await told("shop was deleted.");
  assert.deepEqual((await api("/api/whatsapp/instances")).map(({ instanceName }) => instanceName), ["branch", "safe"]);
});

receiver.close();
await end();
