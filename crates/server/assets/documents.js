// Documents: files that are dropped or chosen are sent one after the other, with how far each is, and the list
// follows while something is being read.

const form = document.querySelector("[data-drop]");
const html = { headers: { accept: "text/html" } };

async function refresh() {
  const answer = await fetch(location.href, html).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [fresh, old] = [page.getElementById("documents"), document.getElementById("documents")];
  if (!fresh || fresh.innerHTML === old.dataset.source) return;
  const source = fresh.innerHTML;
  old.replaceWith(document.adoptNode(fresh));
  fresh.dataset.source = source;
  document.dispatchEvent(new CustomEvent("fresh", { detail: fresh }));
}

const moves = () => document.querySelector("[data-moving]");

async function watch() {
  while (moves()) {
    await new Promise((later) => setTimeout(later, 1000));
    await refresh();
  }
  watching = false;
}

let watching = false;
function begin() {
  if (watching) return;
  watching = true;
  watch();
}

// --- sending -----------------------------------------------------------------------------------

function row(name) {
  const item = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  bar.setAttribute("aria-label", name);
  const told = document.createElement("span");
  told.className = "hint";
  item.append(name, " ", bar, " ", told);
  document.getElementById("uploads").append(item);
  return { bar, told };
}

/** The sentence of a page that refuses. */
function refusal(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  return (page.getElementById("wrong") ?? page.querySelector(".panel p"))?.textContent ?? "";
}

function send(file) {
  const { bar, told } = row(file.name);
  const body = new FormData();
  for (const name of ["csrf", "instance"]) body.append(name, form.elements[name].value);
  body.append("file", file);
  const request = new XMLHttpRequest();
  return new Promise((over) => {
    request.upload.onprogress = ({ loaded, total }) => (bar.value = loaded / total);
    request.onloadend = () => {
      const sent = request.status >= 200 && request.status < 300;
      bar.value = sent ? 1 : 0;
      told.textContent = sent ? form.dataset.sent : refusal(request.responseText) || form.dataset.lost;
      told.classList.toggle("wrong", !sent);
      over();
    };
    request.open("POST", form.action);
    request.setRequestHeader("accept", "text/html");
    request.send(body);
  });
}

async function sendAll(files) {
  for (const file of files) {
    await send(file);
    await refresh();
    begin();
  }
}

if (form) {
  form.elements.file.multiple = true;
  form.classList.add("live");
  form.addEventListener("submit", (event) => {
    const { files } = form.elements.file;
    if (!files.length) return;
    event.preventDefault();
    const chosen = [...files];
    form.elements.file.value = "";
    sendAll(chosen);
  });
  const over = (on) => (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", on);
  };
  form.addEventListener("dragover", over(true));
  form.addEventListener("dragleave", over(false));
  form.addEventListener("drop", (event) => {
    over(false)(event);
    sendAll([...event.dataTransfer.files]);
  });
}

begin();
