/**
 * The only file that talks to the server (the player's media requests are made by hls.js, with
 * addresses from `paths.ts`). Returns typed JSON or throws an `ApiError`; keeps no state.
 */
import { server, type FragmentsQuery, type GapsQuery } from "../paths";
import { ApiError, fromResponse, fromThrown } from "./errors";
import type {
  FragmentList,
  GapList,
  Pin,
  PinList,
  Storage,
  Stream,
  StreamList,
  Timeline,
} from "./types";

/** A request without an answer for this long counts as an unreachable server. */
const TIMEOUT_MS = 15_000;
/** Streams asked for at once. */
const STREAMS_PAGE = 1_000;
/** Pages of streams followed, so that a list that never ends cannot hold the app forever. */
const STREAMS_PAGES_MAX = 10;

type UnauthorizedListener = () => void;
let onUnauthorized: UnauthorizedListener = () => undefined;

/** Calls `listener` whenever the server wants a token it did not get. */
export function whenUnauthorized(listener: UnauthorizedListener): void {
  onUnauthorized = listener;
}

async function request(path: string, init: RequestInit, cancel?: AbortSignal): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = cancel ? AbortSignal.any([cancel, timeout]) : timeout;
  let response: Response;
  try {
    response = await fetch(path, { ...init, signal, credentials: "same-origin" });
  } catch (thrown) {
    cancel?.throwIfAborted();
    throw timeout.aborted ? fromThrown(new TypeError("timeout")) : fromThrown(thrown);
  }
  if (!response.ok) throw fromResponse(response.status, await response.text().catch(() => ""));
  return response;
}

async function get<T>(path: string, cancel?: AbortSignal): Promise<T> {
  try {
    const response = await request(path, { headers: { accept: "application/json" } }, cancel);
    return (await response.json()) as T;
  } catch (thrown) {
    cancel?.throwIfAborted();
    const error = fromThrown(thrown);
    if (error.kind === "unauthorized") onUnauthorized();
    throw error;
  }
}

/** All streams, sorted by name. */
export async function listStreams(cancel?: AbortSignal): Promise<Stream[]> {
  const all: Stream[] = [];
  let token: string | null = null;
  for (let page = 0; page < STREAMS_PAGES_MAX; page += 1) {
    const list: StreamList = await get<StreamList>(server.streams(STREAMS_PAGE, token), cancel);
    all.push(...list.streams);
    token = list.next_token;
    if (token === null) break;
  }
  return all;
}

export function getStream(name: string, cancel?: AbortSignal): Promise<Stream> {
  return get<Stream>(server.stream(name), cancel);
}

export function getStorage(cancel?: AbortSignal): Promise<Storage> {
  return get<Storage>(server.storage, cancel);
}

export async function listPins(name: string, cancel?: AbortSignal): Promise<Pin[]> {
  return (await get<PinList>(server.pins(name), cancel)).pins;
}

export function listFragments(
  name: string,
  query: FragmentsQuery,
  cancel?: AbortSignal,
): Promise<FragmentList> {
  return get<FragmentList>(server.fragments(name, query), cancel);
}

export function listGaps(name: string, query: GapsQuery, cancel?: AbortSignal): Promise<GapList> {
  return get<GapList>(server.gaps(name, query), cancel);
}

/** Everything recorded when both bounds are null; exactly, without a `resolution`. */
export function getTimeline(
  name: string,
  startMs: number | null,
  endMs: number | null,
  cancel?: AbortSignal,
  resolution: number | null = null,
): Promise<Timeline> {
  return get<Timeline>(server.timeline(name, startMs, endMs, resolution), cancel);
}

/** The buckets of a recording in too many pieces to be told exactly. */
const COARSE_RESOLUTION = 4_000;

/** Everything recorded: exactly, if it is not in very many pieces. */
export async function getRecorded(name: string, cancel?: AbortSignal): Promise<Timeline> {
  try {
    return await getTimeline(name, null, null, cancel);
  } catch (thrown) {
    if (!(thrown instanceof ApiError && thrown.kind === "refused")) throw thrown;
    return getTimeline(name, null, null, cancel, COARSE_RESOLUTION);
  }
}

/** Exchanges the token for a cookie. A wrong token throws like any other refusal. */
export async function login(token: string): Promise<void> {
  await request(server.login, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
}

export async function logout(): Promise<void> {
  try {
    await request(server.logout, { method: "POST" });
  } catch (thrown) {
    // Already signed out is what was asked for.
    if (!(thrown instanceof ApiError && thrown.kind === "unauthorized")) throw thrown;
  }
}
