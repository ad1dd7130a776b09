/**
 * Which wall-clock moment a picture shows.
 *
 * An HLS media playlist dates its segments with EXT-X-PROGRAM-DATE-TIME (RFC 8216bis §4.4.4.6:
 * the date of the segment's first sample). hls.js places each segment on the media element's own
 * timeline and reports where (`start` in seconds, corrected to the real timestamps once a segment
 * is loaded). The browser tells with each displayed frame where on that timeline the frame
 * lies (`requestVideoFrameCallback`, `mediaTime`). So
 *
 *   wall clock = date of the segment around mediaTime + (mediaTime − start of that segment)
 *
 * Each segment is mapped by its own date: a gap in the recording makes the wall clock jump while
 * the media timeline goes on, and rounding never adds up. Pure: knows no player and no element.
 */

/** One segment: where it lies on the media timeline, and the date of its first sample. */
export interface DatedSpan {
  readonly startS: number;
  readonly endS: number;
  readonly dateMs: number;
}

/** What is needed of hls.js's level details. */
export interface DatedFragment {
  readonly start: number;
  readonly duration: number;
  readonly programDateTime: number | null;
}

/** The segments of a playlist that have a date, or follow one that has, in order. */
export function spansOf(fragments: readonly (DatedFragment | null)[]): DatedSpan[] {
  const spans: DatedSpan[] = [];
  for (const fragment of fragments) {
    if (!fragment || fragment.duration <= 0) continue;
    const last = spans.at(-1);
    const dateMs =
      fragment.programDateTime ?? (last ? last.dateMs + (last.endS - last.startS) * 1_000 : null);
    if (dateMs === null) continue;
    spans.push({
      startS: fragment.start,
      endS: fragment.start + fragment.duration,
      dateMs,
    });
  }
  return spans;
}

/**
 * How far outside all segments a frame may lie and still be dated by the nearest one: playlist
 * durations are rounded, and a segment's last frame may end a little later than listed.
 */
const TOLERANCE_S = 0.5;

/** The moment that the frame at `mediaTimeS` shows, or null where no dated segment is near. */
export function wallClockAt(spans: readonly DatedSpan[], mediaTimeS: number): number | null {
  // Binary search for the last span that starts at or before the frame.
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.startS ?? Infinity) <= mediaTimeS) low = middle + 1;
    else high = middle;
  }
  const span = spans[low - 1] ?? spans[0];
  if (!span) return null;
  if (mediaTimeS > span.endS + TOLERANCE_S || mediaTimeS < span.startS - TOLERANCE_S) return null;
  return Math.round(span.dateMs + (mediaTimeS - span.startS) * 1_000);
}

/**
 * Where on the media timeline the moment `wallMs` is shown: inside its segment, or at the start of
 * the first one after it. Null when it is later than everything listed or earlier than
 * everything (then the list does not reach back to it).
 */
export function mediaTimeAt(spans: readonly DatedSpan[], wallMs: number): number | null {
  const first = spans[0];
  if (!first || wallMs < first.dateMs) return null;
  for (const span of spans) {
    const lengthMs = (span.endS - span.startS) * 1_000;
    // Dates may run backward where a producer's clock was set; the first match is as good as any.
    if (wallMs < span.dateMs) return span.startS;
    if (wallMs < span.dateMs + lengthMs) return span.startS + (wallMs - span.dateMs) / 1_000;
  }
  return null;
}
