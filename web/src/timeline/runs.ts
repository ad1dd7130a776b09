/** What is recorded and what is not, as plain numbers, and how a moment relates to it. */
import type { Timeline } from "../api/types";

/** A continuous stretch of recording; `endMs` is the first moment that is not covered any more. */
export interface Run {
  readonly startMs: number;
  readonly endMs: number;
}

/** The runs of an answer, in order of time; empty ones are dropped. */
export function runsOf(timeline: Timeline): Run[] {
  return timeline.runs
    .map((run) => ({ startMs: Date.parse(run.start), endMs: Date.parse(run.end) }))
    .filter((run) => run.endMs > run.startMs)
    .sort((a, b) => a.startMs - b.startMs);
}

/** Index of the first run that ends after `ms`: the one holding it or the next one; binary search. */
function firstEndingAfter(runs: readonly Run[], ms: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.endMs ?? Infinity) > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Whether something is recorded at `ms`. */
export function isCovered(runs: readonly Run[], ms: number): boolean {
  const run = runs[firstEndingAfter(runs, ms)];
  return run !== undefined && run.startMs <= ms;
}

/**
 * The first recorded moment at or after `ms`, so that asking for a moment inside a gap plays what
 * follows the gap. Null when nothing is recorded from there on.
 */
export function snapForward(runs: readonly Run[], ms: number): number | null {
  const run = runs[firstEndingAfter(runs, ms)];
  return run === undefined ? null : Math.max(ms, run.startMs);
}

/** The gap around `ms` as [end of the run before, start of the run after], where `ms` is in one. */
export function gapAt(runs: readonly Run[], ms: number): readonly [number, number] | null {
  const index = firstEndingAfter(runs, ms);
  const after = runs[index];
  const before = runs[index - 1];
  if (!before || !after || after.startMs <= ms) return null;
  return [before.endMs, after.startMs];
}

/** The sum of all runs. */
export function coveredMs(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + run.endMs - run.startMs, 0);
}
