"use strict";
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const text = (row, column) => row.cells[column].textContent;
  const value = (row, column) => {
    const cell = row.cells[column];
    const own = cell.dataset.v ?? cell.textContent;
    return own === "" ? null : Number(own);
  };
  function sort(table, head, column, kind) {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const of = kind === "number" ? value : text;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [of(row, column), row]);
    const order = kind === "number" ? (a, b) => a - b : collator.compare;
    rows.sort(([a], [b]) => {
      // What has no value is last either way.
      if (a === null || b === null) return (a === null) - (b === null);
      return up ? order(a, b) : order(b, a);
    });
    // Out of the page while it changes, so that the browser lays it out once.
    const place = document.createComment("");
    body.replaceWith(place);
    body.append(...rows.map(([, row]) => row));
    place.replaceWith(body);
  }
  for (const table of document.querySelectorAll("table")) {
    const heads = table.tHead.rows[0].cells;
    for (let column = 0; column < heads.length; column++) {
      const head = heads[column];
      const kind = head.dataset.sort;
      if (!kind || table.tBodies[0].rows.length < 2) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(table, head, column, kind));
      head.replaceChildren(button);
    }
  }
  function select(table, column, name) {
    const words = new Set(Array.from(table.tBodies[0].rows, (row) => text(row, column)));
    const field = document.createElement("select");
    field.append(new Option("all", ""));
    for (const word of Array.from(words).sort(collator.compare)) field.append(new Option(word, word));
    return { name, column, field };
  }
  for (const table of document.querySelectorAll("table[data-filter]")) {
    const rows = Array.from(table.tBodies[0].rows);
    if (rows.length < 2) continue;
    const search = document.createElement("input");
    search.type = "search";
    search.autocomplete = "off";
    const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
    const fields = ["Step", "State"].map((name) => select(table, names.indexOf(name), name));
    const status = document.createElement("span");
    status.setAttribute("role", "status");
    const tools = document.createElement("div");
    tools.className = "tools";
    for (const { name, field } of [{ name: "Search", field: search }, ...fields]) {
      const label = document.createElement("label");
      label.append(name + " ", field);
      tools.append(label);
      field.addEventListener("input", filter);
    }
    tools.append(status);
    table.parentNode.before(tools);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    function filter() {
      const wanted = search.value.toLowerCase();
      let shown = 0;
      rows.forEach((row, at) => {
        const fits = texts[at].includes(wanted) &&
          fields.every(({ column, field }) => !field.value || text(row, column) === field.value);
        row.hidden = !fits;
        shown += fits;
      });
      status.textContent = shown + " of " + rows.length + " rows";
    }
    filter();
  }
  // Where a link leads to is to be seen: of a row of a table, and in what is folded.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target.hidden) {
      const tools = target.closest(".scroll").previousElementSibling;
      for (const field of tools.querySelectorAll("input, select")) field.value = "";
      tools.querySelector("input").dispatchEvent(new Event("input"));
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  document.documentElement.dataset.ready = "";
})();
