import { expect, it } from "vitest";
import { clockOffsetMs, EDGE_SAMPLES, liveEdgeMs, withSample, type EdgeSample } from "./live-edge";

// A server clock 1000 s ahead of the browser's; answers delayed by 40, 300 and 90 ms.
const samples: EdgeSample[] = [
  { answeredAtMs: 10_040, lastReceivedMs: 1_010_000 },
  { answeredAtMs: 12_300, lastReceivedMs: 1_012_000 },
  { answeredAtMs: 14_090, lastReceivedMs: 1_014_000 },
];

it("takes the clocks' difference from the least delayed answer", () => {
  expect(clockOffsetMs(samples)).toBe(999_960);
  expect(clockOffsetMs([])).toBeNull();
});

it("gives the producer's now, however wrong the browser's clock is", () => {
  // The producer's clock is 7 s behind the server's.
  const newest = { producerMs: 1_006_000, serverMs: 1_013_000 };
  expect(liveEdgeMs(samples, newest, 15_000)).toBe(1_007_960);
});

it("is unknown without an answer or a fragment", () => {
  expect(liveEdgeMs([], { producerMs: 1, serverMs: 1 }, 0)).toBeNull();
  expect(liveEdgeMs(samples, null, 0)).toBeNull();
});

it("forgets old answers, so that a clock that was set is followed", () => {
  let kept: EdgeSample[] = [];
  for (let i = 0; i < EDGE_SAMPLES; i += 1) {
    kept = withSample(kept, { answeredAtMs: i, lastReceivedMs: i + 9_999 });
  }
  for (let i = 0; i < EDGE_SAMPLES; i += 1) {
    kept = withSample(kept, { answeredAtMs: i, lastReceivedMs: i + 5 });
  }
  expect(kept).toHaveLength(EDGE_SAMPLES);
  expect(clockOffsetMs(kept)).toBe(5);
});
