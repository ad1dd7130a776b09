import { describe, expect, it } from "vitest";
import {
  clockReading,
  duration,
  fromLocalInput,
  localDateTime,
  parseMoment,
  relative,
  toLocalInput,
  toRfc3339,
  utcTitle,
  zoneLabel,
} from "./time";

// Vitest runs in Europe/Berlin (vite.config.ts): UTC+2 in July, UTC+1 in January.
const july = Date.UTC(2026, 6, 12, 12, 3, 22, 7);
const january = Date.UTC(2026, 0, 5, 23, 59, 59, 999);

describe("showing a moment", () => {
  it("is local, year first, with milliseconds when asked", () => {
    expect(localDateTime(july)).toBe("2026-07-12 14:03:22");
    expect(localDateTime(july, true)).toBe("2026-07-12 14:03:22.007");
    expect(localDateTime(january, true)).toBe("2026-01-06 00:59:59.999");
  });

  it("has the same moment in UTC for the tooltip", () => {
    expect(utcTitle(july)).toBe("2026-07-12 12:03:22.007 UTC");
  });

  it("names the offset of that moment, not of today", () => {
    expect(zoneLabel(july)).toBe("UTC+02:00");
    expect(zoneLabel(january)).toBe("UTC+01:00");
  });
});

describe("the date and time input", () => {
  it("gives back the second it was given", () => {
    const second = Math.floor(july / 1000) * 1000;
    expect(toLocalInput(july)).toBe("2026-07-12T14:03:22");
    expect(fromLocalInput(toLocalInput(july))).toBe(second);
  });

  it("reads a value without seconds, as browsers write full minutes", () => {
    expect(fromLocalInput("2026-07-12T14:03")).toBe(Date.UTC(2026, 6, 12, 12, 3));
  });

  it("is null when empty or no date", () => {
    expect(fromLocalInput("")).toBeNull();
    expect(fromLocalInput("yesterday")).toBeNull();
    expect(fromLocalInput("2026-99-12T14:03:22")).toBeNull();
  });
});

describe("parsing a moment", () => {
  it("accepts RFC 3339 and epoch milliseconds", () => {
    expect(parseMoment("2026-07-12T12:03:22.007Z")).toBe(july);
    expect(parseMoment("2026-07-12T14:03:22.007+02:00")).toBe(july);
    expect(parseMoment(String(july))).toBe(july);
    expect(parseMoment(toRfc3339(july))).toBe(july);
  });

  it("refuses a date without a zone and anything else", () => {
    expect(parseMoment("2026-07-12T12:03:22")).toBeNull();
    expect(parseMoment("2026-07-12")).toBeNull();
    expect(parseMoment("now")).toBeNull();
    expect(parseMoment("")).toBeNull();
  });
});

describe("durations", () => {
  it.each([
    [0, "0 ms"],
    [640, "640 ms"],
    [2_000, "2.0 s"],
    [41_000, "41 s"],
    [59_999, "1 min"],
    [125_000, "2 min 5 s"],
    [7_500_000, "2 h 5 min"],
    [86_400_000 * 3 + 12_000, "3 d"],
    [86_400_000 * 30 + 3_600_000 * 4, "30 d 4 h"],
  ])("%i ms reads %s", (ms, text) => expect(duration(ms)).toBe(text));
});

describe("how long ago", () => {
  it.each([
    [0, "just now"],
    [-2_000, "just now"],
    [12_400, "12 s ago"],
    [3_600_000 * 5, "5 h ago"],
    [86_400_000 * 2, "2 d ago"],
    [-60_000, "in 1 min"],
  ])("an age of %i ms reads %s", (age, text) => expect(relative(july - age, july)).toBe(text));

  it("becomes a date after a month", () => {
    expect(relative(january, july)).toBe("2026-01-06");
  });
});

describe("reading a camera's clock", () => {
  it("says how far it is off and how fast it drifts", () => {
    expect(clockReading({ offset_ms: -120.4, drift_ppm: 3.21 })).toBe("−120 ms, +3.2 ppm");
    expect(clockReading({ offset_ms: 3_600_000, drift_ppm: null })).toBe("+3600.0 s");
  });
});
