// The access page follows its sync: it is loaded again when there is something new to see.
"use strict";
(() => {
  const here = document.currentScript.dataset;
  const source = new EventSource(here.events);
  source.addEventListener("stage", (event) => {
    if (event.data === here.stage) return;
    source.close();
    location.reload();
  });
})();
