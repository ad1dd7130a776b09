/** Time to pixels and back, and what to draw. Pure: knows no element and no clock. */
import { localDate, localTime } from "../format/time";
import type { Run } from "./runs";

/** What the bar shows. */
export interface View {
  readonly startMs: number;
  readonly endMs: number;
  readonly widthPx: number;
}

/** A recording of zero length still gets a bar of this length, so that nothing divides by zero. */
const SHORTEST_VIEW_MS = 1_000;

export function viewOf(startMs: number, endMs: number, widthPx: number): View {
  return {
    startMs,
    endMs: Math.max(endMs, startMs + SHORTEST_VIEW_MS),
    widthPx: Math.max(1, widthPx),
  };
}

export function xOf(view: View, ms: number): number {
  return ((ms - view.startMs) / (view.endMs - view.startMs)) * view.widthPx;
}

/** The moment under a pixel, kept inside the view. */
export function msAt(view: View, x: number): number {
  const ms = view.startMs + (x / view.widthPx) * (view.endMs - view.startMs);
  return clamp(view, ms);
}

export function clamp(view: View, ms: number): number {
  return Math.round(Math.min(view.endMs, Math.max(view.startMs, ms)));
}

export interface Span {
  readonly x: number;
  readonly width: number;
}

/** Nothing recorded is drawn thinner than this, however long the view. */
const THINNEST_PX = 1;
/** Two runs closer than this on screen are drawn as one: their gap could not be seen. */
const SMALLEST_GAP_PX = 0.75;

/** What to fill: at most one span per pixel, however many runs there are. `runs` are in order. */
export function runSpans(view: View, runs: readonly Run[]): Span[] {
  const spans: { x: number; width: number }[] = [];
  for (const run of runs) {
    if (run.endMs <= view.startMs || run.startMs >= view.endMs) continue;
    const x = Math.max(0, xOf(view, run.startMs));
    const end = Math.min(view.widthPx, Math.max(xOf(view, run.endMs), x + THINNEST_PX));
    const last = spans.at(-1);
    if (last && x - (last.x + last.width) < SMALLEST_GAP_PX) {
      last.width = Math.max(last.width, end - last.x);
    } else {
      spans.push({ x, width: end - x });
    }
  }
  return spans;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Distances between ticks that people count in. */
const STEPS_MS: readonly number[] = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 365].map((n) => n * DAY),
];

/** Room for one label and the space around it. */
const LABEL_PX = 72;

export interface Tick {
  readonly ms: number;
  readonly x: number;
  readonly label: string;
}

/** Labelled marks at round local times, as many as fit beside each other. */
export function ticks(view: View): Tick[] {
  const most = Math.max(1, Math.floor(view.widthPx / LABEL_PX));
  const step = STEPS_MS.find((size) => (view.endMs - view.startMs) / size <= most) ?? 1_000 * DAY;
  const found: Tick[] = [];
  let day = "";
  for (let ms = firstTick(view.startMs, step); ms <= view.endMs; ms = nextTick(ms, step)) {
    if (ms < view.startMs) continue;
    const date = localDate(ms);
    // The date stands where the day changes, and everywhere once ticks are days apart.
    const label =
      step >= DAY ? date : date === day || day === "" ? timeLabel(ms, step) : date.slice(5);
    day = date;
    found.push({ ms, x: xOf(view, ms), label });
  }
  return found;
}

function timeLabel(ms: number, step: number): string {
  const time = localTime(ms);
  return step < MINUTE ? time : time.slice(0, 5);
}

/** The last multiple of `step` since local midnight that is not after `ms`. */
function firstTick(ms: number, step: number): number {
  const midnight = new Date(ms);
  midnight.setHours(0, 0, 0, 0);
  if (step >= DAY) return midnight.getTime();
  return midnight.getTime() + Math.floor((ms - midnight.getTime()) / step) * step;
}

/** The next round time; it starts afresh at each local midnight, so a change to or from summer
 * time shifts no later tick. */
function nextTick(ms: number, step: number): number {
  const midnight = new Date(ms);
  midnight.setHours(24, 0, 0, 0);
  if (step < DAY) return Math.min(ms + step, midnight.getTime());
  const later = new Date(ms);
  later.setDate(later.getDate() + Math.round(step / DAY));
  return later.getTime();
}

/** What the arrow keys do: a step of seconds, page keys a twentieth of the view. */
export function keyStep(view: View, key: string, ms: number): number | null {
  const page = Math.max(MINUTE / 2, (view.endMs - view.startMs) / 20);
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return clamp(view, ms - 5 * SECOND);
    case "ArrowRight":
    case "ArrowUp":
      return clamp(view, ms + 5 * SECOND);
    case "PageDown":
      return clamp(view, ms - page);
    case "PageUp":
      return clamp(view, ms + page);
    case "Home":
      return view.startMs;
    case "End":
      return view.endMs;
    default:
      return null;
  }
}
