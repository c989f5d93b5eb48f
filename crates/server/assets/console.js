// What works without this works as well with it, only slower. Nothing here is needed.
"use strict";
const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// "/" opens the palette; arrows walk through it; typing narrows it. "g" and a letter go to a place, "?" lists the keys.
const palette = $("#palette");
let going = 0;
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (target.closest("input, textarea, select, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "/" && palette) {
    event.preventDefault();
    palette.showPopover();
    ($("input", palette) || $("a", palette))?.focus();
  } else if (key === "?") $("#keys")?.togglePopover();
  else if (event.timeStamp < going) {
    going = 0;
    all("a[data-key]").find((place) => place.dataset.key === key)?.click();
  } else going = key === "g" ? event.timeStamp + 1500 : 0;
});
// The palette's field is a combobox over what it offers: arrows choose, Enter goes there, Escape closes.
const field = palette && $("input", palette);
const offers = palette && $("[data-offers]", palette);
const options = () => all("a", offers).filter((option) => !option.closest("[hidden]"));
const choose = (chosen) => {
  for (const option of all("a", offers)) option.setAttribute("aria-selected", option === chosen);
  if (chosen) { field.setAttribute("aria-activedescendant", chosen.id); chosen.scrollIntoView({ block: "nearest" }); }
  else field.removeAttribute("aria-activedescendant");
};
const dress = () => {
  all("a", offers).forEach((option, n) => { option.id = `offer-${n}`; option.role = "option"; option.tabIndex = -1; });
  for (const plain of all("ul, li, h2, section, div", offers)) plain.role = "presentation";
  for (const section of all("section", offers)) section.removeAttribute("aria-label");
  choose(null);
};
if (field) {
  offers.id = "offers";
  offers.role = "listbox";
  offers.setAttribute("aria-label", "Results");
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "true"], ["aria-controls", "offers"], ["aria-autocomplete", "list"]]) {
    field.setAttribute(name, value);
  }
  dress();
  field.addEventListener("keydown", (event) => {
    const stops = options();
    const at = stops.findIndex((option) => option.ariaSelected === "true");
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? stops.length - 1 : at - 1 }[event.key];
    if (to !== undefined && stops.length) {
      event.preventDefault();
      choose(stops[(to + stops.length) % stops.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      stops[at].click();
    } else if (event.key === "Escape") palette.hidePopover();
  });
  let due = 0;
  field.addEventListener("input", () => {
    const wanted = field.value.trim();
    for (const item of all("[data-found] ~ ul li", offers)) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted.toLowerCase());
    }
    choose(null);
    clearTimeout(due);
    due = setTimeout(async () => {
      const found = wanted && await part(`/search?q=${encodeURIComponent(wanted)}`, "#results").catch(() => null);
      // Somebody has typed on
      if (field.value.trim() !== wanted) return;
      for (const doubled of all("section[aria-label=Pages], .empty", found || document.createElement("p"))) doubled.remove();
      $("[data-found]", offers).replaceChildren(...(found ? found.children : []));
      dress();
      const n = options().length;
      $("[data-count]", palette).textContent = n ? `${n} found` : "Nothing found";
    }, 150);
  });
}

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
  for (const name of ["began", "phase", "directory_read", "site_read", "site_asked", "planned", "step", "waiting", "ended"]) {
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

// A button says how many boxes are ticked, here and on other pages; a ticked section covers its rows.
const ticks = $("[data-ticks]");
if (ticks) {
  const [plain, counted] = [ticks.textContent, ticks.dataset.ticks];
  const say = () => {
    let n = Number(ticks.dataset.elsewhere);
    for (const box of all("input[form=part]:checked")) {
      const whole = box.name !== "section" && $("[name=section]", box.closest("section"))?.checked;
      if (!whole) n += 1;
    }
    ticks.textContent = n ? counted.replace("{}", n) : plain;
  };
  document.addEventListener("change", say);
  say();
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
