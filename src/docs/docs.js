// Shows the page's forms and makes them work; the reference needs none of this.

/** The most characters of an answer's body that are shown. */
const SHOWN = 20000;

/** The key is kept here and nowhere else. */
let key = "";

for (const form of document.forms) {
  if (form.dataset.path) setUpOperation(form);
  else setUpKey(form);
  form.hidden = false;
}

/** @param {HTMLFormElement} form */
function setUpKey(form) {
  const [field] = form.querySelectorAll("input");
  const [, forget] = form.querySelectorAll("button");
  const [state] = form.querySelectorAll("[role=status]");
  form.onsubmit = () => {
    const value = field.value.trim();
    field.value = "";
    if (/^[!-~]+$/.test(value)) {
      key = value;
      state.textContent = "Authorized, until you forget the key or leave this page.";
    } else {
      state.textContent = value ? "A key has visible ASCII characters only." : "Enter a key first.";
    }
    return false;
  };
  forget.onclick = () => {
    key = field.value = "";
    state.textContent = "Not authorized. The key is forgotten.";
    field.focus();
  };
}

/** @param {HTMLFormElement} form */
function setUpOperation(form) {
  const [, copy] = form.querySelectorAll("button");
  const [command] = form.querySelectorAll("pre");
  const [state] = form.querySelectorAll("[role=status]");
  const showCommand = () => (command.textContent = curl(form));
  showCommand();
  form.oninput = showCommand;
  let sending = new AbortController();
  form.onsubmit = () => {
    sending.abort();
    sending = new AbortController();
    send(form, sending.signal);
    return false;
  };
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      state.textContent = "Copied.";
    } catch {
      // A page that came over plain HTTP has no clipboard.
      getSelection()?.selectAllChildren(command);
      state.textContent = "Selected. Copy it with Ctrl+C or ⌘C.";
    }
  };
}

/**
 * Sends the request and shows its answer, unless it is aborted.
 * @param {HTMLFormElement} form
 * @param {AbortSignal} signal
 */
async function send(form, signal) {
  const { method, type, header } = form.dataset;
  const headers = new Headers();
  if (type) headers.set("Content-Type", type);
  if (header && key) headers.set(header, key);
  const [answer] = form.querySelectorAll("[aria-live]");
  for (const link of answer.querySelectorAll("a")) URL.revokeObjectURL(link.href);
  answer.replaceChildren(element("p", "Sending…"));
  const start = performance.now();
  try {
    const response = await fetch(addressOf(form), { method, headers, body: bodyOf(form), signal });
    const content = await response.blob();
    const time = Math.round(performance.now() - start);
    const body = await excerpt(content);
    if (signal.aborted) return;
    const lines = [...response.headers].map((field) => field.join(": "));
    const fields = [element("h4", "Headers"), element("pre", lines.join("\n"))];
    answer.replaceChildren(...outcome(form, response, time), ...body, ...fields);
  } catch {
    if (signal.aborted) return;
    answer.replaceChildren(
      element("p", "No answer: the service can't be reached, or the connection broke."),
    );
  }
}

/**
 * The status, the time it took in milliseconds, and what the document says about it.
 * @param {HTMLFormElement} form
 * @param {Response} response
 * @param {number} time
 */
function outcome(form, { status, statusText }, time) {
  const { parentElement: section } = form;
  /** @param {string} name */
  const find = (name) => section?.querySelector(`div > div > [data-status="${name}"]`);
  const code = String(status);
  const exact = find(code);
  const declared = exact ?? find(`${code[0]}XX`) ?? find("default");
  // Over HTTP/2 no reason phrase comes; the document's heading has one.
  const title = element("h4", `${exact?.textContent ?? `${status} ${statusText}`}, ${time} ms`);
  title.dataset.status = code;
  const meaning =
    declared?.nextElementSibling?.textContent ?? "The document does not declare this status.";
  return [title, element("p", meaning)];
}

/** A body's text; of a long one the beginning, and a link to the whole. @param {Blob} content */
async function excerpt(content) {
  const text = pretty(await content.text());
  const shown = element("pre", text.slice(0, SHOWN));
  shown.tabIndex = 0;
  if (text.length <= SHOWN) return [shown];
  const note = element("p", `The first ${SHOWN} of ${text.length} characters. `);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = "answer.json";
  link.textContent = "Download";
  note.append(link);
  return [note, shown];
}

/** The request as a command for a POSIX shell, where API_KEY holds the key. @param {HTMLFormElement} form */
function curl(form) {
  const { method, type, header } = form.dataset;
  const body = bodyOf(form);
  const parts = [`curl -X ${method}`, quote(addressOf(form))];
  if (type) parts.push(`-H ${quote(`Content-Type: ${type}`)}`);
  if (header) parts.push(`-H "${header}: $API_KEY"`);
  if (body !== undefined) parts.push(`--data-raw ${quote(body)}`);
  return parts.join(" \\\n  ");
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {HTMLFormElement} form */
function bodyOf(form) {
  return form.querySelector("textarea")?.value;
}

/** @param {HTMLFormElement} form */
function addressOf(form) {
  return new URL(`.${form.dataset.path}`, location.href).href;
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} name @param {string} text */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
