"use strict";
/* Sorts and filters the table of runs, opens cards that are linked to, and opens all on demand. The
 * page is complete without it. */
(() => {
  const of = (id) => document.getElementById(id);
  const body = of("runs").tBodies[0];
  const heads = [...of("runs").tHead.rows[0].cells];
  const rows = [...body.rows];

  /** Text of a column; null in a row that has no such cell. */
  const text = (row, column) => row.cells[column]?.textContent.trim() ?? null;

  /** Rows by a column: numbers as numbers, and what has none at the end in either direction. */
  function sort(column, direction) {
    const numeric = heads[column].classList.contains("number");
    const key = (row) => {
      const own = row.dataset.run ? text(row, column) : null;
      const value = numeric && own !== null ? parseFloat(own.replace("\u2212", "-")) : own;
      return Number.isNaN(value) ? null : value;
    };
    const order = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, {numeric: true}));
    const keyed = rows.map((row, i) => [key(row), i, row]);
    keyed.sort(([a, i], [b, j]) =>
      (a === null) - (b === null) || (a !== null && direction * order(a, b)) || i - j);
    body.append(...keyed.map(([, , row]) => row));
    heads.forEach((head, i) => head.setAttribute("aria-sort",
      i === column ? (direction > 0 ? "ascending" : "descending") : "none"));
    of("sort").value = `${column} ${direction}`;
  }

  heads.forEach((head, column) => {
    const name = head.textContent.trim().replaceAll("_", " ");
    const numeric = head.classList.contains("number");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Sort by ${name}`);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = numeric ? -1 : 1;
      sort(column, now === "none" || !now ? first : now === "ascending" ? -1 : 1);
    });
    head.append(" ", button);
    for (const direction of [1, -1]) {
      const told = direction > 0 ? "up" : "down";
      of("sort").append(new Option(`${name}, ${told}`, `${column} ${direction}`));
    }
  });
  of("sort").value = "";
  of("sort").addEventListener("change", (event) => sort(...event.target.value.split(" ").map(Number)));

  /** Keep the rows that have all the words, and the cards and contents of these runs. */
  function filter() {
    const words = of("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = new Set();
    let shown = 0;
    for (const row of rows) {
      const told = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => told.includes(word));
      if (row.hidden) continue;
      shown++;
      kept.add(row.dataset.run);
    }
    for (const each of document.querySelectorAll("article[data-run], li[data-run]")) {
      each.hidden = !kept.has(each.dataset.run);
    }
    of("shown").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  }
  of("filter").addEventListener("input", filter);
  of("controls").hidden = false;

  const cards = [...document.querySelectorAll("article > details")];
  const all = document.createElement("button");
  all.type = "button";
  const isOpen = () => cards.every((card) => card.open);
  const name = () => (all.textContent = isOpen() ? "Close all runs" : "Open all runs");
  all.addEventListener("click", () => {
    const open = !isOpen();
    for (const card of cards) card.open = open;
    name();
  });
  for (const card of cards) card.addEventListener("toggle", name);
  if (cards.length > 1) {
    name();
    of("cards").append(" ", all);
  }

  /** Open what encloses the place that a link leads to. */
  function open() {
    const place = location.hash && of(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    place.scrollIntoView();
  }
  addEventListener("hashchange", open);
  const narrow = matchMedia("(max-width: 75rem)");
  if (narrow.matches) document.querySelector(".contents details").open = false;
  open();
})();
