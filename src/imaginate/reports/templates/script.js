(function () {
  "use strict";
  function valueOf(row, index) {
    var cell = row.cells[index];
    if (!cell) return null;
    var raw = cell.getAttribute("data-value");
    if (raw !== null) {
      var n = parseFloat(raw);
      return isNaN(n) ? null : n;
    }
    if (cell.className === "num") {
      var shown = parseFloat(cell.textContent.replace(/[\s,]/g, "").replace("\u2212", "-"));
      return isNaN(shown) ? null : shown;
    }
    return cell.textContent.trim().toLowerCase();
  }
  function sortBy(table, head, index) {
    var now = head.getAttribute("aria-sort");
    var next = now === "descending" ? "ascending" : now === "ascending" ? "descending" : head.getAttribute("data-first");
    var sign = next === "ascending" ? 1 : -1;
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows).map(function (row, i) {
      return { row: row, i: i, value: valueOf(row, index) };
    });
    rows.sort(function (a, b) {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.i - b.i;
      if (a.value < b.value) return -sign;
      if (a.value > b.value) return sign;
      return a.i - b.i;
    });
    rows.forEach(function (item) { body.appendChild(item.row); });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) { cell.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", next);
  }
  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, index) {
      head.querySelector("button").addEventListener("click", function () { sortBy(table, head, index); });
    });
  });
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.prototype.filter.call(document.querySelectorAll("details"), function (d) { return !d.open; });
    opened.forEach(function (d) { d.open = true; });
  });
  window.addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
})();
