// Pages that are left open: the server is restarted under them twice and their line is cut once. Each shows what is so
// every time, and within five seconds of the return at the best of three. Then pages that get no stream at all.
// node open.mjs SERVER ADMIN_KEY PHONES [MINUTES]; `stop` and `start` are asked for on standard output, one line each, and
// answered by a line on standard input.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { Browser } from "./page.mjs";
import { asked, json, step, until } from "./world.mjs";

const [server, key, phones, minutes] = process.argv.slice(2);
/** How soon after the return the pages show what is so; other tests run beside this, so the best of a few times counts. */
const SOON = 5000;
const TIMES = 3;
/** When they show it at the latest, however busy the machine is. */
const AT_LAST = 60_000;
/** What a browser says of a server that is not there. */
const AWAY = /ERR_(CONNECTION|EMPTY_RESPONSE|INCOMPLETE|NETWORK|SOCKET|TIMED_OUT|ABORTED|CONTENT|HTTP)|status of 503/;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Lets the test do something with the server. */
async function order(what) {
  console.log(what);
  const { done } = await answers.next();
  assert.ok(!done, `nobody answers ${what}`);
}

/** A line to the server that can be cut: what goes over it is lost, and nobody is told. */
async function line(to) {
  const pairs = new Map();
  let dead = false;
  const entrance = createServer((near) => {
    near.on("error", () => {});
    pairs.set(near, null);
    near.on("close", () => pairs.delete(near));
    if (dead) return;
    const far = connect(to);
    pairs.set(near, far);
    far.on("error", () => near.destroy());
    far.on("close", () => near.destroyed || dead || near.end());
    near.on("close", () => far.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise((ready) => entrance.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${entrance.address().port}`,
    cut() {
      dead = true;
      for (const [near, far] of pairs) {
        far?.unpipe(near);
        near.unpipe();
        far?.destroy();
      }
    },
    mend() {
      dead = false;
    },
    close() {
      for (const near of pairs.keys()) near.destroy();
      entrance.close();
    },
  };
}

const { hostname, port } = new URL(server);
const way = await line({ host: hostname, port: Number(port) });
const browser = await Browser.start(way.url);
const send = (path, body, method = "POST") =>
  asked(server + path, { method, headers: { ...json, apikey: key }, body: JSON.stringify(body) });
const api = (path) => asked(server + path, { headers: { apikey: key } });
const phone = (path, body) => asked(phones + path, { method: "POST", headers: json, body: JSON.stringify(body) });

const cards = await browser.window({}, AWAY);
let number, ana, chat, waiting;
let round = 0;

await step("pages are opened", async () => {
  await cards.goto("/login");
  await cards.getByLabel("Or the admin key").fill(key);
  await cards.getByRole("button", { name: "Sign in with the key" }).click();
  await cards.getByRole("heading", { name: "Link your first number" }).waitFor();
  const { qrcode } = await send("/api/whatsapp/connect?wait=30", { instanceName: "shop" });
  ({ phone: number } = JSON.parse(await (await fetch(`${phones}/admin/mock-phone/scan-qr`, { method: "POST", body: qrcode })).text()));
  await cards.locator('.card[data-status="connected"]').waitFor();
  await send("/api/instances/shop/support", { isActive: true }, "PUT");
  await send("/api/instances/shop/support/keywords", { keyword: "human" });
  ({ phone: ana } = await phone("/admin/contacts", { name: "Ana" }));
  await phone(`/admin/contacts/${ana}/messages`, { to: number, text: "Hello" });
  const open = async () => {
    const page = await cards.context().newPage();
    browser.watch(page, AWAY);
    return page;
  };
  [chat, waiting] = [await open(), await open()];
  await chat.goto("/i/shop/chats");
  await chat.getByRole("link", { name: "Ana" }).click();
  await chat.getByText("Hello").waitFor();
  await waiting.goto("/escalations");
  await waiting.getByText("Nobody waits for a person.").waitFor();
});

/** Things happen; afterwards `shown` tells how long it took until every page had them, from when they were true, and tidies up. */
async function happen() {
  round += 1;
  const mine = round;
  const { phone: eva } = await phone("/admin/contacts", { name: `Eva ${mine}` });
  await phone(`/admin/contacts/${ana}/messages`, { to: number, text: `line ${mine}` });
  await phone(`/admin/contacts/${eva}/messages`, { to: number, text: "A human, please" });
  return async function shown() {
    await send("/api/whatsapp/connect?wait=0", { instanceName: `made${mine}` });
    const known = async (path, text) => JSON.stringify(await api(path)).includes(text);
    await until("the API knows", () => known("/api/escalations", `Eva ${mine}`), AT_LAST);
    const began = Date.now();
    const wait = { timeout: AT_LAST };
    await Promise.all([
      cards.locator(`.card[data-name="made${mine}"]`).waitFor(wait),
      cards.locator('.card[data-name="shop"][data-status="connected"]').waitFor(wait),
      cards.locator("#waiting", { hasText: "1" }).waitFor(wait),
      chat.locator(".bubble", { hasText: `line ${mine}` }).waitFor(wait),
      waiting.getByRole("link", { name: `Eva ${mine} ` }).waitFor(wait),
      ...[cards, chat, waiting].map((page) => page.locator("#offline").waitFor({ state: "hidden", ...wait })),
    ]);
    const took = Date.now() - began;
    const [{ id }] = (await api("/api/escalations")).data;
    await send(`/api/escalations/${id}/resolve`, {});
    await asked(`${server}/api/whatsapp/delete/made${mine}`, { method: "DELETE", headers: { apikey: key } });
    await Promise.all([
      cards.locator(`.card[data-name="made${mine}"]`).waitFor({ state: "detached", ...wait }),
      waiting.getByText("Nobody waits for a person.").waitFor(wait),
    ]);
    return took;
  };
}

/** The server comes back; how long the pages took. */
async function restarted() {
  await order("stop");
  const shown = await happen();
  await order("start");
  return shown();
}

/** The line comes back; how long the pages took. */
async function mended() {
  way.cut();
  const shown = await happen();
  await Promise.all([cards, chat, waiting].map((page) => page.locator("#offline").waitFor({ timeout: AT_LAST })));
  way.mend();
  return shown();
}

/** Nothing is wrong; how long the pages took for what happened. */
const untouched = async () => (await happen())();

async function soon(what, work) {
  const took = [];
  do took.push(await work());
  while (took.at(-1) > SOON && took.length < TIMES);
  console.log(`  ${what}: the truth is on all pages after ${took.join(", ")} ms`);
  assert.ok(took.at(-1) <= SOON, `${what}: never within ${SOON} ms`);
}

const steps = [["restarted", restarted], ["cut and mended", mended], ["restarted once more", restarted]];
for (const [what, work] of steps) {
  await step(what, () => soon(what, work));
  if (!minutes) continue;
  // What happens while nothing is wrong is seen as well.
  const end = Date.now() + (Number(minutes) * 60_000) / steps.length;
  while (Date.now() < end) {
    await soon("as ever", untouched);
    await new Promise((later) => setTimeout(later, 20_000));
  }
}

for (const [how, block] of [
  ["refused", (route) => route.fulfill({ status: 503, body: "" })],
  ["held back", () => {}],
]) {
  await step(`a page whose stream is ${how} looks every five seconds`, async () => {
    const blocked = await browser.window({ storageState: await cards.context().storageState() }, AWAY);
    await blocked.route("**/dashboard/live*", block);
    await blocked.goto("/?search=blocked");
    const looks = [];
    blocked.on("request", (request) => request.url().endsWith("/?search=blocked") && looks.push(Date.now()));
    const between = () => looks.slice(1).map((at, one) => at - looks[one]);
    await until("it looks every five seconds", () => between().some((ms) => ms > 4000 && ms < 7000), AT_LAST);
    assert.ok((looks.length - 2) * 4000 <= Date.now() - looks[0], `it looked after ${between().join(", ")} ms`);
    const name = `blocked-${how.split(" ")[0]}`;
    await send("/api/whatsapp/connect?wait=0", { instanceName: name });
    await blocked.locator(`.card[data-name="${name}"]`).waitFor({ timeout: AT_LAST });
    await blocked.locator("#offline").waitFor({ state: "hidden", timeout: AT_LAST });
    await blocked.context().close();
  });
}

await browser.close();
way.close();
answers.return?.();
process.stdin.destroy();
assert.deepEqual(browser.complaints, []);
