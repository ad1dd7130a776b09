import { expect, it } from "vitest";
import { nextDelayMs } from "./delay";

it("keeps the interval while all is well and backs off to ten seconds", () => {
  expect([0, 1, 2, 3, 4, 50].map((failures) => nextDelayMs(2_000, failures))).toEqual([
    2_000, 2_000, 4_000, 8_000, 10_000, 10_000,
  ]);
});

it("never asks more often than the interval", () => {
  expect(nextDelayMs(30_000, 3)).toBe(30_000);
});
