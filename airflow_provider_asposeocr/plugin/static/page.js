"use strict";
// Boxes and text that belong together bear the same data-mark: what is pointed at on one side lights up on the other.
(() => {
  // Light or dark as Airflow around the frame is, which may differ from the system.
  try {
    const around = window.parent === window ? null : window.parent.document.documentElement;
    const follow = () => {
      const theme = ["dark", "light"].find((each) => around.classList.contains(each));
      if (theme) document.documentElement.dataset.theme = theme;
    };
    if (around) {
      follow();
      new MutationObserver(follow).observe(around, { attributeFilter: ["class"] });
    }
  } catch {
    // Framed by another origin: the system decides.
  }

  const marked = new Map();
  for (const element of document.querySelectorAll("[data-mark]")) {
    const name = element.dataset.mark;
    marked.set(name, [...(marked.get(name) ?? []), element]);
  }

  let lit = [];
  const light = (target) => {
    lit.forEach((element) => element.classList.remove("lit"));
    // A word, and the region that it is in.
    const names = [];
    for (let at = target?.closest?.("[data-mark]"); at; at = at.parentElement?.closest("[data-mark]")) {
      names.push(at.dataset.mark, at.dataset.mark.split(".")[0]);
    }
    lit = [...new Set(names)].flatMap((name) => marked.get(name) ?? []);
    lit.forEach((element) => element.classList.add("lit"));
  };
  document.addEventListener("pointerover", (event) => light(event.target));
  document.addEventListener("focusin", (event) => light(event.target));

  // A click, or Enter, brings the other side into view.
  const bring = (event) => {
    const at = event.target.closest?.("[data-mark]");
    if (!at || (event.key && event.key !== "Enter")) return;
    const isBox = at.ownerSVGElement != null;
    const other = marked.get(at.dataset.mark).find((element) => (element.ownerSVGElement != null) !== isBox);
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    other?.scrollIntoView({ block: "center", behavior });
  };
  document.addEventListener("click", bring);
  document.addEventListener("keydown", bring);

  // Below Airflow 3.3 the frame may not save files: the page around it saves them.
  const rights = window.frameElement?.sandbox;
  if (rights?.length && !rights.contains("allow-downloads")) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[download]");
      if (!link) return;
      event.preventDefault();
      const outside = window.parent.document.createElement("a");
      outside.href = link.href;
      outside.download = "";
      outside.click();
    });
  }

  for (const box of document.querySelectorAll("[data-shows]")) {
    const show = () => document.body.classList.toggle("with-" + box.dataset.shows, box.checked);
    box.addEventListener("change", show);
    show();
  }

  for (const select of document.querySelectorAll("form.filter select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  for (const image of document.querySelectorAll(".sheet > img")) {
    const failed = () => {
      image.hidden = true;
      image.nextElementSibling.hidden = false;
    };
    image.addEventListener("error", failed);
    if (image.complete && image.naturalWidth === 0) failed();
  }
})();
