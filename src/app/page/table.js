// A table that stays usable with many rows: it can be sorted and searched, and shows some at first.

const ROWS_AT_FIRST = matchMedia("(max-width: 760px)").matches ? 10 : 25;
const ROWS_MORE = 100;
const SEARCH_FROM = 8;  // Rows.
const NATURAL = new Intl.Collator("en", { numeric: true });  // b2 before b10.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Missing numbers come last, whichever way it is sorted.
function compare(a, b, ascending) {
  const missing = (value) => value === null || value === undefined;
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  const order = typeof a === "string" ? NATURAL.compare(a, b) : a - b;
  return ascending ? order : -order;
}

// `columns`: {label, key, text(value, row), kind: "name", "word" or none, look(value, row), hide(rows)}.
export class Table {
  #columns;
  #rows = [];
  #key;
  #ascending;
  #search = "";
  #limit = ROWS_AT_FIRST;
  #head = element("tr");
  #body = element("tbody");
  #tools = element("div", { class: "tools" });
  #count = element("span", { class: "quiet" });
  #more = element("button", { class: "more", type: "button" }, "Show more");

  constructor(place, label, columns, key, ascending = false) {
    [this.#columns, this.#key, this.#ascending] = [columns, key, ascending];
    const search = element("input", { type: "search", placeholder: "search", "aria-label": `search ${label}` });
    search.addEventListener("input", () => {
      this.#search = search.value.toLowerCase();
      this.#draw();
    });
    this.#more.addEventListener("click", () => {
      this.#limit += ROWS_MORE;
      this.#draw();
    });
    this.#tools.append(search, this.#count);
    for (const column of columns) this.#head.append(this.#heading(column));
    place.append(this.#tools, element("table", { "aria-label": label }, element("thead", {}, this.#head), this.#body), this.#more);
  }

  show(rows) {
    this.#rows = rows;
    this.#draw();
  }

  #heading(column) {
    const button = element("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      this.#ascending = this.#key === column.key ? !this.#ascending : column.kind !== undefined;
      this.#key = column.key;
      this.#draw();
    });
    return element("th", { scope: "col", class: column.kind ?? "" }, button);
  }

  #draw() {
    const wanted = this.#rows.filter((row) => !this.#search || this.#columns.some((column) =>
      column.kind && String(row[column.key]).toLowerCase().includes(this.#search)));
    wanted.sort((a, b) => compare(a[this.#key], b[this.#key], this.#ascending));
    const shown = wanted.slice(0, this.#limit);
    this.#tools.hidden = this.#rows.length < SEARCH_FROM;
    this.#count.textContent = shown.length < this.#rows.length ? `${shown.length} of ${this.#rows.length}` : "";
    this.#more.hidden = shown.length === wanted.length;
    this.#columns.forEach((column, i) => {
      const cell = this.#head.children[i];
      if (column.key === this.#key) cell.setAttribute("aria-sort", this.#ascending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
      cell.hidden = column.hide?.(this.#rows) ?? false;
    });
    // Rows are filled anew and not made anew, so that a selection in them stays.
    while (this.#body.children.length > shown.length) this.#body.lastChild.remove();
    while (this.#body.children.length < shown.length) this.#body.append(this.#empty_row());
    shown.forEach((row, i) => this.#fill(this.#body.children[i], row));
  }

  #empty_row() {
    return element("tr", {}, ...this.#columns.map((column) => element("td", { "data-label": column.label })));
  }

  #fill(cells, row) {
    this.#columns.forEach((column, i) => {
      const cell = cells.children[i];
      const text = column.text ? column.text(row[column.key], row) : String(row[column.key]);
      if (cell.textContent !== text) cell.textContent = text;
      const look = column.look?.(row[column.key], row);
      const name = [column.kind, look && `is-${look}`].filter(Boolean).join(" ");
      if (cell.className !== name) cell.className = name;
      cell.hidden = this.#head.children[i].hidden;
    });
  }
}
