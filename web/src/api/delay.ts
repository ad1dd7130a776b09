/** When to ask again. */

/** Failing requests are repeated at most this rarely: a server that is back is seen soon. */
export const SLOWEST_RETRY_MS = 10_000;

/** The pause before the next request: the interval itself, doubled with each failure in a row. */
export function nextDelayMs(intervalMs: number, failures: number): number {
  if (failures === 0) return intervalMs;
  const doubled = intervalMs * 2 ** Math.min(failures - 1, 10);
  return Math.min(Math.max(SLOWEST_RETRY_MS, intervalMs), doubled);
}
