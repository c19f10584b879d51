"use strict";
(() => {
  const make = (name, properties, parent) => {
    const element = Object.assign(document.createElement(name), properties);
    if (parent) parent.append(element);
    return element;
  };

  for (const holder of document.querySelectorAll(".table")) {
    const size = Number(holder.dataset.pageSize);
    const body = holder.querySelector("tbody");
    const heads = [...holder.querySelectorAll("th")];
    let rows = [...body.rows];
    let page = 0;
    let words = "";
    let count = null, back = null, forth = null;

    const show = () => {
      const found = rows.filter((row) => !words || row.textContent.toLowerCase().includes(words));
      const pages = Math.max(1, Math.ceil(found.length / size));
      page = Math.min(Math.max(page, 0), pages - 1);
      for (const row of rows) row.classList.add("away");
      for (const row of found.slice(page * size, (page + 1) * size)) row.classList.remove("away");
      if (!count) return;
      const first = found.length ? page * size + 1 : 0;
      count.textContent = `${first}–${Math.min((page + 1) * size, found.length)} of ${found.length}`;
      back.disabled = page === 0;
      forth.disabled = page >= pages - 1;
    };

    if (rows.length > size) {
      const tools = make("div", { className: "tools" });
      const search = make("input", { type: "search", placeholder: "Search the rows" }, tools);
      search.setAttribute("aria-label", "Search the rows");
      const pager = make("div", { className: "pager" }, tools);
      back = make("button", { type: "button", textContent: "‹ Back" }, pager);
      count = make("span", {}, pager);
      forth = make("button", { type: "button", textContent: "Next ›" }, pager);
      holder.prepend(tools);
      search.addEventListener("input", () => { words = search.value.trim().toLowerCase(); page = 0; show(); });
      back.addEventListener("click", () => { page -= 1; show(); });
      forth.addEventListener("click", () => { page += 1; show(); });
    }

    if (rows.length > 1) holder.classList.add("sorts");
    const key = (row, column) => {
      const cell = row.cells[column];
      const value = cell.dataset.sort ?? cell.textContent.trim();
      return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
    };
    const compare = (a, b) => {
      if (typeof a === "number" && typeof b === "number") return a - b;
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return a.localeCompare(b, "en", { numeric: true });
    };
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows = rows.map((row) => [key(row, column), row])
        .sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]))
        .map((pair) => pair[1]);
      body.append(...rows);
      page = 0;
      show();
    }));
    show();
  }

  const sideways = [...document.querySelectorAll(".scroll, .pan")];
  const hint = (holder) => {
    holder.classList.toggle("more", holder.scrollLeft + holder.clientWidth < holder.scrollWidth - 4);
  };
  for (const holder of sideways) holder.addEventListener("scroll", () => hint(holder), { passive: true });
  const hintAll = () => sideways.forEach(hint);
  addEventListener("resize", hintAll);
  addEventListener("load", hintAll);

  const folds = [...document.querySelectorAll("details.fold")];
  for (const fold of folds) fold.addEventListener("toggle", hintAll);
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = folds.filter((fold) => !fold.open && !fold.classList.contains("long"));
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

  const box = document.getElementById("lightbox");
  const image = box.querySelector("img");
  const caption = box.querySelector("figcaption");
  const figures = [...document.querySelectorAll("main figure.picture, main .thumb figure")];
  let place = 0;
  const open = (number) => {
    place = (number + figures.length) % figures.length;
    const figure = figures[place];
    const from = figure.querySelector("img");
    image.src = from.src;
    image.alt = from.alt;
    image.parentElement.className = figure.classList.contains("chart") ? "stage chart" : "stage";
    image.style.width = "";
    const title = figure.querySelector("h3");
    caption.textContent = `${title ? `${title.textContent}. ` : ""}${figure.querySelector("figcaption").textContent}`;
    if (!box.open) box.showModal();
    look(image.naturalWidth > 1.5 * image.parentElement.clientWidth);
  };
  const look = (near) => {
    const stage = image.parentElement;
    stage.classList.toggle("near", near);
    image.style.width = near ? `${Math.max(image.naturalWidth, 2 * stage.clientWidth)}px` : "";
    if (near) stage.scrollTo((stage.scrollWidth - stage.clientWidth) / 2, (stage.scrollHeight - stage.clientHeight) / 2);
  };
  image.addEventListener("click", () => look(!image.parentElement.classList.contains("near")));
  figures.forEach((figure, number) => figure.querySelector(".enlarge").addEventListener("click", () => open(number)));
  box.querySelector(".back").addEventListener("click", () => open(place - 1));
  box.querySelector(".forth").addEventListener("click", () => open(place + 1));
  box.addEventListener("click", (event) => { if (!event.target.closest("button.step, img")) box.close(); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") open(place - 1);
    if (event.key === "ArrowRight") open(place + 1);
  });

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.getAttribute("href").slice(1), link]));
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.classList.remove("here");
        links.get(entry.target.id)?.classList.add("here");
      }
    }, { rootMargin: "-10% 0px -75% 0px" });
    for (const part of document.querySelectorAll("section.part")) watch.observe(part);
  }
})();
