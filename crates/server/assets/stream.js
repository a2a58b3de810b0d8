// An answer of the API that comes as a stream of events, to a request that carries the session's token.

export const token = () => document.querySelector('input[name="csrf"]').value;

function sent(body, file) {
  const headers = { "x-csrf-token": token() };
  if (!file) return { headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) };
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) {
    if (value !== undefined && value !== "") form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  form.append("file", file);
  return { headers, body: form };
}

/** Posts and calls `told(kind, data)` for each event, until the last. A refusal is thrown with its sentence. */
export async function follow(address, body, file, told) {
  const answer = await fetch(address, { method: "POST", ...sent(body, file) });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? "");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const line = (name) => block.split("\n").find((one) => one.startsWith(name))?.slice(name.length);
      const [kind, data] = [line("event: "), line("data: ")];
      if (kind && data) told(kind, JSON.parse(data));
    }
  }
}
