/** What the card about the disk says: how full it is, and what comes. Pure. */
import type { Storage } from "../../api/types";
import { bytes } from "../../format/size";
import { duration, relative } from "../../format/time";

/** Sooner than this, room is being made already: whole files go, so it comes in steps. */
const SOON_MS = 60_000;
/** A forecast beyond this is no news. */
const FAR_MS = 10 * 365 * 86_400_000;

export interface Shares {
  readonly recordings: number;
  readonly others: number;
  readonly free: number;
}

/** The parts of the disk in percent; null where its size is unknown. */
export function shares(storage: Storage): Shares | null {
  const { disk_bytes: disk, free_bytes: free, used_bytes: used } = storage;
  if (disk === null || free === null || disk === 0) return null;
  const percent = (part: number): number =>
    Math.min(100, Math.max(0, Math.round((part / disk) * 1_000) / 10));
  return {
    recordings: percent(used),
    others: percent(disk - free - used),
    free: percent(free),
  };
}

export interface Outlook {
  readonly tone: "quiet" | "warn" | "bad";
  /** `in 3 d`. */
  readonly when: string;
  /** What stands behind it. */
  readonly why: string;
  /** Room is made by deleting the oldest. */
  readonly evicts: boolean;
}

/** When there is no more room, at the rate of the last minutes. */
export function outlook(storage: Storage, nowMs: number): Outlook {
  const { forecast, bytes_per_second: rate, max_total_bytes: total } = storage;
  if (storage.state === "full") {
    const why = "New media is refused until there is room on the disk.";
    return { tone: "bad", when: "now", why, evicts: false };
  }
  const limit =
    forecast.limit === "total" && total !== null ? `The limit of ${bytes(total)}` : "The disk";
  const atMs = forecast.full_at === null ? null : Date.parse(forecast.full_at);
  if (storage.state === "low" || (atMs !== null && atMs - nowMs < SOON_MS)) {
    const why = `${storage.state === "low" ? "The disk" : limit} is reached: the oldest recordings make room.`;
    return { tone: "warn", when: "now", why, evicts: true };
  }
  if (rate === 0)
    return { tone: "quiet", when: "not foreseen", why: "Nothing arrives.", evicts: false };
  const pace = `at ${bytes(rate)}/s`;
  if (atMs === null || atMs - nowMs > FAR_MS) {
    return {
      tone: "quiet",
      when: "not in ten years",
      why: `${limit} lasts ${pace}.`,
      evicts: false,
    };
  }
  const why = `${limit} is reached ${pace}, unless recordings expire before.`;
  return { tone: "quiet", when: relative(atMs, nowMs), why, evicts: false };
}

/** The limits of the server: `30 d and 2.0 GB a stream, 50 GB in all`; null without any. */
export function limits(storage: Storage): string | null {
  const age = storage.default_max_age_s;
  const each = storage.default_max_bytes;
  const stream = [age === null ? null : duration(age * 1_000), each === null ? null : bytes(each)]
    .filter((limit) => limit !== null)
    .join(" and ");
  const total = storage.max_total_bytes;
  const all = [
    stream === "" ? null : `${stream} a stream`,
    total === null ? null : `${bytes(total)} in all`,
  ].filter((limit) => limit !== null);
  return all.length === 0 ? null : all.join(", ");
}
