// The page of hand-offs: says while one types whether a message would escalate, and shows the texts filled in.

import { token } from "/assets/stream.js";

const form = document.querySelector("[data-try]");
const verdict = document.getElementById("tried");
let asked = 0;

async function judge() {
  const message = form.elements.try.value;
  const mine = ++asked;
  if (!message.trim()) return verdict.replaceChildren();
  const answer = await fetch(form.dataset.try, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": token() },
    body: JSON.stringify({ message }),
  }).catch(() => null);
  // What was typed meanwhile has an answer of its own.
  if (!answer?.ok || mine !== asked) return;
  const { keyword } = await answer.json();
  if (keyword === null) verdict.replaceChildren(form.dataset.no);
  else verdict.replaceChildren(form.dataset.yes, " ", Object.assign(document.createElement("b"), { textContent: keyword }));
}

let later;
form.elements.try.addEventListener("input", () => {
  clearTimeout(later);
  later = setTimeout(judge, 150);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  judge();
});

const places = [...document.querySelectorAll("#sample dt")];
const sample = new Map(places.map((place) => [place.textContent, place.nextElementSibling.textContent]));

document.addEventListener("input", ({ target }) => {
  const preview = document.getElementById(target.dataset?.filled);
  if (preview) preview.textContent = target.value.replace(/\{\{([^}]*)\}\}/g, (_, name) => sample.get(name.trim()) ?? "");
});
