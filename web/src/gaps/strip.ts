/** What the strip draws and which stretch it shows. Pure: knows no element and no clock. */
import type { GapInfo } from "../api/types";
import { localDate } from "../format/time";
import { xOf, type View } from "../timeline/geometry";

/** An absence on the strip; `endMs` is "now" while media has not gone on. */
export interface GapSpan {
  readonly gap: GapInfo;
  readonly startMs: number;
  readonly endMs: number;
  readonly x: number;
  readonly width: number;
}

/** The shortest absence is drawn this wide, so that it can be seen and pointed at. */
const THINNEST_PX = 3;

/** The absences in view, in order of time. */
export function gapSpans(view: View, gaps: readonly GapInfo[], nowMs: number): GapSpan[] {
  const spans: GapSpan[] = [];
  for (const gap of gaps) {
    const startMs = Date.parse(gap.start);
    const endMs = gap.end === null ? Math.max(nowMs, startMs) : Date.parse(gap.end);
    if (endMs <= view.startMs || startMs >= view.endMs) continue;
    const left = Math.max(0, xOf(view, startMs));
    const right = Math.min(view.widthPx, xOf(view, endMs));
    const width = Math.max(THINNEST_PX, right - left);
    spans.push({ gap, startMs, endMs, x: Math.min(left, view.widthPx - width), width });
  }
  return spans;
}

/** Where a pointer misses a narrow absence by no more than this, it means it. */
const REACH_PX = 4;

/** The absence that a pointer at `x` means: the nearest within reach. */
export function gapAtX(spans: readonly GapSpan[], x: number): GapSpan | null {
  let best: GapSpan | null = null;
  let bestPx = REACH_PX;
  for (const span of spans) {
    const missPx = Math.max(span.x - x, x - (span.x + span.width), 0);
    if (missPx < bestPx || (missPx === 0 && best === null)) {
      best = span;
      bestPx = missPx;
    }
  }
  return best;
}

/** The index that an arrow key moves to from `index`; -1 is before the first. */
export function keyIndex(key: string, index: number, count: number): number | null {
  if (count === 0) return null;
  switch (key) {
    case "ArrowRight":
    case "ArrowDown":
      return Math.min(count - 1, index + 1);
    case "ArrowLeft":
    case "ArrowUp":
      return index < 0 ? count - 1 : Math.max(0, index - 1);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

/**
 * The outline of how much was recorded when: an SVG path over `heightPx`, the fullest bucket at its
 * top. The square root keeps a quiet night visible beside a busy day.
 */
export function densityPath(bytes: readonly number[], widthPx: number, heightPx: number): string {
  const most = Math.max(...bytes, 1);
  const step = widthPx / Math.max(1, bytes.length);
  const px = (value: number): string => value.toFixed(1).replace(/\.0$/, "");
  let path = `M0 ${heightPx}`;
  bytes.forEach((value, index) => {
    const y = px(heightPx - heightPx * Math.sqrt(value / most));
    path += `L${px(index * step)} ${y}L${px((index + 1) * step)} ${y}`;
  });
  return `${path}L${px(widthPx)} ${heightPx}Z`;
}

/** The local midnights around a day like `2026-07-12`; null if it is none. */
export function dayRange(day: string): readonly [number, number] | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return null;
  const start = new Date(`${day}T00:00:00`);
  if (Number.isNaN(start.getTime())) return null;
  const end = new Date(start);
  end.setDate(end.getDate() + 1);
  return [start.getTime(), end.getTime()];
}

/** The day so many days later, or earlier. */
export function shiftDay(day: string, by: number): string {
  const range = dayRange(day);
  if (!range) return day;
  const date = new Date(range[0]);
  date.setDate(date.getDate() + by);
  return localDate(date.getTime());
}
