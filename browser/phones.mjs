// The phones of the simulated network, as a newcomer picks them up: a code scanned by one click, a customer's phone,
// ticks, typing, a voice note, what waits on a phone that lies aside, a device logged out.
// The other side of the conversation is a client that the caller runs: see crates/simulator/tests/it/phone_page.rs.
// node phones.mjs PHONES [FOLDER FOR PICTURES]

import assert from "node:assert/strict";
import { Browser } from "./page.mjs";
import { asked, json, step } from "./world.mjs";

const [base, pictures] = process.argv.slice(2);
assert.ok(base, "node phones.mjs PHONES [FOLDER]");
const browser = await Browser.start(base, pictures);
const page = await browser.window();
const phone = page.getByLabel("Phone in the hand");
const shelf = page.getByRole("complementary", { name: "Phones" });
const press = (name, within = phone) => within.getByRole("button", { name }).first().click();
const bubble = (text) => phone.locator(".bubble", { hasText: text });
const ticked = (text, level) => bubble(text).getByRole("img", { name: level }).waitFor();
let number;

await step("a code in view is scanned by one click", async () => {
  await page.goto("/");
  await phone.getByText("A code is in view.").waitFor();
  await browser.inspect(page, "phone-scan");
  await press("Scan the code of shop");
  await phone.getByRole("heading", { name: "Linked devices" }).waitFor();
  await phone.getByText(/^Online/).waitFor();
  const { phones } = await asked(`${base}/admin/mock-phone`);
  [{ phone: number }] = phones;
  await phone.getByText("Shop", { exact: true }).waitFor();
  await browser.inspect(page, "phone-linked");
});

await step("it is the size and shape of a phone, and stays so in a narrow window", async () => {
  const shape = () => phone.evaluate((node) => {
    const { width, height } = node.getBoundingClientRect();
    return { width, ratio: height / width, scrolls: document.documentElement.scrollWidth > window.innerWidth };
  });
  const wide = await shape();
  assert.ok(wide.width < 450 && wide.ratio > 1.7 && wide.ratio < 2.3, JSON.stringify(wide));
  await page.setViewportSize({ width: 390, height: 844 });
  const narrow = await shape();
  assert.ok(narrow.width <= 390 && !narrow.scrolls, JSON.stringify(narrow));
  await page.setViewportSize({ width: 1280, height: 860 });
});

await step("a customer writes, is seen typing to, and its ticks turn", async () => {
  await press("Hand somebody a phone", shelf);
  await phone.getByLabel("Message", { exact: true }).fill("Do you have blue ones?");
  await press("Send");
  await ticked("Do you have blue ones?", "Delivered");
  await phone.getByText("typing…").waitFor();
  await browser.inspect(page, "phone-chat");
  await press("Record a voice note");
  await phone.getByLabel("Message", { exact: true }).fill("I need them on Friday.");
  await press("Send");
  await phone.locator(".bubble.mine .voice").waitFor();
  await bubble("Yes, ten of them.").waitFor();
  await ticked("Do you have blue ones?", "Read");
  assert.equal(await phone.getByText("typing…").count(), 0, "who has written types no longer");
});

await step("a message is quoted", async () => {
  await bubble("Yes, ten of them.").dblclick();
  await phone.getByLabel("Message", { exact: true }).fill("Those, please.");
  await press("Send");
  await phone.locator(".bubble.mine blockquote", { hasText: "Yes, ten of them." }).waitFor();
  await browser.inspect(page, "phone-quote");
});

await step("what comes meanwhile waits on the phone that lies aside", async () => {
  const customer = shelf.locator("#people").getByRole("button");
  await shelf.locator("#owners").getByRole("button").click();
  const { contacts } = await asked(`${base}/admin/contacts`);
  const message = { to: contacts[0].phone, text: "They are ready." };
  await asked(`${base}/admin/mock-phone/${number}/messages`, { method: "POST", headers: json, body: JSON.stringify(message) });
  await customer.locator(".badge", { hasText: "1" }).waitFor();
  await customer.click();
  await bubble("They are ready.").waitFor();
  await press("All chats");
  await phone.locator(".chat-item", { hasText: "They are ready." }).waitFor();
  assert.equal(await customer.locator(".badge").count(), 0, "it was read");
  await browser.inspect(page, "phone-chats");
});

await step("a group has its name, and its messages their authors", async () => {
  const { contacts } = await asked(`${base}/admin/contacts`);
  const say = (path, body) => asked(base + path, { method: "POST", headers: json, body: JSON.stringify(body) });
  const made = await say(`/admin/contacts/${contacts[0].phone}/groups`, { subject: "Block 7", participants: [number] });
  await say(`/admin/mock-phone/${number}/messages`, { to: made.jid, text: "Welcome, neighbours." });
  await phone.locator(".chat-item", { hasText: "Block 7" }).click();
  await bubble("Welcome, neighbours.").locator(".author", { hasText: "Shop" }).waitFor();
  await browser.inspect(page, "phone-group");
});

await step("the owner logs the device out", async () => {
  await shelf.locator("#owners").getByRole("button").click();
  await press("Log out");
  await phone.getByText("No device is linked to this number.").waitFor();
});

await browser.close();
assert.deepEqual(browser.complaints, []);
console.log("the phones work");
