/**
 * How far behind the camera the picture on screen is, without trusting the browser's clock.
 *
 * The server says when it last received media (`last_received_at`, its own clock): while a stream
 * is live that is "now" there, give or take one frame and the way of the answer. The newest
 * fragment ties the server's clock to the producer's. Pure: knows no clock of its own.
 */

/** One answer about a live stream. */
export interface EdgeSample {
  /** Browser clock when the answer came. */
  readonly answeredAtMs: number;
  /** Server clock of the newest media. */
  readonly lastReceivedMs: number;
}

/** Answers remembered: the one with the least delay among them is nearest the truth. */
export const EDGE_SAMPLES = 15;

/** `samples` with one more, the oldest dropped. */
export function withSample(samples: readonly EdgeSample[], sample: EdgeSample): EdgeSample[] {
  return [...samples, sample].slice(-EDGE_SAMPLES);
}

/** Server clock minus browser clock, or null before the first answer. */
export function clockOffsetMs(samples: readonly EdgeSample[]): number | null {
  if (samples.length === 0) return null;
  // Every delay makes the difference smaller, so the largest is the least delayed.
  return Math.max(...samples.map((sample) => sample.lastReceivedMs - sample.answeredAtMs));
}

/** A fragment's two times. */
export interface FragmentTimes {
  readonly producerMs: number;
  readonly serverMs: number;
}

/** The producer time of what the producer sends right now; null while unknown. */
export function liveEdgeMs(
  samples: readonly EdgeSample[],
  newest: FragmentTimes | null,
  browserNowMs: number,
): number | null {
  const offset = clockOffsetMs(samples);
  if (offset === null || newest === null) return null;
  return browserNowMs + offset + (newest.producerMs - newest.serverMs);
}

/** Less than this behind counts as live: what HLS with whole segments needs, and some more. */
export const LIVE_WITHIN_MS = 15_000;
