/**
 * Every link and every server path of the app is built here and nowhere else. Stream names are
 * checked by the server to be `[a-zA-Z0-9_.-]{1,256}`; they are encoded all the same.
 */
import { parseMoment, toRfc3339 } from "./format/time";

const encode = encodeURIComponent;

/** `?a=1&b=2` of what is set, or nothing at all. */
function query(values: Record<string, string | number | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") search.set(key, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

const moment = (ms: number | null | undefined): string | null =>
  ms === null || ms === undefined ? null : toRfc3339(ms);

/** Which fragments the table of a stream's page shows. */
export type FragmentsView = "follow" | "newest" | "around" | "range";
/** Which of a fragment's two times selects and orders. */
export type TimeAxis = "producer" | "server";

/** What a stream's page keeps in its address. */
export interface StreamState {
  /** The moment to show; null plays live. */
  atMs: number | null;
  view: FragmentsView;
  by: TimeAxis;
  /** Bounds of the `range` view; null leaves that side open. */
  fromMs: number | null;
  toMs: number | null;
  /** The local day whose gaps are shown, as `2026-07-12`; null shows everything. */
  day: string | null;
}

export const DEFAULT_STREAM_STATE: StreamState = {
  atMs: null,
  view: "follow",
  by: "producer",
  fromMs: null,
  toMs: null,
  day: null,
};

export type Route =
  | { page: "streams"; filter: string }
  | { page: "stream"; name: string; state: StreamState }
  | { page: "unknown"; path: string };

/** Links to the app's own pages. */
export const pages = {
  streams: (filter = ""): string => `/${query({ q: filter })}`,
  stream: (name: string, state: Partial<StreamState> = {}): string =>
    `/streams/${encode(name)}${query({
      t: moment(state.atMs),
      show: state.view === "follow" ? null : state.view,
      by: state.by === "producer" ? null : state.by,
      from: moment(state.fromMs),
      to: moment(state.toMs),
      day: state.day,
    })}`,
};

/** Which page an address means. */
export function routeOf(url: URL): Route {
  if (url.pathname === "/") {
    return { page: "streams", filter: url.searchParams.get("q") ?? "" };
  }
  const name = /^\/streams\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  if (name !== undefined) {
    try {
      return { page: "stream", name: decodeURIComponent(name), state: stateOf(url.searchParams) };
    } catch {
      // A stray % in the address; no stream has such a name.
    }
  }
  return { page: "unknown", path: url.pathname };
}

function stateOf(search: URLSearchParams): StreamState {
  const time = (key: string): number | null => {
    const text = search.get(key);
    // A "+02:00" pasted into an address arrives as " 02:00".
    return text === null ? null : parseMoment(text.replace(" ", "+"));
  };
  const view = search.get("show");
  const day = search.get("day") ?? "";
  return {
    atMs: time("t"),
    view: view === "newest" || view === "around" || view === "range" ? view : "follow",
    by: search.get("by") === "server" ? "server" : "producer",
    fromMs: time("from"),
    toMs: time("to"),
    day: /^\d{4}-\d{2}-\d{2}$/.test(day) ? day : null,
  };
}

/** What to ask the list of fragments for. */
export interface FragmentsQuery {
  startMs?: number | null;
  endMs?: number | null;
  by?: TimeAxis;
  order?: "asc" | "desc";
  limit?: number;
  token?: string | null;
}

/** What to ask the list of gaps for. */
export type GapsQuery = Pick<FragmentsQuery, "startMs" | "endMs" | "order" | "limit" | "token">;

const streamPath = (name: string): string => `/v1/streams/${encode(name)}`;

/** Paths of the server's HTTP interface. */
export const server = {
  login: "/v1/login",
  logout: "/v1/logout",
  streams: (limit: number, token: string | null = null): string =>
    `/v1/streams${query({ limit, token })}`,
  stream: streamPath,
  storage: "/v1/storage",
  pins: (name: string): string => `${streamPath(name)}/pins`,
  media: (name: string): string => `${streamPath(name)}/media`,
  fragments: (name: string, q: FragmentsQuery): string =>
    `${streamPath(name)}/fragments${query({
      start: moment(q.startMs),
      end: moment(q.endMs),
      by: q.by,
      order: q.order,
      limit: q.limit,
      token: q.token,
    })}`,
  fragmentFile: (name: string, number: number, format: "mp4" | "mkv"): string =>
    `${streamPath(name)}/fragments/${number}.${format}`,
  gaps: (name: string, q: GapsQuery): string =>
    `${streamPath(name)}/gaps${query({
      start: moment(q.startMs),
      end: moment(q.endMs),
      order: q.order,
      limit: q.limit,
      token: q.token,
    })}`,
  timeline: (
    name: string,
    startMs: number | null,
    endMs: number | null,
    resolution: number | null = null,
  ): string =>
    `${streamPath(name)}/timeline${query({ start: moment(startMs), end: moment(endMs), resolution })}`,
  hls: (name: string, startMs: number | null = null, endMs: number | null = null): string =>
    `${streamPath(name)}/hls/index.m3u8${query({ start: moment(startMs), end: moment(endMs) })}`,
};
