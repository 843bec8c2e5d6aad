/** The tables of the ledger as one, which sorts and filters. The rows are the page's own: without JavaScript they stay where they are. */

import { element, newId } from "./dom.js";

const MARKS = ["overlap", "file"]; // the headings by which a table of the ledger is known
const FILE = /^(\w+)\/(.+)\.nc$/;

/** What a cell is sorted by: its first number where it has one, else its text. */
export function key(text) {
  const number = text.replaceAll(",", "").replaceAll("−", "-").match(/^-?\d+(\.\d+)?/);
  return number ? Number(number[0]) : text.trim().toLowerCase();
}

/** Numbers before texts, each in its order. */
export function compare(a, b) {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

export class Ledger {
  constructor() {
    const words = (table) => [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    const tables = [...document.querySelectorAll("table")].filter((table) => MARKS.every((mark) => words(table).includes(mark)));
    this.headings = ["table", ...(tables.length ? words(tables[0]) : []).map((text) => text || "what")];
    this.rows = tables.flatMap((table) => this.take(table));
    this.sorted = { column: null, down: false };
    const [search, only] = [newId("search"), newId("overlap")];
    this.search = element("input", { id: search, type: "search", oninput: () => this.filter() });
    this.only = element("select", { id: only, onchange: () => this.filter() }, ...["all", "yes", "no"].map((value) => element("option", { value }, value)));
    this.status = element("p", { class: "hanq-lab-status", role: "status" });
    this.body = element("tbody", {}, ...this.rows);
    this.head = this.headings.map((text, column) => element("th", { scope: "col" }, element("button", { type: "button", onclick: () => this.sort(column) }, text)));
    this.root = element(
      "section",
      { class: "hanq-lab-card hanq-lab-ledger", "aria-label": "The ledger, sorted and filtered" },
      element(
        "div",
        { class: "hanq-lab-buttons" },
        element("span", {}, element("label", { for: search }, "Search"), this.search),
        element("span", {}, element("label", { for: only }, "Intervals overlap"), this.only),
      ),
      this.status,
      element("div", { class: "hanq-lab-scroll", tabindex: 0 }, element("table", { class: "table" }, element("thead", {}, element("tr", {}, ...this.head)), this.body)),
    );
    this.filter();
  }

  /** The rows of one of the page's tables, each with the table's caption in front; the table goes. */
  take(table) {
    const place = table.closest(".pst-scrollable-table-container") ?? table;
    const caption = place.previousElementSibling;
    const title = (caption?.querySelector("strong")?.textContent ?? "").replace(/:.*(, [^,]+)$/, "$1"); // Table 1: ..., Pendulum -> Table 1, Pendulum
    const rows = [...table.querySelectorAll("tbody tr")];
    for (const row of rows) {
      row.prepend(element("td", {}, title));
      this.link(row.lastElementChild);
    }
    place.remove();
    if (title) caption.remove();
    return rows;
  }

  /** From a result's file to its curves on the laboratory's page, where they are shown there. */
  link(cell) {
    const [, folder, name] = cell.textContent.trim().match(FILE) ?? [];
    const result = `${folder}/${name}`;
    if (!globalThis.hanqLabCurves.curves.some((curve) => curve.result === result)) return;
    const address = new URL("laboratory.html", location.href);
    address.hash = new URLSearchParams({ result });
    cell.replaceChildren(element("a", { href: address.href }, ...cell.childNodes));
  }

  sort(column) {
    this.sorted = { column, down: this.sorted.column === column && !this.sorted.down };
    const keys = new Map(this.rows.map((row) => [row, key(row.cells[column].textContent)]));
    this.rows.sort((a, b) => compare(keys.get(a), keys.get(b)) * (this.sorted.down ? -1 : 1));
    this.body.append(...this.rows);
    this.head.forEach((cell, i) => (i === column ? cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending") : cell.removeAttribute("aria-sort")));
  }

  filter() {
    const [words, column] = [this.search.value.toLowerCase().split(/\s+/), this.headings.indexOf("overlap")];
    for (const row of this.rows) {
      const overlaps = this.only.value === "all" || row.cells[column]?.textContent.trim() === this.only.value;
      row.hidden = !overlaps || !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
    this.status.textContent = `${this.rows.filter((row) => !row.hidden).length} of ${this.rows.length} rows.`;
  }
}
