// The ring of a pool as SVG: outside each node's share, coloured and marked by state; inside its
// load; and labels for those that there is room for, first of all for those that are not up.
import { number_text, share_text } from "./data.js";

const SPACE = "http://www.w3.org/2000/svg";
const LABELS_MAX = 14;
const LABEL_HEIGHT = 25;
const NAME_MAX = 15;
const [OUTER, INNER, LOAD_OUTER, LOAD_INNER] = [88, 70, 67, 40];

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const point = (radius, turn) =>
  [radius * Math.sin(turn * 2 * Math.PI), -radius * Math.cos(turn * 2 * Math.PI)].map((n) => n.toFixed(2)).join(" ");

// A part of a ring, from one turn to another.
function arc(outer, inner, from, to) {
  const end = Math.min(to, from + 0.99999);  // A whole turn would be none.
  const large = end - from > 0.5 ? 1 : 0;
  return `M${point(outer, from)}A${outer} ${outer} 0 ${large} 1 ${point(outer, end)}` +
    `L${point(inner, end)}A${inner} ${inner} 0 ${large} 0 ${point(inner, from)}Z`;
}

// Both ends of a name, as a port is at its end.
const short_name = (name) =>
  name.length <= NAME_MAX ? name : `${name.slice(0, 7)}\u2026${name.slice(name.length - (NAME_MAX - 8))}`;

function pattern(id, state, mark) {
  return svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    svg("rect", { class: state, width: 6, height: 6 }), svg("path", { class: "mark", d: mark }));
}

// The labels of one side, from top to bottom, apart from each other.
function place_labels(labels, height) {
  labels.sort((a, b) => a.y - b.y);
  const top = -height / 2 + 12;
  const last = height / 2 - 14;
  labels.forEach((label, i) => {
    label.y = Math.max(label.y, i === 0 ? top : labels[i - 1].y + LABEL_HEIGHT);
  });
  for (let i = labels.length - 1, y = last; i >= 0; --i, y -= LABEL_HEIGHT)
    labels[i].y = Math.min(labels[i].y, y);
  return labels;
}

function draw_label({ row, middle, y, is_right }) {
  const x = is_right ? 106 : -106;
  const anchor = is_right ? "start" : "end";
  const from = point(OUTER, middle);
  const to = `${x - (is_right ? 3 : -3)} ${y.toFixed(1)}`;
  const load = row.rate === null || row.state !== "up" ? "" : ` \u00b7 ${number_text(row.rate)}/s`;
  const name = svg("text", { x, y: (y - 1).toFixed(1), "text-anchor": anchor }, short_name(row.name));
  const state = row.state === "up" ? "" : `${row.state} \u00b7 `;
  const more = svg("text", { x, y: (y + 10).toFixed(1), "text-anchor": anchor, class: state ? "is-bad" : "small" },
    `${state}${share_text(row.share)}${load}`);
  return svg("g", {}, svg("path", { class: "lead", d: `M${from}L${point(OUTER + 7, middle)}L${to}` }), name, more);
}

function labelled(rows) {
  if (rows.length <= LABELS_MAX) return new Set(rows);
  const wanted = rows.filter((row) => row.state !== "up");
  const step = Math.max(1, wanted.length / LABELS_MAX);  // Of too many, some from all around.
  return new Set(wanted.filter((_, i) => i === 0 || Math.floor(i / step) > Math.floor((i - 1) / step)));
}

function sentence(rows) {
  const some = rows.slice(0, 20).map((row) => `${row.name} ${row.state}, ${share_text(row.share)}`).join("; ");
  return rows.length > 20 ? `${some}; and ${rows.length - 20} more.` : `${some}.`;
}

// `rows`: node_rows() of one pool.
export function draw_ring(pool, rows) {
  const most = Math.max(1e-9, ...rows.map((row) => row.rate ?? 0));
  const wanted = labelled(rows);
  const sides = { left: [], right: [] };
  const segments = svg("g");
  let from = 0;
  for (const row of rows) {
    const to = from + row.share;
    const middle = (from + to) / 2;
    const title = svg("title", {},
      `${row.name}: ${row.state}, ${share_text(row.share)} of the keys, ${number_text(row.rate)} requests/s`);
    const shape = svg("path", { class: `segment ${row.state}`, d: arc(OUTER, INNER, from, to), "data-node": row.name }, title);
    segments.append(shape);
    if (row.state !== "up")
      segments.append(svg("path", { class: "segment", d: arc(OUTER, INNER, from, to), fill: `url(#is-${row.state})`,
        "pointer-events": "none" }));
    const reach = LOAD_OUTER - (LOAD_OUTER - LOAD_INNER) * ((row.rate ?? 0) / most);
    segments.append(svg("path", { class: "track", d: arc(LOAD_OUTER, LOAD_INNER, from, to) }));
    if ((row.rate ?? 0) > 0) segments.append(svg("path", { class: "load segment", d: arc(LOAD_OUTER, reach, from, to) }));
    if (wanted.has(row)) {
      const is_right = middle < 0.5;
      sides[is_right ? "right" : "left"].push({ row, middle, is_right, y: -(OUTER + 10) * Math.cos(middle * 2 * Math.PI) });
    }
    from = to;
  }
  const height = Math.max(206, LABEL_HEIGHT * Math.max(sides.left.length, sides.right.length) + 8);
  const rates = rows.map((row) => row.rate).filter((rate) => rate !== null);
  const up = rows.filter((row) => row.state !== "down").length;
  return svg("svg", { viewBox: `-206 ${-height / 2} 412 ${height}`, role: "img", "aria-labelledby": "ring-name ring-text",
    class: rows.length > 60 ? "many" : "few" },
    svg("title", { id: "ring-name" }, `Ring of pool ${pool}: ${up} of ${rows.length} nodes up`),
    svg("desc", { id: "ring-text" }, sentence(rows)),
    svg("defs", {}, pattern("is-partly", "partly", "M3 0V6"), pattern("is-down", "down", "M0 0L6 6M6 0L0 6")),
    segments,
    svg("text", { class: "total", "text-anchor": "middle", y: 0 },
      rates.length ? `${number_text(rates.reduce((a, b) => a + b, 0))}/s` : "\u2013"),
    svg("text", { class: "small", "text-anchor": "middle", y: 14 }, `to ${up} of ${rows.length}`),
    ...place_labels(sides.left, height).map(draw_label), ...place_labels(sides.right, height).map(draw_label));
}
