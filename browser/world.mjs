// What every flow needs: the server, its admin's API, the phones of the simulated network, and a browser whose
// complaints fail the run in the end.

import assert from "node:assert/strict";
import { Browser } from "./page.mjs";

export const json = { "content-type": "application/json" };

export async function asked(url, options) {
  const answer = await fetch(url, options);
  const text = await answer.text();
  assert.ok(answer.ok, `${url}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

export async function step(name, work) {
  const began = Date.now();
  await work();
  console.log(`${name}: ${Date.now() - began} ms`);
}

/** Waits until something holds; a flow that waits for ever says for what. */
export async function until(what, holds, within = 15_000) {
  const end = Date.now() + within;
  for (;;) {
    const found = await holds();
    if (found) return found;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((later) => setTimeout(later, 50));
  }
}

/** The world of a run: `node FILE SERVER ADMIN_KEY PHONES [FOLDER FOR PICTURES]`. */
export async function world(options = {}) {
  const [base, key, phones, pictures] = process.argv.slice(2);
  assert.ok(base && key && phones, "node FILE SERVER ADMIN_KEY PHONES [FOLDER]");
  const browser = await Browser.start(base, pictures);
  const page = await browser.window(options);
  const send = (path, body, method = "POST") =>
    asked(base + path, { method, headers: { ...json, apikey: key }, body: JSON.stringify(body) });
  return {
    base, key, phones, browser, page, send,
    inspect: (name) => browser.inspect(page, name),
    press: (name, within = page) => within.getByRole("button", { name }).first().click(),
    told: (text) => page.locator(".toast", { hasText: text }).waitFor(),
    api: (path) => asked(base + path, { headers: { apikey: key } }),
    phone: (path, body) => asked(phones + path, { method: "POST", headers: json, body: JSON.stringify(body) }),
    /** What the doubles of a kind say next. */
    script: (double, next) =>
      asked(`${phones}/admin/model`, { method: "POST", headers: json, body: JSON.stringify({ double, next }) }),
    /** What somebody's phone got. */
    received: async (phone) => (await asked(`${phones}/admin/contacts/${phone}/messages?wait=0`)).messages,
    signIn: async (window) => {
      await window.goto("/login");
      await window.getByLabel("Or the admin key").fill(key);
      await window.getByRole("button", { name: "Sign in with the key" }).click();
      await window.getByRole("heading", { name: /Instances|Link your first number/ }).first().waitFor();
    },
    /** Nothing of what should not happen happened. */
    end: async () => {
      await browser.close();
      assert.deepEqual(browser.complaints, []);
      const { slowest, heaviest } = browser;
      console.log(`all flows pass; the heaviest page has ${heaviest} bytes, the slowest shows something after ${Math.round(slowest)} ms`);
    },
  };
}
