import { describe, expect, it } from "vitest";
import { passes, problemOf } from "./problem";

const network = (code?: number) =>
  problemOf({ type: "networkError", details: "manifestLoadError", response: { code } });

describe("a failure of hls.js", () => {
  it("is a lost connection without an answer or with the server's own failure", () => {
    for (const code of [undefined, 0, 500, 502, 503]) expect(network(code).kind).toBe("network");
  });

  it("is told apart where the server answered", () => {
    expect(network(401).kind).toBe("unauthorized");
    expect(network(404).kind).toBe("gone");
    expect(network(400)).toEqual({
      kind: "gone",
      text: "The server refused the playlist with status 400.",
    });
  });

  it("passes where only one segment is missing", () => {
    const response = { code: 404 };
    const failure = { type: "networkError", details: "fragLoadError", response };
    expect(problemOf(failure)).toMatchObject({ kind: "network" });
  });

  it("is the browser's lack of a codec, whatever type hls.js gives it", () => {
    for (const details of ["manifestIncompatibleCodecsError", "bufferAddCodecError"]) {
      expect(problemOf({ type: "mediaError", details }).kind).toBe("codec");
    }
  });

  it("is the decoder otherwise, with the reason", () => {
    const error = { message: "PIPELINE_ERROR_DECODE" };
    expect(problemOf({ type: "mediaError", details: "x", error })).toEqual({
      kind: "decoder",
      text: "Playback stumbled: PIPELINE_ERROR_DECODE.",
    });
  });
});

it("is tried again only where that can help", () => {
  const kinds = ["network", "decoder", "gone", "unauthorized", "codec"] as const;
  expect(kinds.map((kind) => passes({ kind, text: "" }))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
