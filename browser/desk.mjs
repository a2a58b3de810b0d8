// The pages around customers: the assistant and its playground, documents, voice notes, support and escalations
// with a second browser beside, quotas, calls, many instances.
// node desk.mjs SERVER ADMIN_KEY PHONES [FOLDER FOR PICTURES]

import assert from "node:assert/strict";
import { step, until, world } from "./world.mjs";

const w = await world();
const { browser, page, inspect, press, told, api, send, phone, script, received } = w;
const note = { name: "note.ogg", mimeType: "audio/ogg", buffer: Buffer.from("OggS") };
let number;

await step("a code is scanned with the phone page", async () => {
  await w.signIn(page);
  await page.getByRole("link", { name: "New instance" }).first().click();
  const dialog = page.locator("#dialog");
  await dialog.getByLabel("Name").fill("bakery");
  await press("Create and link", dialog);
  await dialog.locator(".code svg").waitFor();
  const { qrcode } = await send("/api/whatsapp/connect", { instanceName: "bakery" });
  const hand = await (await browser.browser.newContext()).newPage();
  await hand.goto(`${w.phones}/`);
  await hand.getByLabel("Text of the QR code").fill(qrcode);
  await hand.getByRole("button", { name: "Scan", exact: true }).click();
  await told("bakery is connected.");
  await hand.close();
  number = (await api("/api/whatsapp/status/bakery")).instance.number;
});

await step("the assistant is set, checked and switched on", async () => {
  await page.goto("/i/bakery/ai");
  await page.getByLabel("System prompt").fill("You are Ana of the bakery.");
  assert.equal(await page.locator("#prompt-length").textContent(), "26");
  await page.getByLabel("Waits for more, ms").fill("50");
  await page.getByLabel("Shown as typing").uncheck();
  await press("Test the connection");
  await page.getByText("It answers", { exact: true }).waitFor();
  await press("Save");
  await told("Saved.");
  await press("Switch on");
  await told("The assistant answers from now on.");
  await inspect("assistant");
  const set = await api("/api/instances/bakery/ai");
  assert.deepEqual([set.isActive, set.systemPrompt, set.pacing.debounceMs], [true, "You are Ana of the bakery.", 50]);
});

await step("a form is copied as the command that does the same", async () => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/i/bakery/ai");
  await page.locator(".settings .curl").click();
  await told("The command was copied.");
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { pacing, systemPrompt } = JSON.parse(command.match(/-d '(.*)'$/s)[1]);
  assert.match(command, /^curl -X PUT 'http.*\/api\/instances\/bakery\/ai'/);
  assert.deepEqual([pacing.debounceMs, systemPrompt], [50, "You are Ana of the bakery."]);
  await send("/api/instances/bakery/ai", JSON.parse(command.match(/-d '(.*)'$/s)[1]), "PUT");
});

await step("a prompt is written, compared, taken over and rolled back", async () => {
  await script("chat", [{ text: "You are Bia.\nAnswer briefly." }]);
  await page.goto("/i/bakery/ai");
  await page.getByLabel("What your business is").fill("A bakery at the harbour.");
  await press("Write a draft");
  await page.locator(".diff .added", { hasText: "You are Bia." }).waitFor();
  await page.getByText("1 this month").or(page.getByText("1 of")).first().waitFor();
  await inspect("assistant-draft");
  await press("Take it over");
  await told("The prompt was changed.");
  assert.equal((await api("/api/instances/bakery/ai")).systemPrompt, "You are Bia.\nAnswer briefly.");
  await page.locator('a[href*="/ai/versions/"]').nth(1).click();
  await page.getByRole("heading", { name: /^Version/ }).waitFor();
  await inspect("version");
  await press("Roll back to it");
  await told("The prompt is worded as it was.");
  assert.equal((await api("/api/instances/bakery/ai")).systemPrompt, "You are Ana of the bakery.");
});

await step("a document is dropped and read while one looks", async () => {
  await page.goto("/documents");
  await inspect("documents-empty");
  await page.getByLabel("Instance that answers from it").fill("bakery");
  const files = await page.evaluateHandle(() => {
    const dropped = new DataTransfer();
    dropped.items.add(new File(["# Bakery\n\nOn Sundays we bake until noon and close at 12:15.\n"], "hours.md"));
    return dropped;
  });
  await page.locator("[data-drop]").dispatchEvent("drop", { dataTransfer: files });
  await page.locator("#uploads", { hasText: "hours.md" }).waitFor();
  await page.locator("#documents .badge.connected", { hasText: "Ready" }).waitFor({ timeout: 60_000 });
  await page.getByRole("searchbox").fill("when do you close on sundays");
  await press("Search");
  await page.locator(".passages", { hasText: "close at 12:15" }).waitFor();
  await inspect("documents");
  await page.locator("#documents a", { hasText: "hours.md" }).click();
  await page.getByRole("heading", { name: "hours.md" }).waitFor();
  await page.locator(".passages.read", { hasText: "close at 12:15" }).waitFor();
  await inspect("document");
});

await step("the playground streams, shows what an answer came from, and compares prompts", async () => {
  await page.goto("/i/bakery/ai/test");
  await inspect("playground-empty");
  await page.getByLabel("Message").fill("When do you close on Sundays?");
  await press("Send");
  const answer = page.locator(".answer").first();
  await answer.locator("p", { hasText: "12:15" }).first().waitFor();
  await answer.locator("summary").click();
  await answer.locator(".passages b", { hasText: "hours.md" }).waitFor();
  assert.match(await answer.locator('[data-slot="facts"]').textContent(), /chat-double .* tokens .* ms/);
  assert.match(await answer.locator('[data-slot="prompt"]').textContent(), /You are Ana of the bakery\./);
  await inspect("playground");
  await script("transcriptions", [{ text: "And on Mondays?" }]);
  await page.getByLabel("Or a voice note").setInputFiles(note);
  await press("Send");
  await page.locator(".bubble.own", { hasText: "And on Mondays?" }).waitFor();
  await page.locator(".answer").nth(1).locator('[data-slot="facts"]', { hasText: "tokens" }).waitFor();
  await page.locator("#systemPrompt").fill("You are a pirate.");
  await page.getByLabel("Let the saved prompt answer beside it").check();
  await page.getByLabel("Message").fill("Again?");
  await page.getByLabel("Message").press("Enter");
  await page.locator(".answer").nth(3).locator('[data-slot="facts"]', { hasText: "tokens" }).waitFor();
  await page.getByText("With the edited prompt").waitFor();
  await page.getByRole("link", { name: "Begin anew" }).click();
  assert.equal(await page.locator(".answer").count(), 0);
});

await step("what was tried is kept as a case, and run again", async () => {
  await page.goto("/i/bakery/ai/test");
  await page.getByLabel("Message").fill("When do you close on Sundays?");
  await press("Send");
  await page.locator('.answer [data-slot="facts"]', { hasText: "tokens" }).waitFor();
  await press("Keep as a test case");
  await told("The case was kept.");
  await page.getByLabel("A customer writes").fill("Do you sell cake?");
  await page.getByLabel("The answer must have", { exact: false }).first().fill("nobody says this");
  await press("Keep the case");
  await told("The case was kept.");
  await press("Run all");
  await told("Not all cases passed.");
  await page.getByText("the answer does not have").waitFor();
  assert.deepEqual(await page.locator(".row .badge").allTextContents(), ["Passed", "Failed"]);
  await inspect("cases");
  await page.getByRole("button", { name: "Delete Do you sell cake?" }).click();
  await told("The case was deleted.");
  assert.equal((await api("/api/instances/bakery/ai/cases")).data.length, 1);
});

await step("a voice note is written down", async () => {
  await script("transcriptions", [{ text: "Two loaves, please." }]);
  await page.goto("/i/bakery/webhooks");
  await page.getByLabel("A recording").setInputFiles(note);
  await press("Write it down");
  await page.locator("#transcript", { hasText: "Two loaves, please." }).waitFor();
  await inspect("voice");
});

const { phone: ana } = await phone("/admin/contacts", { name: "Ana" });
const write = (text) => phone(`/admin/contacts/${ana}/messages`, { to: number, text });
const got = (part) =>
  until(`Ana gets ${part}`, async () => (await received(ana)).some(({ text }) => text?.includes(part)), 30_000);

await step("a customer is answered from the document", async () => {
  await write("When do you close on Sundays?");
  await got("12:15");
});

await step("support is set up and its keywords are tried while one types", async () => {
  await page.goto("/i/bakery/support");
  await page.getByLabel("New keyword or phrase").fill("human");
  await press("Add");
  await told("The keyword was added.");
  await page.getByLabel("A customer writes").fill("I want a human");
  await page.locator("#tried b", { hasText: "human" }).waitFor();
  await page.getByLabel("A customer writes").fill("I want bread");
  await page.locator("#tried", { hasText: "No, the assistant goes on." }).waitFor();
  await page.getByLabel("Customers can be handed over").check();
  await page.locator("#customerTemplate").fill("One moment, {{customer_name}}.");
  await page.locator("#customer-preview", { hasText: "One moment, Ana." }).waitFor();
  await page.getByLabel("Support phones, one a line").fill("5511977776666 Tom");
  await page.getByLabel("Somebody is there only at these hours").check();
  await page.getByLabel("Time zone").fill("UTC");
  for (const day of ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]) {
    await page.getByLabel(day).fill("00:00-24:00");
  }
  await press("Save");
  await page.locator(".toast, #wrong").first().waitFor();
  if (await page.locator("#wrong").isVisible()) {
    // The number is on no phone of this network.
    await page.getByLabel("Support phones, one a line").fill("");
    await press("Save");
  }
  await told("Saved.");
  await inspect("support");
});

const second = await browser.window({ storageState: await page.context().storageState() });

await step("a keyword calls a person, seen at once in a second browser", async () => {
  await second.goto("/escalations");
  await second.getByText("Nobody waits for a person.").waitFor();
  await page.goto("/");
  await inspect("instances-marked");
  await write("A human, please!");
  await second.getByRole("link", { name: /Ana/ }).waitFor();
  await second.locator("#waiting", { hasText: "1" }).waitFor();
  await page.locator("#waiting", { hasText: "1" }).waitFor();
  await page.locator(".marks .urgent", { hasText: "1 waiting" }).waitFor();
  await got("One moment, Ana.");
});

await step("the customer is answered from the dashboard, and handed back", async () => {
  await page.goto("/escalations");
  await inspect("escalations");
  await page.getByRole("link", { name: /Ana/ }).click();
  await page.getByText("A human, please!").first().waitFor();
  await page.getByLabel("Answer").fill("Here I am.");
  await press("Send");
  await told(/The message/);
  await got("Here I am.");
  await inspect("escalation");
  await write("Thank you!");
  await page.locator(".thread", { hasText: "Thank you!" }).waitFor();
  await page.getByLabel("Note for the team").fill("Was hungry.");
  await press("Resolve");
  await told("It is resolved.");
  await second.getByText("Nobody waits for a person.").waitFor();
  await page.goto("/escalations?status=resolved");
  await page.getByRole("link", { name: /Ana/ }).click();
  await page.getByText("Was hungry.").waitFor();
  await press("Open it again");
  await told("It is open again.");
  await press("Hand back to the assistant");
  await told("The assistant goes on.");
  await page.goto("/conversations");
  await page.locator(".row .badge", { hasText: "The assistant answers" }).waitFor();
  await inspect("conversations");
  await page.getByRole("link", { name: /Ana/ }).click();
  await press("Take over");
  await told("The conversation is yours.");
  await inspect("conversation");
  await press("Hand back to the assistant");
  await told("The assistant goes on.");
  const [{ owner }] = (await api("/api/conversations")).data;
  assert.equal(owner, "ai");
});

await step("calls are rejected, and the caller sees why", async () => {
  await page.goto("/i/bakery/calls");
  await page.getByLabel("Reject calls").check();
  await page.getByLabel("What callers are told").fill("Please write to us.");
  await press("Save");
  await told("Saved.");
  await phone(`/admin/contacts/${ana}/call`, { to: number });
  await got("Please write to us.");
});

await step("a quota is shown, and told when it is reached", async () => {
  const made = await send("/api/users", { username: "bea", password: "correct horse battery", role: "member" });
  await send(`/api/users/${made.id}`, { quotas: { instances: 1 } }, "PATCH");
  const bea = await browser.window();
  await bea.goto("/login");
  await bea.getByLabel("User name").fill("bea");
  await bea.getByLabel("Password").fill("correct horse battery");
  await bea.getByRole("button", { name: "Sign in", exact: true }).click();
  for (const name of ["first", "second"]) {
    await bea.goto("/instances/new");
    await bea.getByLabel("Name").fill(name);
    await press("Create and link", bea);
    await bea.locator(name === "first" ? ".code svg" : "#wrong").waitFor();
  }
  await bea.goto("/");
  await bea.locator("#quota", { hasText: "1 of 1" }).waitFor();
  await bea.close();
});

await step("several instances are ticked and deleted", async () => {
  for (const name of ["x1", "x2"]) await send("/api/whatsapp/connect?wait=0", { instanceName: name });
  await page.goto("/");
  await page.getByLabel("Pick x1").check();
  await page.getByLabel("Pick x2").check();
  await inspect("instances-ticked");
  await page.locator("#bulk").getByRole("button", { name: "Delete…" }).click();
  await page.getByLabel("Type 2 to delete them").fill("2");
  await inspect("bulk");
  await press("Delete");
  await told("The ticked instances were deleted.");
  await page.locator('.card[data-name="x1"]').waitFor({ state: "detached" });
});

await step("a thousand instances are paged, searched, and changes come at once", async () => {
  const names = Array.from({ length: 1000 }, (_, at) => `n${String(at).padStart(4, "0")}`);
  for (let at = 0; at < names.length; at += 20) {
    await Promise.all(names.slice(at, at + 20).map((instanceName) =>
      send("/instance/create", { instanceName, qrcode: false, integration: "WHATSAPP-BAILEYS" })));
  }
  await page.goto("/");
  await page.locator(".card").nth(59).waitFor();
  assert.equal(await page.locator(".card").count(), 60);
  await inspect("instances-many");
  await page.getByRole("link", { name: "More", exact: true }).click();
  await page.getByRole("link", { name: "From the beginning" }).waitFor();
  await page.goto("/?search=n0777");
  const card = page.locator('.card[data-name="n0777"]');
  await card.waitFor();
  assert.equal(await page.locator(".card").count(), 1);
  const times = [];
  for (let round = 0; round < 4; round += 1) {
    const waits = card.and(page.locator(round % 2 ? '[data-status="disconnected"], [data-status="created"]' : '[data-status="connecting"]'));
    const path = round % 2 ? "/api/whatsapp/logout" : "/api/whatsapp/connect?wait=0";
    await send(path, { instanceName: "n0777" });
    const began = performance.now();
    await waits.waitFor();
    times.push(Math.round(performance.now() - began));
  }
  console.log(`  a change is on the screen after ${times.join(", ")} ms`);
  assert.ok(Math.min(...times) < 200, `changes took ${times.join(", ")} ms`);
});

await step("every page shows something soon, with a thousand instances behind it", async () => {
  const own = ["", "/ai", "/ai/test", "/support", "/webhooks", "/chats", "/logs", "/calls"].map((path) => `/i/bakery${path}`);
  const paths = ["/", "/documents", "/escalations", "/conversations", "/keys", "/users", "/account", ...own];
  const times = [];
  for (const path of paths) times.push(await browser.time(page, path));
  console.log(`  after ${times.join(", ")} ms`);
});

await w.end();
