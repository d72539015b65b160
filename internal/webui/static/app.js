// Keeps pages fresh and smooths forms. Every page works without it.

const show = {
  clock: (d) => d.toLocaleTimeString([], { hour: "numeric", minute: "2-digit", second: "2-digit" }),
  moment: (d) => d.toLocaleString([], { day: "numeric", month: "short", year: "numeric", hour: "numeric", minute: "2-digit" }),
};

// localize turns the server's UTC times into the reader's.
function localize(root) {
  for (const t of root.querySelectorAll("time[data-show]")) {
    const d = new Date(t.dateTime);
    if (!isNaN(d)) t.textContent = show[t.dataset.show](d);
  }
}

// The first change of these is the reader's; the server's next word must not undo it.
const readersOwn = new Set(["open", "data-sent", "aria-busy"]);

// sync makes one tree equal to another with as few changes as it can, so that focus, selection and transitions survive.
function sync(have, want) {
  if (have.nodeType !== want.nodeType || have.nodeName !== want.nodeName) {
    have.replaceWith(want.cloneNode(true));
    return;
  }
  if (have.nodeType !== Node.ELEMENT_NODE) {
    if (have.data !== want.data) have.data = want.data;
    return;
  }
  for (const a of [...have.attributes]) {
    if (!want.hasAttribute(a.name) && !readersOwn.has(a.name)) have.removeAttribute(a.name);
  }
  for (const a of want.attributes) {
    if (have.getAttribute(a.name) !== a.value) have.setAttribute(a.name, a.value);
  }
  if (have.nodeName === "TEXTAREA") return; // what is typed there is the reader's
  const children = [...have.childNodes];
  const wanted = [...want.childNodes];
  wanted.forEach((w, i) => (i < children.length ? sync(children[i], w) : have.append(w.cloneNode(true))));
  children.slice(wanted.length).forEach((c) => c.remove());
}

function parse(html) {
  const t = document.createElement("template");
  t.innerHTML = html.trim();
  localize(t.content);
  return t.content.firstElementChild;
}

// follow keeps an element equal to what the hub says, through lost connections and restarts.
function follow(live) {
  const light = document.querySelector("[data-online]");
  const voice = document.querySelector("[data-announce]");
  const reason = document.querySelector("[data-why]"); // why the place went back, until it changes again
  let source, timer, wait = 1000, said = live.firstElementChild?.dataset.say;

  const tell = (on) => {
    if (!light) return;
    light.hidden = false;
    light.classList.toggle("off", !on);
    light.querySelector("[data-online-text]").textContent = on ? "Live" : "Connecting…";
  };
  const stop = () => {
    clearTimeout(timer);
    source?.close();
    if (light) light.hidden = true;
  };
  const apply = (event) => {
    const news = JSON.parse(event.data);
    wait = 1000;
    if (news.pause) {
      stop();
      const p = document.querySelector("[data-paused]");
      if (p) p.hidden = false;
      return;
    }
    const next = parse(news.html);
    sync(live.firstElementChild, next);
    if (next.dataset.title) document.title = next.dataset.title;
    if (next.dataset.say && next.dataset.say !== said) {
      said = next.dataset.say;
      if (voice) voice.textContent = [said, news.why].filter(Boolean).join(" ");
      if (reason) {
        reason.hidden = !news.why;
        reason.querySelector("p").textContent = news.why ?? "";
      }
    }
    if (news.last) stop();
  };
  const open = () => {
    source = new EventSource(live.dataset.feed);
    source.onopen = () => tell(true);
    source.addEventListener("fragment", apply);
    source.onerror = () => {
      tell(false);
      if (source.readyState === EventSource.CLOSED) again(); // else the browser comes back by itself
    };
  };
  // The browser gives up after an answer that is no stream. A refusal of this reader is final: the page itself says what to do. The rest passes.
  const again = () => {
    timer = setTimeout(async () => {
      wait = Math.min(wait * 2, 30000);
      const answer = await fetch(live.dataset.feed, { method: "HEAD" }).catch(() => null);
      if (answer && (answer.status === 401 || answer.status === 404)) return location.reload();
      open();
    }, wait * (0.75 + Math.random() / 2));
  };
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
}

// once keeps a second click from sending a form again.
// It listens at the top, since forms within what is kept fresh come and go.
function once(e) {
  const form = e.target;
  if (!("once" in form.dataset)) return;
  if (form.dataset.sent) return e.preventDefault();
  form.dataset.sent = "1";
  const b = form.querySelector("button:not([type=button])");
  b?.setAttribute("aria-busy", "true");
  if (b?.dataset.busy) b.textContent = b.dataset.busy;
}

// aside sends a form and shows the answer beside it, so that what was typed stays.
async function aside(e) {
  const b = e.submitter;
  if (!b || !("aside" in b.dataset)) return;
  e.preventDefault();
  e.stopImmediatePropagation();
  if (b.ariaBusy === "true") return;
  b.ariaBusy = "true";
  const answer = await fetch(b.formAction, {
    method: "POST", headers: { "X-Part": "trial", Accept: "text/html" }, body: new URLSearchParams(new FormData(e.target)),
  }).catch(() => null);
  b.ariaBusy = "false";
  if (answer?.headers.get("X-Part") !== "trial") return location.reload(); // logged out, or the hub is gone: the page says which
  document.getElementById(b.dataset.aside).replaceChildren(parse(await answer.text()));
}

// copying shows the buttons that need a script.
function copying(button) {
  button.hidden = false;
  const label = button.querySelector("span");
  const before = label.textContent;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      label.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (label.textContent = before), 2000);
  });
}

localize(document);
document.addEventListener("submit", aside);
document.addEventListener("submit", once);
addEventListener("pageshow", (e) => { // back from the next page: the form may be sent again
  if (e.persisted) for (const f of document.querySelectorAll("form[data-sent]")) delete f.dataset.sent;
});
document.querySelectorAll("[data-copy]").forEach(copying);
document.querySelector("[data-focus]")?.focus();
if (document.querySelector("[data-flash]")) { // a reload shall not say it again
  const u = new URL(location);
  u.searchParams.delete("done");
  history.replaceState(null, "", u);
}
const live = document.getElementById("live");
if (live && !("final" in live.dataset)) follow(live);
