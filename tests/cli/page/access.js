// Runs in the page behind axe: goes where links lead, unfolds everything, and leaves what axe finds where the test reads it.
const moment = () => new Promise((go_on) => setTimeout(go_on, 100));
const failure = document.querySelector(".failure");
const row = document.querySelector(failure.querySelector("a").getAttribute("href"));
const search = document.querySelector(".tools input");
(async () => {
  const arrived = [];
  failure.open = false;
  location.hash = "#" + failure.id;
  await moment();
  arrived.push(failure.open);
  search.value = "nothing has this";
  search.dispatchEvent(new Event("input"));
  arrived.push(row.hidden);
  location.hash = "#" + row.id;
  await moment();
  arrived.push(!row.hidden);
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const section of document.querySelectorAll("main > section")) section.style.contentVisibility = "visible";
  // Older versions take this rule for an experiment.
  const found = await axe.run(document, { rules: { "label-content-name-mismatch": { enabled: true } } });
  const said = found.violations.map((rule) =>
    rule.id + ": " + rule.nodes.map((node) => node.target + " " + node.failureSummary).join("; "));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const lost = Array.from(document.querySelectorAll("a[href^='#']"), (a) => a.getAttribute("href").slice(1))
    .filter((id) => !document.getElementById(id));
  document.body.dataset.seen = JSON.stringify({ dark, rules: found.passes.length, said, lost, arrived });
})();
