/** What a stream keeps, in words. Pure. */
import type { Expiry, LimitValue, Pin } from "../../api/types";
import { relative } from "../../format/time";

/** A limit and whose it is: `30 d, its own`, `30 d`, `none`. */
export function limitWords(
  own: LimitValue | null,
  effective: number | null,
  write: (value: number) => string,
): string {
  if (own === "unlimited") return "none, its own";
  if (effective === null) return "none";
  return own === null ? write(effective) : `${write(effective)}, its own`;
}

/** `in 3 h, by age`; the oldest goes on going where the limit is reached. */
export function expiryWords(next: Expiry | null, nowMs: number): string {
  if (next === null) return "not foreseen";
  const by = next.limit === "age" ? "by age" : "by size";
  const atMs = Date.parse(next.at);
  // Limits are put into effect every few seconds.
  return atMs - nowMs < 10_000 ? `now, ${by}` : `${relative(atMs, nowMs)}, ${by}`;
}

/** Who wants a pin, and why: `ann: case 7`. */
export function pinWords(pin: Pick<Pin, "by" | "reason">): string {
  return [pin.by, pin.reason].filter(Boolean).join(": ");
}
