import { describe, expect, it } from "vitest";
import type { Storage } from "../../api/types";
import { limits, outlook, shares } from "./room";

const now = Date.parse("2026-07-12T12:00:00Z");
const GB = 1_000_000_000;
const storage = (over: Partial<Storage> = {}): Storage => ({
  state: "ample",
  disk_bytes: 500 * GB,
  free_bytes: 100 * GB,
  keep_free_bytes: GB,
  used_bytes: 50 * GB,
  max_total_bytes: null,
  default_max_age_s: null,
  default_max_bytes: null,
  bytes_per_second: 2_000_000,
  forecast: {
    full_at: "2026-07-15T12:00:00Z",
    limit: "disk",
    next_stream: "yard",
    next_recorded_at: "2026-07-01T12:00:00Z",
  },
  ...over,
});
const forecast = (full_at: string | null, limit: "disk" | "total" | null = "disk") => ({
  forecast: { full_at, limit, next_stream: null, next_recorded_at: null },
});

describe("the disk", () => {
  it("is recordings, other files and what is free", () => {
    expect(shares(storage())).toEqual({ recordings: 10, others: 70, free: 20 });
  });

  it("has no negative part where files share blocks, and none at all where it is unknown", () => {
    expect(shares(storage({ used_bytes: 450 * GB }))?.others).toBe(0);
    expect(shares(storage({ disk_bytes: null }))).toBeNull();
    expect(shares(storage({ free_bytes: null }))).toBeNull();
  });
});

describe("what comes", () => {
  it("is told at the present rate, with the limit that is reached first", () => {
    const disk = outlook(storage(), now);
    expect([disk.when, disk.tone, disk.evicts]).toEqual(["in 3 d", "quiet", false]);
    expect(disk.why).toBe("The disk is reached at 2.0 MB/s, unless recordings expire before.");
    const total = { max_total_bytes: 60 * GB, ...forecast("2026-07-12T14:00:00Z", "total") };
    expect(outlook(storage(total), now)).toMatchObject({
      when: "in 2 h",
      why: "The limit of 60 GB is reached at 2.0 MB/s, unless recordings expire before.",
    });
  });

  it("is that the oldest go, at the limit or where the disk runs low", () => {
    const total = { max_total_bytes: 50 * GB, ...forecast("2026-07-12T12:00:03Z", "total") };
    expect(outlook(storage(total), now)).toEqual({
      tone: "warn",
      when: "now",
      why: "The limit of 50 GB is reached: the oldest recordings make room.",
      evicts: true,
    });
    // Nothing arrives any more; the disk is low all the same.
    const low = outlook(
      storage({ state: "low", bytes_per_second: 0, ...forecast(null, null) }),
      now,
    );
    expect([low.evicts, low.why.startsWith("The disk is reached")]).toEqual([true, true]);
  });

  it("is a refusal where nothing may go", () => {
    const full = outlook(storage({ state: "full" }), now);
    expect([full.tone, full.evicts]).toEqual(["bad", false]);
  });

  it("is nothing without a rate, or in a far future", () => {
    const idle = outlook(storage({ bytes_per_second: 0, ...forecast(null, null) }), now);
    expect(idle.when).toBe("not foreseen");
    expect(outlook(storage(forecast("2099-01-01T00:00:00Z")), now).when).toBe("not in ten years");
    expect(outlook(storage(forecast(null, null)), now).when).toBe("not in ten years");
  });
});

describe("the server's limits", () => {
  it("are told only as far as there are any", () => {
    expect(limits(storage())).toBeNull();
    expect(limits(storage({ max_total_bytes: 50 * GB }))).toBe("50 GB in all");
    expect(
      limits(
        storage({
          default_max_age_s: 30 * 86_400,
          default_max_bytes: 2 * GB,
          max_total_bytes: 50 * GB,
        }),
      ),
    ).toBe("30 d and 2.0 GB a stream, 50 GB in all");
  });
});
