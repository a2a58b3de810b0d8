// Everything the page asks of the network.

async function ask(method, path, body) {
  const plain = typeof body === "string";
  const response = await fetch(path, {
    method,
    headers: body === undefined || plain ? {} : { "content-type": "application/json" },
    body: body === undefined || plain ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let answer = {};
  try {
    answer = JSON.parse(text);
  } catch {
    answer = { error: text };
  }
  if (!response.ok) throw new Error(answer.error || `The network answered ${response.status}.`);
  return answer;
}

const of = (phone) => `/admin/contacts/${encodeURIComponent(phone)}`;
const owner = (phone) => `/admin/mock-phone/${encodeURIComponent(phone)}`;

export const phones = () => ask("GET", "/admin/mock-phone");
export const waiting = () => ask("GET", "/admin/mock-phone/waiting");
export const people = () => ask("GET", "/admin/contacts");
export const groups = () => ask("GET", "/admin/groups");
export const addPerson = (name) => ask("POST", "/admin/contacts", { name });
export const person = (phone) => ask("GET", of(phone));
export const unlink = (phone, device) => ask("POST", `${owner(phone)}/unlink`, { device });
export const write = (phone, message) => ask("POST", `${of(phone)}/messages`, message);
export const read = (phone, chat, ids) => ask("POST", `${of(phone)}/read`, { chat, ids });
export const typing = (phone, to, state) => ask("POST", `${of(phone)}/typing`, { to, state });

export function scan(qr, phone) {
  const which = phone ? `?phone=${encodeURIComponent(phone)}` : "";
  return ask("POST", `/admin/mock-phone/scan-qr${which}`, qr);
}

export function messages(phone, after, wait) {
  const query = new URLSearchParams({ wait: String(wait) });
  if (after) query.set("after", after);
  return ask("GET", `${of(phone)}/messages?${query}`);
}
