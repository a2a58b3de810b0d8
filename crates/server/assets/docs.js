// The reference's script: finds routes, and tries them with the key in the page. Nothing is kept, and
// nothing is sent anywhere but to this server.

const key = document.getElementById("key");
const find = document.getElementById("find");

find.form.addEventListener("submit", (event) => event.preventDefault());
find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of document.querySelectorAll(".group")) {
    let shown = 0;
    for (const one of group.querySelectorAll(".operation")) {
      const text = one.dataset.words.toLowerCase();
      one.hidden = !words.every((word) => text.includes(word));
      shown += one.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
  }
});

function asked(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = { accept: "application/json" };
  let body;
  for (const field of form.querySelectorAll("[data-in]")) {
    const value = field.value;
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(value));
    else if (field.dataset.in === "query" && value) query.set(field.name, value);
    else if (field.dataset.in === "header" && value) headers[field.name] = value;
    else if (field.dataset.in === "body" && value) body = value;
  }
  if (body !== undefined) headers["content-type"] = "application/json";
  if (key.value) headers[path.startsWith("/functions/") ? "authorization" : "apikey"] =
    path.startsWith("/functions/") ? `Bearer ${key.value}` : key.value;
  const url = query.size ? `${path}?${query}` : path;
  return [url, { method: form.dataset.method, headers, body, credentials: "omit" }];
}

/** The beginning of an answer: some never end. */
async function beginning(response) {
  const reader = response.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  const until = Date.now() + 5000;
  while (text.length < 200_000) {
    const late = new Promise((done) => setTimeout(() => done({ done: true }), Math.max(0, until - Date.now())));
    const { done, value } = await Promise.race([reader.read(), late]);
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.cancel().catch(() => {});
  return text;
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

for (const form of document.querySelectorAll(".operation form")) {
  const send = form.querySelector(".send");
  const outcome = form.querySelector(".outcome");
  send.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    outcome.hidden = false;
    outcome.textContent = "…";
    try {
      const response = await fetch(...asked(form));
      const text = await beginning(response);
      outcome.textContent = `${response.status} ${response.statusText}\n${readable(text)}`;
    } catch (error) {
      outcome.textContent = `No answer: ${error.message}`;
    } finally {
      send.disabled = false;
    }
  });
}

// An address with the name of an operation opens it.
if (location.hash) document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
