// Runs in the page, after its own script.
const seen = [];
const table = document.getElementById("tasks");
const column = (name) => Array.from(table.tHead.rows[0].cells).findIndex((c) => c.textContent === name);
const shown = (name) => Array.from(table.tBodies[0].rows, (r) => r).filter((r) => !r.hidden)
  .map((r) => r.cells[column(name)].textContent);
const head = (name) => table.tHead.rows[0].cells[column(name)];
seen.push("ready " + ("ready" in document.documentElement.dataset));
head("Task").querySelector("button").click();
seen.push("sort " + head("Task").getAttribute("aria-sort") + " " + shown("Task"));
head("Task").querySelector("button").click();
seen.push("sort " + head("Task").getAttribute("aria-sort") + " " + shown("Task"));
head("State").querySelector("button").click();
seen.push("only " + document.querySelectorAll("#tasks [aria-sort]").length + " " + shown("State"));
const search = document.querySelector(".tools input");
search.value = "FAILED";
search.dispatchEvent(new Event("input"));
seen.push("found " + shown("State") + "; " + document.querySelector(".tools [role=status]").textContent);
seen.push("labelled " + Array.from(document.querySelectorAll("input,select")).every((f) => f.labels.length === 1));
seen.push("captions " + Array.from(document.querySelectorAll("table")).every((t) => t.caption.textContent));
seen.push("pictures " + Array.from(document.querySelectorAll("svg")).every(
  (s) => s.getAttribute("aria-hidden") || s.getAttribute("aria-label")));
const ids = Array.from(document.querySelectorAll("[id]"), (e) => e.id);
seen.push("ids " + (new Set(ids).size === ids.length));
seen.push("wide " + (document.documentElement.scrollWidth <= innerWidth));
seen.push("hostile " + document.querySelectorAll("img,main script").length);
seen.push("errors " + errors.join("|"));
document.body.dataset.seen = "[" + seen.join("]\n[") + "]";
