// The admin page: asks for status.json every two seconds and shows what it comes to.
import {
  Readings, WINDOW_MS, age_text, node_rows, number_text, open_rows, share_text, space_rows, time_text, totals,
} from "./data.js";
import { draw_ring, svg } from "./ring.js";
import { Table, element } from "./table.js";

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
const TRAIL_MAX = 60;
const TOKEN = "tokenring-token";  // In the tab's own storage, which ends with it.

const at = (id) => document.getElementById(id);
const readings = new Readings();
const trail = [];  // Requests per second, the last ones.
let timer = 0;
let chosen_pool = 0;

// -- Asking.

class NeedsToken extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(TOKEN);
  const answer = await fetch(path, {
    cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS),
    headers: token ? { Authorization: `Bearer ${token}` } : {},
  });
  if (answer.status === 401) throw new NeedsToken();
  const is_json = answer.headers.get("Content-Type") === "application/json";
  if (!is_json) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
  return answer.json();
}

async function look() {
  clearTimeout(timer);
  try {
    if (!document.hidden) show(await ask("status.json"));
  } catch (error) {
    if (error instanceof NeedsToken) return ask_for_token();
    tell_state(error.name === "TimeoutError" || error instanceof TypeError ? "no answer" : error.message, true);
  }
  timer = setTimeout(look, EVERY_MS);
}

function ask_for_token() {
  at("login-error").textContent = sessionStorage.getItem(TOKEN) ? "That is not the token." : "";
  sessionStorage.removeItem(TOKEN);
  readings.clear();
  at("main").hidden = true;
  at("login").hidden = false;
  at("token").focus();
  tell_state("needs a token", true);
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("token").value = "";
  look();
});

// -- The head and the tiles.

function tell_state(text, is_bad) {
  at("state").textContent = text;
  at("state").classList.toggle("is-bad", is_bad);
}

const tiles = new Map();
function show_tile(label, text, is_bad = false) {
  if (!tiles.has(label)) {
    const value = element("b");
    const tile = element("li", {}, value, element("span", {}, label));
    at("tiles").append(tile);
    tiles.set(label, { tile, value });
  }
  const { value } = tiles.get(label);
  value.textContent = text;
  value.classList.toggle("is-bad", is_bad);
}

function show_trail() {
  const most = Math.max(1e-9, ...trail);
  const points = trail.map((rate, i) => `${TRAIL_MAX - trail.length + i},${(19 - (18 * rate) / most).toFixed(1)}`);
  const { tile } = tiles.get("requests/s");
  tile.querySelector("svg")?.remove();
  tile.append(svg("svg", { viewBox: `0 0 ${TRAIL_MAX - 1} 20`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polyline", { points: points.join(" ") })));
}

function show_head(span) {
  const { process } = span.now;
  const total = totals(span);
  tell_state(process.not_ready || process.state, process.not_ready !== "");
  const failed = process.last_reload_failed ? "; the last reload failed" : "";
  at("about").textContent = `${process.version}, ${process.workers} worker${process.workers === 1 ? "" : "s"}, ` +
    `up ${age_text(process.now_s - process.started_s)}, file read ${age_text(process.now_s - process.loaded_s)} ago${failed}`;
  show_tile("requests/s", number_text(total.rate));
  if (total.rate !== null && trail.push(total.rate) > TRAIL_MAX) trail.shift();
  show_trail();
  show_tile("hit ratio", share_text(total.hit_ratio));
  show_tile("p50", time_text(total.p50));
  show_tile("p99", time_text(total.p99));
  show_tile("failed requests/s", number_text(total.failed), total.failed > 0);
  show_tile("clients", number_text(total.clients));
  show_tile("unopened values", number_text(total.unopened), total.unopened > 0);
  show_tile("CPUs in use", total.cpu === null ? "\u2013" : total.cpu.toFixed(2));
}

// -- Tables.

const none_sealed = (rows) => rows.every((row) => row.seal === "off");
const bad_if_any = (value) => (value > 0 ? "bad" : "");
const nodes = new Table(at("nodes"), "nodes", [
  { label: "node", key: "name", kind: "name", text: (name, row) => (row.place === name ? name : `${name} (${row.place})`) },
  { label: "state", key: "state", kind: "word", look: (state) => state },
  { label: "share", key: "share", text: share_text },
  { label: "requests/s", key: "rate", text: number_text },
  { label: "in flight", key: "in_flight", text: number_text },
  { label: "answers in", key: "response_us", text: time_text },
  { label: "connections", key: "links" },
  { label: "errors", key: "errors", text: number_text, look: bad_if_any },
], "share");
const spaces = new Table(at("spaces"), "namespaces", [
  { label: "namespace", key: "name", kind: "name" },
  { label: "pool", key: "pool", kind: "word", hide: (rows) => new Set(rows.map((row) => row.pool)).size < 2 },
  { label: "requests/s", key: "rate", text: number_text },
  { label: "hit ratio", key: "hit_ratio", text: share_text },
  { label: "since start", key: "hit_ratio_all", text: share_text },
  { label: "p50", key: "p50", text: time_text },
  { label: "p99", key: "p99", text: time_text },
  { label: "failed/s", key: "failed", text: number_text, look: bad_if_any },
  { label: "seal", key: "seal", kind: "word", hide: none_sealed },
  { label: "unopened", key: "unopened", text: number_text, look: bad_if_any, hide: none_sealed },
], "rate");
const failures = new Table(at("failures"), "values that did not open", [
  { label: "namespace", key: "name", kind: "name" },
  { label: "reason", key: "reason", kind: "word" },
  { label: "values", key: "count", text: number_text },
  { label: "per second", key: "rate", text: number_text, look: bad_if_any },
], "count");
const keys = new Table(at("keys"), "keys", [
  { label: "key id", key: "id", kind: "name" },
  { label: "role", key: "role", kind: "word" },
  { label: "values opened", key: "opened", text: number_text },
], "role");

function show_pools(pools) {
  at("pool-label").hidden = pools.length < 2;
  chosen_pool = Math.min(chosen_pool, pools.length - 1);
  const names = pools.map((pool) => `${pool.name} (${pool.nodes_up}/${pool.nodes} up)`);
  const options = at("pool").options;
  while (options.length > names.length) options.remove(options.length - 1);
  names.forEach((name, i) => {
    if (i >= options.length) options.add(new Option(name, i));
    else if (options[i].text !== name) options[i].text = name;
  });
  at("pool").value = chosen_pool;
}

function show_ring(span) {
  show_pools(span.now.pools);
  const rows = node_rows(span).filter((row) => row.pool === chosen_pool);
  at("ring").replaceChildren(draw_ring(span.now.pools[chosen_pool].name, rows));
  nodes.show(rows);
}

function show_events(events, now_ms) {
  at("events").replaceChildren(...events.map((event) => {
    const when = new Date(event.last_ms);
    const times = event.count > 1 ? ` (${event.count} times since ${new Date(event.first_ms).toLocaleTimeString()})` : "";
    return element("li", { class: `is-${event.level}` },
      element("time", { datetime: when.toISOString(), title: when.toString() }, `${age_text((now_ms - event.last_ms) / 1000)} ago`),
      element("b", {}, event.event), `${event.text}${times}`);
  }));
  if (events.length === 0) at("events").append(element("li", { class: "quiet" }, "None since the process started."));
}

function show(status) {
  at("login").hidden = true;
  at("main").hidden = false;
  readings.add(status, performance.now());
  draw();
}

function draw() {
  const span = readings.span();
  show_head(span);
  show_ring(span);
  spaces.show(space_rows(span));
  show_events(span.now.events, Date.now());
  const open = open_rows(span);
  at("open-none").hidden = open.length > 0;
  at("failures").hidden = open.length === 0;
  failures.show(open);
  at("keys-title").hidden = at("keys").hidden = span.now.keys.length === 0;
  keys.show(span.now.keys);
}

at("pool").addEventListener("change", () => {
  chosen_pool = Number(at("pool").value);
  draw();
});

// -- Where a key is.

// \xHH is a byte, as for `tokenring where`; all else is UTF-8.
const encoded = (key) => encodeURIComponent(key).replace(/%5Cx([0-9a-f]{2})/gi, "%$1");

const life_text = (life) => (life === null ? "never ends" : life === 0 ? "ends at once" : `${life} s (${age_text(life)})`);

function show_place(place) {
  const seals = { off: "as it is", migrate: "sealed; unsealed ones are still read", require: "sealed" };
  const lines = {
    node: `${place.node}${place.node_state === "up" ? "" : ` (${place.node_state})`}`,
    pool: place.pool, namespace: place.namespace, life: life_text(place.life_s), value: seals[place.seal],
    "key at the node": `${place.node_key}${place.blinded ? " (blinded)" : ""}`,
    ...(place.reference ? { "in the log": place.reference } : {}),
  };
  at("where-answer").replaceChildren(...Object.entries(lines).flatMap(([name, text]) =>
    [element("dt", {}, name), element("dd", {}, text)]));
}

at("where").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("where-error").textContent = "";
  at("where-answer").replaceChildren();
  try {
    const place = await ask(`where?key=${encoded(at("key").value)}&exptime=${encodeURIComponent(at("exptime").value)}`);
    if (place.error) at("where-error").textContent = place.error;
    else show_place(place);
  } catch (error) {
    if (error instanceof NeedsToken) ask_for_token();
    else at("where-error").textContent = "no answer";
  }
});

document.addEventListener("visibilitychange", () => { if (!document.hidden && !at("main").hidden) look(); });
at("window").textContent = WINDOW_MS / 1000;
look();
