/**
 * Which playlist to load for what the viewer asked for.
 *
 * Near the live edge a playlist that starts at the moment and grows into live is best: playback
 * simply goes on. Far from it such a playlist would list hours of segments and be loaded again with
 * every new one, so the archive is played in windows instead, each a finished playlist; the next
 * window is loaded when one ends. Pure: knows no player and no clock.
 */
import { snapForward, type Run } from "../timeline/runs";

/** What the viewer asked for. */
export type Wish = { readonly kind: "live" } | { readonly kind: "at"; readonly ms: number };

/** A playlist to load. */
export interface Source {
  /** The moment to show first, and the first one listed; null for the live playlist. */
  readonly startMs: number | null;
  /** Null for a playlist that grows into live. */
  readonly endMs: number | null;
}

/** What is known of the recording. */
export interface Recording {
  readonly live: boolean;
  /** End of everything recorded. */
  readonly endMs: number;
  readonly runs: readonly Run[];
}

/** Closer to the end of a live stream than this, the playlist grows into live. */
export const GROWING_MS = 10 * 60_000;
/** Length of one window of the archive: at one segment a second still a small playlist. */
export const WINDOW_MS = 30 * 60_000;
/** What a stream that is not live shows of its end. */
export const LAST_PICTURES_MS = 10_000;

/** The playlist for a wish; null when nothing is recorded from that moment on. */
export function chooseSource(wish: Wish, recording: Recording): Source | null {
  if (wish.kind === "live") {
    if (recording.live) return { startMs: null, endMs: null };
    return windowAt(recording.endMs - LAST_PICTURES_MS, recording);
  }
  return windowAt(wish.ms, recording);
}

function windowAt(ms: number, recording: Recording): Source | null {
  // The timeline is a few seconds old; what is newer than it is asked of the server as it is.
  const startMs = snapForward(recording.runs, ms) ?? (recording.live ? ms : null);
  if (startMs === null) return null;
  if (recording.live && recording.endMs - startMs < GROWING_MS) {
    return { startMs, endMs: null };
  }
  return { startMs, endMs: Math.min(startMs + WINDOW_MS, recording.endMs) };
}

/** What to play after the last picture of a finished playlist; null at the recording's end. */
export function afterEnd(source: Source, recording: Recording): Wish | null {
  if (source.endMs === null) return recording.live ? { kind: "live" } : null;
  const next = snapForward(recording.runs, source.endMs);
  if (next !== null) return { kind: "at", ms: next };
  return recording.live ? { kind: "live" } : null;
}
