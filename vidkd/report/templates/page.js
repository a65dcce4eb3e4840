"use strict";
// A number is sorted as one, and what is empty stays last.
function order(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = !isNaN(a) && !isNaN(b);
  return sign * (numbers ? a - b : a.localeCompare(b, "en"));
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
    for (const other of head.parentElement.children) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const value = row => row.children[head.cellIndex].dataset.value;
    const rows = [...body.rows].sort((a, b) => order(value(a), value(b), sign));
    body.append(...rows);
  });
}
