import { describe, expect, it } from "vitest";
import { duration } from "../../format/time";
import { expiryWords, limitWords, pinWords } from "./kept";

const now = Date.parse("2026-07-12T12:00:00Z");
const days = (seconds: number) => duration(seconds * 1_000);

describe("a limit", () => {
  it("says whether it is the stream's own", () => {
    expect(limitWords(null, null, days)).toBe("none");
    expect(limitWords(null, 86_400, days)).toBe("1 d");
    expect(limitWords(172_800, 172_800, days)).toBe("2 d, its own");
    expect(limitWords("unlimited", null, days)).toBe("none, its own");
  });
});

describe("the next expiry", () => {
  it("is told with the limit that is reached", () => {
    expect(expiryWords(null, now)).toBe("not foreseen");
    expect(expiryWords({ at: "2026-07-12T15:00:00Z", limit: "age" }, now)).toBe("in 3 h, by age");
    expect(expiryWords({ at: "2026-07-12T12:00:20Z", limit: "bytes" }, now)).toBe(
      "in 20 s, by size",
    );
  });

  it("is now at the limit, also by a browser's clock that is ahead", () => {
    expect(expiryWords({ at: "2026-07-12T12:00:00Z", limit: "bytes" }, now)).toBe("now, by size");
    expect(expiryWords({ at: "2026-07-12T11:50:00Z", limit: "age" }, now)).toBe("now, by age");
  });
});

describe("a pin", () => {
  it("says who and why, as far as it was told", () => {
    expect(pinWords({ by: "ann", reason: "case 7" })).toBe("ann: case 7");
    expect(pinWords({ by: "", reason: "case 7" })).toBe("case 7");
    expect(pinWords({ by: "", reason: "" })).toBe("");
  });
});
