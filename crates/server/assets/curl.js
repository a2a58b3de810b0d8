// A form as the command that does the same: with what stands in it, and never with a secret.

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

function phone(line) {
  const [number, rest = ""] = line.split(/(?<=\d)\s+(?=[^\d\s+().-])/);
  return { number, name: rest };
}

/** What a field says; `undefined` where it says nothing. */
function value(field, several) {
  const { dataset, type } = field;
  if (type === "checkbox" && !several) return field.checked;
  if (type === "password") return field.value ? "…" : undefined;
  if (field.value === "" && "omit" in dataset) return undefined;
  if ("flag" in dataset) return field.value === "true";
  if ("number" in dataset) return field.value === "" ? null : Number(field.value.replace(",", "."));
  if ("list" in dataset) return lines(field.value);
  if ("commas" in dataset) return field.value.split(",").map((one) => one.trim()).filter(Boolean);
  if ("phones" in dataset) return lines(field.value).map(phone);
  if ("spans" in dataset) return field.value.split(",").map((span) => span.trim()).filter(Boolean);
  if ("day" in dataset) return field.value ? `${field.value}T23:59:59Z` : undefined;
  if ("minute" in dataset) return field.value ? `${field.value}:00Z` : undefined;
  if (field.value === "" && "null" in dataset) return null;
  return field.value;
}

function put(body, path, said) {
  const names = path.split(".");
  const last = names.pop();
  const place = names.reduce((at, name) => (at[name] ??= {}), body);
  place[last] = said;
}

function body(form) {
  const made = {};
  const fields = [...form.elements].filter(({ name, dataset, type }) =>
    name && name !== "csrf" && !("skip" in dataset) && !["submit", "button", "file"].includes(type));
  for (const field of fields) {
    const path = field.dataset.field ?? field.name;
    if (field.dataset.gate) continue;
    const several = field.type === "checkbox" && "several" in field.dataset;
    if (several && !field.checked) continue;
    const said = value(field, several);
    if (said === undefined) continue;
    if (several) put(made, path, [...(made[path] ?? []), said]);
    else put(made, path, said);
  }
  for (const gate of form.querySelectorAll("[data-gate]")) if (!gate.checked) made[gate.dataset.gate] = null;
  const own = [...form.elements].find(({ dataset }) => dataset.json)?.dataset.json;
  return own ? JSON.parse(own) : made;
}

export function curl(form) {
  const [method, pattern] = form.dataset.curl.split(" ");
  const path = pattern.replace(/\{(\w+)\}/g, (whole, name) => encodeURIComponent(form.elements[name].value) || whole);
  const parts = [`curl -X ${method} ${quoted(location.origin + path)}`, `-H "apikey: $FLOWCORE_KEY"`];
  const file = form.querySelector("input[type=file]");
  const made = body(form);
  if (file) parts.push(`-F 'file=@${file.files[0]?.name ?? "file"}'`);
  else if (Object.keys(made).length) {
    parts.push("-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(made))}`);
  }
  return parts.join(" \\\n  ");
}
