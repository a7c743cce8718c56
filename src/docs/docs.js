// Shows the page's forms and makes them work; the reference needs none of this.

/** How many characters of a response's body are shown. */
const SHOWN = 20000;

const UNREACHABLE = "No response: the service can't be reached, or the connection broke.";

/** The key is kept here and nowhere else. */
let key = "";

for (const form of document.forms) {
  if (form.dataset.path) setUpOperation(form);
  else setUpKey(form);
  form.hidden = false;
}

/** @param {HTMLFormElement} form */
function setUpKey(form) {
  const field = partOf(form, "key", HTMLInputElement);
  /** @param {string} value @param {string} message */
  const setKey = (value, message) => {
    key = value;
    field.value = "";
    partOf(form, "state", HTMLElement).textContent = message;
  };
  form.onsubmit = () => {
    const entry = field.value.trim();
    const problem = keyProblem(entry);
    if (problem) setKey("", `Not authorized: ${problem}.`);
    else setKey(entry, "Authorized, until you forget the key or leave this page.");
    return false;
  };
  partOf(form, "forget", HTMLButtonElement).onclick = () => {
    setKey("", "Not authorized. The key is forgotten.");
    field.focus();
  };
  // The browser may keep a page that is left, with its memory, and show it again.
  addEventListener("pagehide", () => {
    setKey("", "Not authorized. The key was forgotten when you left the page.");
  });
}

/** @param {string} entry */
function keyProblem(entry) {
  if (!entry) return "enter a key first";
  if (!/^[!-~]+$/.test(entry)) return "a key has visible ASCII characters only";
  return undefined;
}

/** @param {HTMLFormElement} form */
function setUpOperation(form) {
  const command = partOf(form, "command", HTMLElement);
  const showCommand = () => {
    command.textContent = curl(form);
  };
  showCommand();
  form.oninput = showCommand;
  let sending = new AbortController();
  form.onsubmit = () => {
    sending.abort();
    sending = new AbortController();
    send(form, sending.signal);
    return false;
  };
  partOf(form, "copy", HTMLButtonElement).onclick = async () => {
    partOf(form, "state", HTMLElement).textContent = await copy(command);
  };
}

/**
 * Copies the text of an element, or selects it if that is impossible. Returns what to say about it.
 * @param {HTMLElement} source
 */
async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return "Copied.";
  } catch {
    // A page that came over plain HTTP has no clipboard.
    getSelection()?.selectAllChildren(source);
    return "Selected. Copy it with Ctrl+C or ⌘C.";
  }
}

/**
 * Sends the request and shows its response. If it is aborted, the next one shows its own.
 * @param {HTMLFormElement} form
 * @param {AbortSignal} signal
 */
async function send(form, signal) {
  const place = partOf(form, "response", HTMLElement);
  for (const link of place.querySelectorAll("a")) URL.revokeObjectURL(link.href);
  place.replaceChildren(element("p", "Sending…"));
  const start = performance.now();
  try {
    const response = await fetch(addressOf(form), { ...requestOf(form), signal });
    const content = await response.blob();
    const time = Math.round(performance.now() - start);
    const body = await bodyElements(content);
    if (signal.aborted) return;
    place.replaceChildren(
      ...statusElements(form, response, time),
      ...body,
      ...headerElements(response),
    );
  } catch {
    if (!signal.aborted) place.replaceChildren(element("p", UNREACHABLE));
  }
}

/**
 * The status, with the time it took in milliseconds, and what the document says about it.
 * @param {HTMLFormElement} form
 * @param {Response} response
 * @param {number} time
 */
function statusElements(form, { status, statusText }, time) {
  const code = String(status);
  const exact = declaredStatus(form, code);
  const declared = exact ?? declaredStatus(form, `${code[0]}XX`) ?? declaredStatus(form, "default");
  // HTTP/2 has no reason phrase; the document's heading has one.
  const phrase = exact?.textContent ?? `${code} ${statusText}`;
  const title = element("h4", `${phrase}, ${time} ms`);
  title.dataset.status = code;
  const description =
    declared?.nextElementSibling?.textContent ?? "The document does not declare this status.";
  return [title, element("p", description)];
}

/**
 * The heading of a response that the document declares for this operation.
 * @param {HTMLFormElement} form
 * @param {string} status
 */
function declaredStatus(form, status) {
  return form.parentElement?.querySelector(`[data-status="${status}"]:not(form *)`);
}

/**
 * The text of a body. Of a long one the beginning, and a link to all of it.
 * @param {Blob} content
 */
async function bodyElements(content) {
  const text = pretty(await content.text());
  const shown = element("pre", text.slice(0, SHOWN));
  shown.tabIndex = 0;
  if (text.length <= SHOWN) return [shown];
  const note = element("p", `The first ${SHOWN} of ${text.length} characters. `);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = "response.json";
  link.textContent = "Download";
  note.append(link);
  return [note, shown];
}

/** @param {Response} response */
function headerElements({ headers }) {
  const lines = [...headers].map((field) => field.join(": "));
  return [element("h4", "Headers"), element("pre", lines.join("\n"))];
}

/**
 * The request as a command for a POSIX shell. The variable API_KEY holds the key. It goes through a
 * pipe, because everyone on the machine can see a command's arguments.
 * @param {HTMLFormElement} form
 */
function curl(form) {
  const { method, type, header } = form.dataset;
  const body = bodyOf(form);
  const parts = [`curl -X ${method}`, quote(addressOf(form))];
  if (header) parts.push("-H @-");
  if (type) parts.push(`-H ${quote(`Content-Type: ${type}`)}`);
  if (body !== undefined) parts.push(`--data-raw ${quote(body)}`);
  const command = parts.join(" \\\n  ");
  return header ? `printf ${quote(`${header}: %s\\n`)} "$API_KEY" |\n${command}` : command;
}

/**
 * A text as one word of a shell.
 * @param {string} text
 */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {HTMLFormElement} form
 * @returns {RequestInit}
 */
function requestOf(form) {
  const { method, type, header } = form.dataset;
  const headers = new Headers();
  if (type) headers.set("Content-Type", type);
  if (header && key) headers.set(header, key);
  return { method, headers, body: bodyOf(form) };
}

/** @param {HTMLFormElement} form */
function bodyOf(form) {
  return form.querySelector("textarea")?.value;
}

/** @param {HTMLFormElement} form */
function addressOf(form) {
  return new URL(`.${form.dataset.path}`, location.href).href;
}

/**
 * JSON with a member on each line; any other text as it is.
 * @param {string} text
 */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/**
 * The element of the form with this `data-part`.
 * @template {HTMLElement} T
 * @param {HTMLFormElement} form
 * @param {string} name
 * @param {new () => T} type
 * @returns {T}
 */
function partOf(form, name, type) {
  const part = form.querySelector(`[data-part=${name}]`);
  if (part instanceof type) return part;
  throw new Error(`The form has no part ${name}`);
}
