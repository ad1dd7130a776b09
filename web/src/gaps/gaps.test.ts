import { describe, expect, it } from "vitest";
import type { GapInfo } from "../api/types";
import { viewOf } from "../timeline/geometry";
import { causeTone, causeWords } from "./cause";
import { dayRange, densityPath, gapAtX, gapSpans, keyIndex, shiftDay } from "./strip";

const iso = (ms: number) => new Date(ms).toISOString();
const gap = (startMs: number, endMs: number | null): GapInfo => ({
  start: iso(startMs),
  end: endMs === null ? null : iso(endMs),
  cause: "stall",
  detail: null,
  noticed_at: null,
});

describe("absences on the strip", () => {
  const view = viewOf(0, 100_000, 1_000); // 100 ms a pixel

  it("are as long as they were, and never too thin to point at", () => {
    const spans = gapSpans(view, [gap(10_000, 20_000), gap(50_000, 50_010)], 0);
    expect(spans.map(({ x, width }) => [x, width])).toEqual([
      [100, 100],
      [500, 3],
    ]);
  });

  it("end at the view's edges, and now where media has not gone on", () => {
    const gaps = [gap(-50_000, 1_000), gap(90_000, null), gap(99_990, 300_000)];
    expect(gapSpans(view, gaps, 95_000).map(({ x, width }) => [x, width])).toEqual([
      [0, 10],
      [900, 50],
      [997, 3],
    ]);
    expect(gapSpans(view, [gap(-9_000, 0), gap(100_000, null)], 200_000)).toEqual([]);
  });

  it("are found by a pointer that is near", () => {
    const spans = gapSpans(view, [gap(10_000, 20_000), gap(20_200, 20_300)], 0);
    expect(gapAtX(spans, 150)?.startMs).toBe(10_000);
    expect(gapAtX(spans, 97)?.startMs).toBe(10_000);
    expect(gapAtX(spans, 204)?.startMs).toBe(20_200);
    expect(gapAtX(spans, 90)).toBeNull();
  });

  it("are walked through by keys", () => {
    expect(keyIndex("ArrowRight", -1, 3)).toBe(0);
    expect(keyIndex("ArrowRight", 2, 3)).toBe(2);
    expect(keyIndex("ArrowLeft", -1, 3)).toBe(2);
    expect(keyIndex("ArrowLeft", 0, 3)).toBe(0);
    expect(keyIndex("End", 0, 3)).toBe(2);
    expect(keyIndex("Home", 2, 3)).toBe(0);
    expect(keyIndex("End", 0, 0)).toBeNull();
    expect(keyIndex("x", 0, 3)).toBeNull();
  });
});

it("draws the fullest bucket to the top and an empty one not at all", () => {
  expect(densityPath([4, 0, 1], 30, 20)).toBe("M0 20L0 0L10 0L10 20L20 20L20 10L30 10L30 20Z");
  expect(densityPath([], 30, 20)).toBe("M0 20L30 20Z");
});

it("knows days by local midnights, of which two are not 24 hours apart", () => {
  const hours = (day: string): number => {
    const range = dayRange(day);
    return range ? (range[1] - range[0]) / 3_600_000 : 0;
  };
  // The tests run in Berlin.
  expect([hours("2026-07-12"), hours("2026-10-25"), hours("2026-03-29")]).toEqual([24, 25, 23]);
  expect(dayRange("yesterday")).toBeNull();
  expect(dayRange("2026-13-40")).toBeNull();
  expect(shiftDay("2026-10-25", 1)).toBe("2026-10-26");
  expect(shiftDay("2026-03-01", -1)).toBe("2026-02-28");
});

it("puts every cause into words, also one that it does not know", () => {
  expect(causeWords("connection_lost")).toBe("Connection lost");
  expect(causeTone("disk_refused")).toBe("bad");
  expect(causeWords("eaten_by_a_dog")).toBe("eaten by a dog");
  expect(causeTone("eaten_by_a_dog")).toBe("warn");
});
