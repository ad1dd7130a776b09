import { describe, expect, it } from "vitest";
import { keyStep, msAt, runSpans, ticks, viewOf, xOf } from "./geometry";

const HOUR = 3_600_000;
const noon = Date.UTC(2026, 6, 12, 10); // 12:00 in Berlin, where the tests run

describe("mapping", () => {
  const view = viewOf(noon, noon + HOUR, 720);

  it("goes to pixels and back", () => {
    expect(xOf(view, noon + HOUR / 2)).toBe(360);
    expect(msAt(view, 360)).toBe(noon + HOUR / 2);
    expect(msAt(view, xOf(view, noon + 1_234_567))).toBe(noon + 1_234_567);
  });

  it("stays inside the view", () => {
    expect(msAt(view, -10)).toBe(noon);
    expect(msAt(view, 10_000)).toBe(noon + HOUR);
  });

  it("survives a recording without length and a bar without width", () => {
    const empty = viewOf(noon, noon, 0);
    expect(xOf(empty, noon)).toBe(0);
    expect(Number.isFinite(msAt(empty, 5))).toBe(true);
  });
});

describe("what to fill", () => {
  const view = viewOf(0, 100_000, 1_000); // 100 ms a pixel

  it("keeps a gap that can be seen and joins over one that cannot", () => {
    expect(
      runSpans(view, [
        { startMs: 0, endMs: 10_000 },
        { startMs: 10_050, endMs: 20_000 },
        { startMs: 30_000, endMs: 40_000 },
      ]),
    ).toEqual([
      { x: 0, width: 200 },
      { x: 300, width: 100 },
    ]);
  });

  it("shows the shortest run and cuts at the view's edges", () => {
    expect(
      runSpans(view, [
        { startMs: -5_000, endMs: 1_000 },
        { startMs: 50_000, endMs: 50_001 },
        { startMs: 99_000, endMs: 200_000 },
        { startMs: 150_000, endMs: 160_000 },
      ]),
    ).toEqual([
      { x: 0, width: 10 },
      { x: 500, width: 1 },
      { x: 990, width: 10 },
    ]);
  });

  it("draws no more spans than pixels for any number of runs", () => {
    const runs = Array.from({ length: 50_000 }, (_, i) => ({ startMs: i * 2, endMs: i * 2 + 1 }));
    expect(runSpans(view, runs).length).toBeLessThanOrEqual(1_000);
    const last = runSpans(view, runs).at(-1);
    expect((last?.x ?? 0) + (last?.width ?? 0)).toBeCloseTo(1_000, 0);
  });

  it("never loses the length of an outer run to a shorter one inside it", () => {
    expect(
      runSpans(view, [
        { startMs: 0, endMs: 50_000 },
        { startMs: 1_000, endMs: 2_000 },
      ]),
    ).toEqual([{ x: 0, width: 500 }]);
  });
});

describe("ticks", () => {
  it("stand at round local times and fit beside each other", () => {
    const found = ticks(viewOf(noon + 60_000, noon + HOUR, 720));
    expect(found.map((tick) => tick.label)).toEqual([
      "12:10",
      "12:20",
      "12:30",
      "12:40",
      "12:50",
      "13:00",
    ]);
    const gaps = found.slice(1).map((tick, i) => tick.x - (found[i]?.x ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(72);
  });

  it("show seconds when they are seconds apart", () => {
    expect(ticks(viewOf(noon, noon + 20_000, 400)).map((tick) => tick.label)).toEqual([
      "12:00:00",
      "12:00:05",
      "12:00:10",
      "12:00:15",
      "12:00:20",
    ]);
  });

  it("name the day where it changes", () => {
    const labels = ticks(viewOf(noon, noon + 24 * HOUR, 900)).map((tick) => tick.label);
    expect(labels).toContain("07-13");
    expect(labels[0]).toBe("12:00");
  });

  it("stay at round hours through the end of summer time", () => {
    const start = new Date(2026, 9, 25, 0, 0).getTime(); // 25 hours long in Berlin
    const found = ticks(viewOf(start, start + 25 * HOUR, 700));
    for (const tick of found) expect(new Date(tick.ms).getMinutes()).toBe(0);
    expect(found.at(-1)?.label).toBe("10-26");
  });

  it("are dates for weeks", () => {
    const labels = ticks(viewOf(noon, noon + 14 * 24 * HOUR, 700)).map((tick) => tick.label);
    expect(labels[0]).toMatch(/^2026-07-1\d$/);
    expect(labels.length).toBeLessThanOrEqual(8);
  });
});

it("moves by keys and stays inside", () => {
  const view = viewOf(noon, noon + HOUR, 720);
  expect(keyStep(view, "ArrowRight", noon)).toBe(noon + 5_000);
  expect(keyStep(view, "ArrowLeft", noon)).toBe(noon);
  expect(keyStep(view, "PageUp", noon)).toBe(noon + HOUR / 20);
  expect(keyStep(view, "End", noon)).toBe(noon + HOUR);
  expect(keyStep(view, "Home", noon + 1)).toBe(noon);
  expect(keyStep(view, "x", noon)).toBeNull();
});
