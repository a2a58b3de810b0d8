// The playground: sends a question to the API and shows the answer as it comes, with what it was made of. The
// form keeps what was said, so that it works the same without this.

import { follow } from "/assets/stream.js";

const form = document.querySelector("[data-playground]");
const thread = document.getElementById("said");
const history = document.getElementById("history");
const blank = document.getElementById("answer");
const saved = document.getElementById("saved-prompt").content.textContent.trim();
const slot = (answer, name) => answer.querySelector(`[data-slot="${name}"]`);

function toEnd() {
  thread.scrollTop = thread.scrollHeight;
}

function remember(role, text) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name: "said", value: `${role}:${text}` });
  history.append(field);
}

function remembered() {
  return [...history.querySelectorAll("input")].map(({ value }) => {
    const at = value.indexOf(":");
    return { role: value.slice(0, at), text: value.slice(at + 1) };
  });
}

function question(text) {
  const bubble = document.createElement("li");
  bubble.className = "bubble own";
  bubble.append(Object.assign(document.createElement("p"), { textContent: text }));
  thread.append(bubble);
  toEnd();
  return bubble.firstChild;
}

function answer(which, compared) {
  const row = blank.content.firstElementChild.cloneNode(true);
  const label = slot(row, "which");
  label.hidden = !compared;
  label.textContent = form.dataset[which];
  row.classList.add("writing");
  thread.append(row);
  return row;
}

function passage({ documentName, headings, text, score }) {
  const row = document.createElement("li");
  const add = (kind, content, name = "") =>
    row.append(Object.assign(document.createElement(kind), { textContent: content, className: name }), " ");
  add("b", documentName);
  add("span", score.toFixed(3), "score");
  for (const heading of headings) add("span", heading, "hint");
  add("p", text);
  return row;
}

const shows = {
  passages: (row, { passages }) => slot(row, "passages").replaceChildren(...passages.map(passage)),
  prompt: (row, { system, messages }) => {
    const turns = messages.map(({ role, text }) => `\n\n[${role}] ${text}`);
    slot(row, "prompt").textContent = system + turns.join("");
  },
  token: (row, { text }) => (slot(row, "text").textContent += text),
  done: (row, end) => {
    row.classList.remove("writing");
    slot(row, "text").textContent = end.text;
    const { inputTokens, outputTokens } = end.usage;
    slot(row, "facts").textContent = [end.model, `${inputTokens} → ${outputTokens} ${form.dataset.tokens}`,
      end.cost.toFixed(6), `${end.times.firstTokenMs} / ${end.times.totalMs} ms`].join(" · ");
    for (const flag of ["unknown", "wantsPerson", "withheld"]) slot(row, flag).hidden = !end[flag];
  },
  error: (row, { detail }) => {
    row.classList.remove("writing");
    slot(row, "wrong").textContent = detail;
    slot(row, "wrong").hidden = false;
  },
};

async function ask(message, file) {
  const prompt = form.elements.systemPrompt.value.trim();
  const draft = prompt && prompt !== saved ? { systemPrompt: prompt } : undefined;
  const compare = Boolean(draft) && form.elements.compare.checked;
  const body = { message, history: remembered(), draft, compare };
  const asked = question(message || file.name);
  const rows = {};
  const row = (of) => (rows[of] ??= answer(of, compare));
  let text = message;
  await follow(form.dataset.playground, body, file, (kind, data) => {
    const of = data.of ?? (draft ? "draft" : "saved");
    if (kind === "transcript") {
      text = data.text;
      asked.textContent = text;
    } else shows[kind]?.(row(of), data);
    toEnd();
  });
  remember("user", text);
  const first = rows.draft ?? rows.saved;
  const said = first && slot(first, "text").textContent;
  if (said) remember("assistant", said);
}

form.addEventListener("submit", async (event) => {
  if ("plain" in (event.submitter?.dataset ?? {})) return;
  event.preventDefault();
  const { message, file } = form.elements;
  const [text, chosen] = [message.value.trim(), file.files[0]];
  if (!text && !chosen) return message.focus();
  const button = form.querySelector(".say button");
  button.disabled = true;
  message.value = "";
  file.value = "";
  document.getElementById("wrong")?.remove();
  try {
    await ask(chosen ? "" : text, chosen);
  } catch (error) {
    const row = answer("saved", false);
    shows.error(row, { detail: error.message || form.dataset.lost });
    if (!chosen) message.value = text;
  }
  button.disabled = false;
  message.focus();
});

form.elements.message?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

form.querySelector("[data-reset]")?.addEventListener("click", (event) => {
  event.preventDefault();
  history.replaceChildren();
  for (const old of thread.querySelectorAll(".bubble, .reply-of")) old.remove();
  form.elements.message.focus();
});

toEnd();
