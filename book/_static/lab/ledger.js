/** The tables of the ledger as one, which sorts, filters and leads to each result's curves. Without JavaScript the page's own tables stay. */

import { element, newId } from "./dom.js";
import { Result, load } from "./result.js";

const SCORES = ["agreement", "the paper's", "difference"]; // headings by which a table of scores is known
const FILES = ["chosen", "result file"]; // and the table behind it, of settings and files
const FILE = /^(\w+)\/(.+)\.nc$/m;

/** What a cell is sorted by: its first number where it begins with one, else its text. */
export function key(text) {
  const number = text.replaceAll(",", "").replaceAll("−", "-").match(/^[-+]?\d+(\.\d+)?/);
  return number ? Number(number[0]) : text.trim().toLowerCase();
}

/** Numbers before texts, each in its order. */
export function compare(a, b) {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

const words = (node) => node.textContent.trim().replaceAll("’", "'").replace(/\s+/g, " ");
const headings = (table) => [...table.querySelectorAll("thead th")].map(words);
const has = (wanted) => (table) => wanted.every((heading) => headings(table).includes(heading));

/** What stands in a cell, without the paragraph around it. */
const content = (cell) => [...(cell.querySelector("p") ?? cell).childNodes];

/** "Table 1: HANQ and DQN, Pendulum: 7 of 7 overlap" -> "Table 1, Pendulum" */
const shortTitle = (title) => title.replace(/^([^:]+): (?:.*, )?([^,]+): [^:]+$/, "$1, $2");

export class Ledger {
  constructor() {
    const folds = [...document.querySelectorAll("details")].filter((fold) => [...fold.querySelectorAll("table")].some(has(FILES)));
    this.folds = folds.filter((fold) => [...fold.querySelectorAll("table")].some(has(SCORES)));
    if (!this.folds.length) throw new Error(`the page has no <details> with a table of ${SCORES} and one of ${FILES}`);
    this.headings = ["table", ...headings(this.folds[0].querySelector("table")).map((text) => text || "what")];
    this.rows = this.folds.flatMap((fold) => this.take(fold));
    this.sorted = { column: null, down: false };
    const [search, only] = [newId("search"), newId("agreement")];
    const marks = [...new Set(this.rows.map(({ cells }) => words(cells[1])))].sort();
    this.search = element("input", { id: search, type: "search", oninput: () => this.filter() });
    this.only = element("select", { id: only, onchange: () => this.filter() }, ...["all", ...marks].map((value) => element("option", { value }, value)));
    this.status = element("p", { class: "hanq-lab-status", role: "status" });
    this.body = element("tbody", {}, ...this.rows);
    this.head = this.headings.map((text, column) => element("th", { scope: "col" }, element("button", { type: "button", onclick: () => this.sort(column) }, text)));
    const fields = [
      element("span", {}, element("label", { for: search }, "Search"), this.search),
      element("span", {}, element("label", { for: only }, "Agreement"), this.only),
    ];
    const table = element("table", { class: "table" }, element("thead", {}, element("tr", {}, ...this.head)), this.body);
    this.root = element(
      "section",
      { class: "hanq-lab-card hanq-lab-ledger", "aria-label": "The ledger, sorted and filtered" },
      element("div", { class: "hanq-lab-buttons" }, ...fields),
      this.status,
      element("div", { class: "hanq-lab-scroll", tabindex: 0, role: "region", "aria-label": "Scores" }, table),
      this.buildDialog(),
    );
    this.filter();
    addEventListener("hashchange", () => this.open());
    requestAnimationFrame(() => this.open()); // once the page holds it
  }

  /** The rows of one fold: the table's name, the scores and, hidden, settings and files. A row's name leads to its curves. The fold goes. */
  take(fold) {
    const title = words(fold.querySelector("summary"));
    const tables = [...fold.querySelectorAll("table")];
    const [scores, files] = [SCORES, FILES].map((wanted) => tables.find(has(wanted)));
    const more = new Map([...files.querySelectorAll("tbody tr")].map((row) => [words(row.cells[0]), [...row.cells].slice(1)]));
    const rows = [...scores.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const name = row.cells[1];
      const cells = more.get(words(name)) ?? [];
      row.dataset.title = `${title.replace(/: [^:]+$/, "")}: ${words(name)}`;
      cells.forEach((cell, i) => Object.assign(cell, { hidden: true, title: headings(files)[i + 1] }));
      this.link(row, name, cells);
      row.prepend(element("td", {}, shortTitle(title)));
      row.append(...cells);
    }
    fold.remove();
    return rows;
  }

  /** From a row's name to the curves of its result; those of Seaquest stand in its own chapter. */
  link(row, name, cells) {
    const [, folder, file] = cells.map(words).join("\n").match(FILE) ?? [];
    if (!folder) return;
    row.dataset.result = `${folder}/${file}`;
    const href = folder === "seaquest" ? "seaquest.html" : `#${new URLSearchParams({ result: row.dataset.result })}`;
    name.replaceChildren(element("a", { href, title: "Its curves" }, ...content(name)));
  }

  buildDialog() {
    const id = newId("result");
    this.result = new Result();
    this.title = element("p", { class: "hanq-lab-title", id });
    this.about = element("p", { class: "hanq-lab-small" });
    const close = element("button", { type: "button", onclick: () => this.dialog.close() }, "Close");
    const onclose = () => this.named && history.replaceState(null, "", location.pathname + location.search);
    this.dialog = element("dialog", { class: "hanq-lab-card", "aria-labelledby": id, onclose }, this.title, this.result.root, this.about, close);
    return this.dialog;
  }

  /** The result that the address names: #result=table1/Pendulum-HANQ-hyper_lr=0.1. */
  get named() {
    return new URLSearchParams(location.hash.slice(1)).get("result");
  }

  /** Show the curves of the result that the address names, or none. */
  async open() {
    const result = this.named;
    const row = this.rows.find(({ dataset }) => dataset.result === result);
    if (!row) return this.dialog.close();
    this.title.textContent = row.dataset.title;
    const cells = [...row.cells].filter((cell) => cell.hidden && !FILE.test(words(cell)));
    this.about.replaceChildren(...cells.flatMap((cell, i) => [`${i ? "; " : "Setting "}${cell.title}: `, ...content(cell.cloneNode(true))]), ".");
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const { seeds, ...curve } = (await load("Results"))[result];
      this.result.show({ ...curve, result }, seeds, "var(--hanq-lab-accent)");
    } catch (error) {
      this.result.status.textContent = error.message;
    }
  }

  sort(column) {
    this.sorted = { column, down: this.sorted.column === column && !this.sorted.down };
    const keys = new Map(this.rows.map((row) => [row, key(row.cells[column].textContent)]));
    this.rows.sort((a, b) => compare(keys.get(a), keys.get(b)) * (this.sorted.down ? -1 : 1));
    this.body.append(...this.rows);
    this.head.forEach((cell, i) => (i === column ? cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending") : cell.removeAttribute("aria-sort")));
  }

  filter() {
    const wanted = this.search.value.toLowerCase().split(/\s+/);
    for (const row of this.rows) {
      const agrees = this.only.value === "all" || words(row.cells[1]) === this.only.value;
      row.hidden = !agrees || !wanted.every((word) => row.textContent.toLowerCase().includes(word));
    }
    this.status.textContent = `${this.rows.filter((row) => !row.hidden).length} of ${this.rows.length} rows.`;
  }
}
