// Shows the page's forms and makes them work. The reference needs none of this.

/** How many characters of a response's body are shown. */
const SHOWN = 20000;

/** The key is kept here and nowhere else. */
let key = "";

for (const form of document.forms) {
  if (form.dataset.path) setUpOperation(form);
  else setUpKey(form);
  form.hidden = false;
}
for (const text of document.querySelectorAll("pre")) {
  makeCopyable(text, text.dataset.name ?? "example");
}

/** @param {HTMLFormElement} form */
function setUpKey(form) {
  const { entry, forget, state } = form;
  /** @param {string} value @param {string} message */
  const setKey = (value, message) => {
    key = value;
    entry.value = "";
    state.textContent = message;
    document.body.classList.toggle("has-key", value !== "");
  };
  form.onsubmit = () => {
    const value = entry.value.trim();
    if (/^[!-~]+$/.test(value)) {
      setKey(value, "The key is sent until you forget it or leave this page.");
    } else {
      setKey("", `No key is set: ${value ? "use visible ASCII only" : "enter one first"}.`);
    }
    return false;
  };
  forget.onclick = () => {
    setKey("", "No key is set: it is forgotten.");
    entry.focus();
  };
  // The browser may keep a page that is left, with its memory, and show it again.
  addEventListener("pagehide", () => setKey("", "No key is set: you left the page."));
}

/** @param {HTMLFormElement} form */
function setUpOperation(form) {
  const [command] = form.querySelectorAll("pre");
  const showCommand = () => (command.textContent = curl(form));
  form.oninput = showCommand;
  form.onchange = showCommand;
  showCommand();
  let sending = new AbortController();
  form.onsubmit = () => {
    sending.abort();
    sending = new AbortController();
    send(form, sending.signal);
    return false;
  };
}

/**
 * Sends the request and shows its response, unless it is aborted.
 * @param {HTMLFormElement} form
 * @param {AbortSignal} signal
 */
async function send(form, signal) {
  const [place] = form.querySelectorAll("[aria-live]");
  for (const link of place.querySelectorAll("a")) URL.revokeObjectURL(link.href);
  place.replaceChildren(element("p", "Sending…"));
  const start = performance.now();
  try {
    const response = await fetch(addressOf(form), { ...requestOf(form), signal });
    const content = await response.blob();
    const time = Math.round(performance.now() - start);
    const body = await bodyElements(content);
    if (signal.aborted) return;
    const lines = [...response.headers].map((field) => field.join(": "));
    const headers = [element("h4", "Headers"), element("pre", lines.join("\n"))];
    place.replaceChildren(...statusElements(form, response, time), ...body, ...headers);
    for (const text of place.querySelectorAll("pre")) {
      // A long one scrolls.
      text.tabIndex = 0;
      makeCopyable(text, "response");
    }
  } catch {
    if (signal.aborted) return;
    const problem = "No response: the service can't be reached, or the connection broke.";
    place.replaceChildren(element("p", problem));
  }
}

/**
 * The status, the time in milliseconds, and what the document says about the status.
 * @param {HTMLFormElement} form
 * @param {Response} response
 * @param {number} time
 */
function statusElements(form, { status, statusText }, time) {
  const code = String(status);
  const declared = declaredStatus(form, code);
  // HTTP/2 has no reason phrase; the document's heading has one.
  const phrase = declared?.textContent ?? `${code} ${statusText}`;
  const title = element("h4", `${phrase}, ${time} ms`);
  title.dataset.status = code;
  const meaning = declared?.nextElementSibling?.textContent;
  return [title, element("p", meaning ?? "The document does not declare this status.")];
}

/**
 * The heading of a response of the operation, or of one that operations share.
 * @param {HTMLFormElement} form
 * @param {string} status
 */
function declaredStatus(form, status) {
  const heading = `[data-status="${status}"]:not(form *)`;
  const own = form.parentElement?.querySelector(heading);
  return own ?? document.querySelector(`#responses ${heading}`);
}

/**
 * The text of a body. Of a long one the beginning, and a link to all of it.
 * @param {Blob} content
 */
async function bodyElements(content) {
  const text = pretty(await content.text());
  if (!text) return [];
  const shown = element("pre", text.slice(0, SHOWN));
  if (text.length <= SHOWN) return [shown];
  const note = element("p", `The first ${SHOWN} of ${text.length} characters. `);
  const link = element("a", "Download");
  link.href = URL.createObjectURL(content);
  link.download = `response.${content.type.split(/\W/)[1]}`;
  note.append(link);
  return [note, shown];
}

/**
 * The request as a command for a POSIX shell. The variable API_KEY holds the key. It goes through a
 * pipe, because everyone on the machine can see a command's arguments.
 * @param {HTMLFormElement} form
 */
function curl(form) {
  const { method, type, header } = form.dataset;
  const parts = [`curl -X ${method}`, quote(addressOf(form))];
  if (header) parts.push("-H @-");
  if (type) parts.push(`-H ${quote(`Content-Type: ${type}`)}`);
  if (form.body) parts.push(`--data-raw ${quote(form.body.value)}`);
  const command = parts.join(" \\\n  ");
  return header ? `printf ${quote(`${header}: %s\\n`)} "$API_KEY" |\n${command}` : command;
}

/** A text as one word of a shell. @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {HTMLFormElement} form */
function requestOf(form) {
  const { method, type, header } = form.dataset;
  const headers = new Headers();
  if (type) headers.set("Content-Type", type);
  if (header && key) headers.set(header, key);
  return { method, headers, body: form.body?.value };
}

/** @param {HTMLFormElement} form */
function addressOf(form) {
  let path = `.${form.dataset.path}`;
  const query = new URLSearchParams();
  /** @type {NodeListOf<HTMLElement>} */
  const fields = form.querySelectorAll("[data-in]");
  for (const field of fields) {
    const { in: place, name = "" } = field.dataset;
    for (const value of valuesOf(field)) {
      if (place === "query") query.append(name, value);
      else path = path.replace(`{${name}}`, encodeURIComponent(value));
    }
  }
  const address = new URL(path, location.href);
  address.search = query.toString();
  return address.href;
}

/**
 * The values of a parameter: each line or option that is not empty. Of a check box that can be left
 * out, only a change.
 * @param {any} field
 * @returns {string[]}
 */
function valuesOf({ type, value, checked, defaultChecked, selectedOptions, dataset }) {
  if (type === "checkbox") {
    const isSent = "required" in dataset || checked !== defaultChecked;
    return isSent ? [String(checked)] : [];
  }
  const options = [...(selectedOptions ?? [])].map((option) => option.value);
  const values = selectedOptions ? options : value.split("\n");
  return values.filter(Boolean);
}

/** JSON with a member on each line; any other text as it is. @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * Puts a button beside a text that copies it.
 * @param {HTMLElement} text
 * @param {string} name
 */
function makeCopyable(text, name) {
  const button = element("button", "Copy");
  button.type = "button";
  button.ariaLabel = `Copy ${name}`;
  const state = element("small", "");
  state.role = "status";
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      state.textContent = "Copied.";
    } catch {
      // A page that came over plain HTTP has no clipboard.
      getSelection()?.selectAllChildren(text);
      state.textContent = "Selected: press Ctrl+C or ⌘C.";
    }
  };
  const figure = element("figure", "");
  text.before(figure);
  figure.append(text, button, state);
}

/** @param {string} name @param {string} text @returns {any} */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
