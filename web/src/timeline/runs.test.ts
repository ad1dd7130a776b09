import { describe, expect, it } from "vitest";
import { coveredMs, gapAt, isCovered, runsOf, snapForward, type Run } from "./runs";

const runs: Run[] = [
  { startMs: 1_000, endMs: 2_000 },
  { startMs: 5_000, endMs: 9_000 },
  { startMs: 9_500, endMs: 9_600 },
];

it("reads an answer in order of time and drops what is empty", () => {
  const iso = (ms: number) => new Date(ms).toISOString();
  const run = (start: number, end: number) => ({
    start: iso(start),
    end: iso(end),
    fragments: 1,
    bytes: 1,
  });
  expect(
    runsOf({
      start: iso(0),
      end: iso(10_000),
      runs: [run(5_000, 9_000), run(1_000, 2_000), run(3_000, 3_000)],
      gaps: [],
      hidden_gaps: 0,
      bucket_ms: null,
      bucket_bytes: [],
    }),
  ).toEqual(runs.slice(0, 2));
});

describe("a moment", () => {
  it("is covered from the start of a run up to, not including, its end", () => {
    expect(
      [999, 1_000, 1_999, 2_000, 5_000, 9_550, 9_600].map((ms) => isCovered(runs, ms)),
    ).toEqual([false, true, true, false, true, true, false]);
  });

  it("snaps to itself, to what follows its gap, or to nothing", () => {
    expect(snapForward(runs, 0)).toBe(1_000);
    expect(snapForward(runs, 1_500)).toBe(1_500);
    expect(snapForward(runs, 2_000)).toBe(5_000);
    expect(snapForward(runs, 9_000)).toBe(9_500);
    expect(snapForward(runs, 9_600)).toBeNull();
    expect(snapForward([], 1)).toBeNull();
  });

  it("knows the gap it lies in, and that before and after everything is no gap", () => {
    expect(gapAt(runs, 3_000)).toEqual([2_000, 5_000]);
    expect(gapAt(runs, 2_000)).toEqual([2_000, 5_000]);
    expect(gapAt(runs, 5_000)).toBeNull();
    expect(gapAt(runs, 500)).toBeNull();
    expect(gapAt(runs, 10_000)).toBeNull();
  });
});

it("sums what is covered", () => {
  expect(coveredMs(runs)).toBe(5_100);
});
