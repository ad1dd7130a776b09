import { describe, expect, it } from "vitest";
import { mediaTimeAt, spansOf, wallClockAt } from "./wall-clock";

const t0 = Date.UTC(2026, 6, 12, 12, 0, 0);

// Three segments of two seconds, then a gap of a minute in the recording, then one more.
const spans = spansOf([
  { start: 10, duration: 2, programDateTime: t0 },
  { start: 12, duration: 2, programDateTime: null },
  { start: 14, duration: 2.01, programDateTime: t0 + 4_000 },
  { start: 16, duration: 2, programDateTime: t0 + 66_000 },
]);

it("dates a segment without a date by the one before it", () => {
  expect(spans[1]).toEqual({ startS: 12, endS: 14, dateMs: t0 + 2_000 });
});

it("leaves out segments before the first date and missing ones", () => {
  expect(
    spansOf([
      null,
      { start: 0, duration: 2, programDateTime: null },
      { start: 2, duration: 0, programDateTime: t0 },
      { start: 2, duration: 2, programDateTime: t0 },
    ]),
  ).toEqual([{ startS: 2, endS: 4, dateMs: t0 }]);
});

describe("the moment a frame shows", () => {
  it("is exact to the millisecond inside a segment", () => {
    expect(wallClockAt(spans, 10)).toBe(t0);
    expect(wallClockAt(spans, 11.9667)).toBe(t0 + 1_967);
    expect(wallClockAt(spans, 13.5)).toBe(t0 + 3_500);
  });

  it("jumps where the recording has a gap", () => {
    expect(wallClockAt(spans, 15.99)).toBe(t0 + 5_990);
    expect(wallClockAt(spans, 16)).toBe(t0 + 66_000);
    expect(wallClockAt(spans, 17)).toBe(t0 + 67_000);
  });

  it("tolerates a frame a little outside everything listed, and no more", () => {
    expect(wallClockAt(spans, 9.8)).toBe(t0 - 200);
    expect(wallClockAt(spans, 18.2)).toBe(t0 + 68_200);
    expect(wallClockAt(spans, 9)).toBeNull();
    expect(wallClockAt(spans, 19)).toBeNull();
    expect(wallClockAt([], 10)).toBeNull();
  });
});

describe("where a moment is shown", () => {
  it("is the way back", () => {
    for (const mediaTime of [10, 11.5, 13.25, 16, 17.999]) {
      const moment = wallClockAt(spans, mediaTime);
      expect(mediaTimeAt(spans, moment ?? NaN)).toBeCloseTo(mediaTime, 3);
    }
  });

  it("is what follows the gap for a moment inside one", () => {
    expect(mediaTimeAt(spans, t0 + 30_000)).toBe(16);
  });

  it("is nowhere before and after what is listed", () => {
    expect(mediaTimeAt(spans, t0 - 1)).toBeNull();
    expect(mediaTimeAt(spans, t0 + 68_000)).toBeNull();
    expect(mediaTimeAt([], t0)).toBeNull();
  });
});
