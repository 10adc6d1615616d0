// What two readings of status.json come to: rates, hit ratios, latencies. No DOM here.

export const WINDOW_MS = 10_000;
const OPEN_REASONS = ["auth_fail", "unknown_key", "plaintext", "malformed"];
const REQUESTS = ["cmd_get", "cmd_set", "cmd_delete", "cmd_arithmetic", "cmd_touch"];

// The readings of the window and the one before it, by which rates are told.
export class Readings {
  #all = [];

  add(status, at) {
    const last = this.#all.at(-1);
    const again = last && last.status.process.started_s !== status.process.started_s;
    if (again) this.#all = [];  // Another process: its counts began anew.
    this.#all.push({ status, at });
    while (this.#all.length > 2 && at - this.#all[1].at >= WINDOW_MS) this.#all.shift();
  }

  clear() { this.#all = []; }

  // {now, before, seconds}; `before` is null at the first reading.
  span() {
    const last = this.#all.at(-1);
    const first = this.#all[0];
    if (first === last) return { now: last.status, before: null, seconds: 0 };
    return { now: last.status, before: first.status, seconds: (last.at - first.at) / 1000 };
  }
}

// By how much a count rose; null where that is not known: it has begun anew, or is new.
const rise = (now, before, name) => (before && now[name] >= before[name] ? now[name] - before[name] : null);
const sum = (numbers) => numbers.reduce((a, b) => (a === null || b === null ? null : a + b), 0);
const rises = (now, before, names) => sum(names.map((name) => rise(now, before, name)));
const per = (count, seconds) => (count === null || seconds <= 0 ? null : count / seconds);

export function ratio(hits, misses) {
  return hits === null || misses === null || hits + misses === 0 ? null : hits / (hits + misses);
}

// Counts by step as an array: `steps` is its first step, and counts from there on.
function counts(steps, length) {
  const all = new Array(length).fill(0);
  for (let i = 1; i < steps.length; ++i) all[steps[0] + i - 1] = steps[i];
  return all;
}

// The quantiles in us of what was counted between two readings; null where nothing was.
export function quantiles(now, before, ends, wanted) {
  const length = ends.length + 1;
  const earlier = before ? counts(before, length) : new Array(length).fill(0);
  const rose = counts(now, length).map((count, step) => Math.max(0, count - earlier[step]));
  const all = rose.reduce((a, b) => a + b, 0);
  return wanted.map((share) => {
    if (all === 0) return null;
    let left = Math.max(1, Math.round(all * share));
    let step = 0;
    while (rose[step] < left) left -= rose[step++];
    return step < ends.length ? ends[step] : Infinity;
  });
}

const by = (rows, name) => new Map((rows ?? []).map((row) => [name(row), row]));
const node_id = (node, status) => `${status.pools[node.pool].name}\n${node.name}\n${node.place}`;

export function node_rows({ now, before, seconds }) {
  const earlier = by(before?.nodes, (node) => node_id(node, before));
  return now.nodes.map((node, at) => {
    const then = earlier.get(node_id(node, now));
    const errors = ["connections_lost", "connect_errors", "timeouts", "bad_replies"];
    return {
      number: at + 1, pool: node.pool, name: node.name, place: node.place, state: node.state, share: node.share,
      rate: per(rise(node, then, "requests"), seconds), in_flight: node.in_flight,
      response_us: node.links_up > 0 ? node.response_us : null,
      links: `${node.links_up}/${node.links}`, errors: sum(errors.map((name) => node[name])),
    };
  });
}

export function space_rows({ now, before, seconds }) {
  const earlier = by(before?.namespaces, (space) => space.namespace);
  return now.namespaces.map((space) => {
    const then = earlier.get(space.namespace);
    const [p50, p99] = then ? quantiles(space.latency, then.latency, now.latency_ends_us, [0.5, 0.99]) : [null, null];
    return {
      name: space.namespace, pool: now.pools[space.pool].name, seal: space.seal,
      rate: per(rises(space, then, REQUESTS), seconds),
      hit_ratio: ratio(rise(space, then, "get_hits"), rise(space, then, "get_misses")),
      hit_ratio_all: ratio(space.get_hits, space.get_misses), p50, p99,
      failed: per(rise(space, then, "requests_failed"), seconds),
      unopened: sum(OPEN_REASONS.map((reason) => space[`open_${reason}`])),
    };
  });
}

// A row for each namespace and reason that there was.
export function open_rows({ now, before, seconds }) {
  const earlier = by(before?.namespaces, (space) => space.namespace);
  return now.namespaces.flatMap((space) => OPEN_REASONS.filter((reason) => space[`open_${reason}`] > 0)
    .map((reason) => ({
      name: space.namespace, reason, count: space[`open_${reason}`],
      rate: per(rise(space, earlier.get(space.namespace), `open_${reason}`), seconds),
    })));
}

export function totals({ now, before, seconds }) {
  const counters = now.process.counters;
  const then = before?.process.counters;
  const [p50, p99] = before ? quantiles(now.latency, before.latency, now.latency_ends_us, [0.5, 0.99]) : [null, null];
  const cpu = before ? now.process.cpu_s - before.process.cpu_s : null;
  return {
    rate: per(rises(counters, then, REQUESTS), seconds),
    hit_ratio: ratio(rise(counters, then, "get_hits"), rise(counters, then, "get_misses")),
    p50, p99, failed: per(rise(counters, then, "requests_failed"), seconds),
    clients: counters.curr_connections, cpu: per(cpu, seconds),
    unopened: sum(now.namespaces.flatMap((space) => OPEN_REASONS.map((reason) => space[`open_${reason}`]))),
  };
}

// -- Numbers as text.

const NONE = "\u2013";

export function number_text(value) {
  if (value === null || value === undefined) return NONE;
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (value >= size * 9.995) return `${(value / size).toPrecision(3)}${unit}`;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(2);
}

export const share_text = (value) => (value === null ? NONE : `${(value * 100).toFixed(1)} %`);

export function time_text(us) {
  if (us === null) return NONE;
  if (us === Infinity) return "> 4.3 s";
  if (us < 1000) return `${us.toFixed(0)} \u00b5s`;
  return us < 1e6 ? `${(us / 1000).toPrecision(3)} ms` : `${(us / 1e6).toPrecision(3)} s`;
}

export function age_text(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}
