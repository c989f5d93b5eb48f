// What works without this works as well with it, only slower. Nothing here is needed.
"use strict";
const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// "/" opens the palette; arrows walk through it; typing narrows it.
const palette = $("#palette");
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && palette) {
    event.preventDefault();
    palette.showPopover();
    ($("input", palette) || $("a", palette))?.focus();
  }
});
palette?.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const stops = [$("input", palette), ...all("a", palette)].filter((stop) => stop && !stop.closest("[hidden]"));
  const at = stops.indexOf(document.activeElement);
  stops[(at + (event.key === "ArrowDown" ? 1 : stops.length - 1)) % stops.length]?.focus();
});
$("input", palette || document.createElement("p"))?.addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const item of all("li", palette)) item.hidden = !item.textContent.toLowerCase().includes(wanted);
});

// A choice that is kept at once.
for (const group of all("[data-submits]")) {
  group.addEventListener("change", () => {
    const form = group.closest("form");
    fetch(form.action, { method: "post", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
  });
}

// Explanations in place: an opened row takes over what its link leads to.
const part = async (address, selector) => {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(selector);
};
document.addEventListener("toggle", async (event) => {
  const link = event.target.open && event.target.querySelector?.("a[data-inline]");
  if (!link) return;
  const found = await part(link.href, "#explanation").catch(() => null);
  if (found) { found.removeAttribute("id"); link.replaceWith(found); }
}, true);

// Live pages: each event of the run fetches the page again, at most twice in a second, and swaps what has changed.
const live = $("[data-live]");
if (live && window.EventSource) {
  for (const hint of all("[data-without-live]")) hint.hidden = true;
  const events = new EventSource(live.dataset.live);
  let due = 0;
  const refresh = () => {
    if (due) return;
    due = setTimeout(async () => {
      due = 0;
      const fresh = await part(location.href, "[data-live], [data-over]").catch(() => null);
      if (!fresh) return;
      if (fresh.matches("[data-over]")) { events.close(); location.reload(); return; }
      const opened = new Set(all("details[open][id]", live).map((details) => details.id));
      live.replaceChildren(...fresh.childNodes);
      for (const hint of all("[data-without-live]")) hint.hidden = true;
      for (const details of all("details[id]", live)) details.open = opened.has(details.id);
      const title = $("h1", live);
      if (title) document.title = `${title.textContent} · Entrain`;
    }, 500);
  };
  for (const name of ["began", "phase", "directory_read", "site_read", "planned", "step", "waiting", "ended"]) {
    events.addEventListener(name, refresh);
  }
  events.onerror = refresh;
}

// Entries are tried after a pause in typing; of what comes back only the outcome is taken.
for (const form of all("form[data-tries]")) {
  let due = 0, asked = 0;
  form.addEventListener("input", () => {
    clearTimeout(due);
    due = setTimeout(async () => {
      const body = new URLSearchParams(new FormData(form));
      body.set("do", "try");
      const mine = ++asked;
      const answer = await fetch(form.action, { method: "post", body, redirect: "manual" }).catch(() => null);
      if (!answer || mine !== asked || !(answer.ok || answer.status === 422)) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#tried");
      if (found && mine === asked) $("#tried", form)?.replaceChildren(...found.childNodes);
    }, 600);
  });
}

// Where something went wrong, begin there.
$("#error")?.focus();

// What takes a while says so.
document.addEventListener("submit", (event) => {
  const button = $("button[data-busy]", event.target);
  if (button) { button.textContent = button.dataset.busy; button.setAttribute("aria-disabled", "true"); }
});

// A page that waits for something looks again, unless somebody is typing.
const again = $("[data-again]");
if (again) {
  setInterval(() => {
    if (!document.activeElement?.closest("input, textarea, select")) location.reload();
  }, again.dataset.again * 1000);
}
