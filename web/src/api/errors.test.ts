import { describe, expect, it } from "vitest";
import { ApiError, fromResponse, fromThrown } from "./errors";

describe("a response that failed", () => {
  it("carries the server's own words", () => {
    const body = JSON.stringify({
      error: { code: "stream_not_found", message: "There is no stream “x”.", hint: "Push it." },
    });
    const error = fromResponse(404, body);
    expect(error).toMatchObject({
      kind: "missing",
      code: "stream_not_found",
      message: "There is no stream “x”.",
      hint: "Push it.",
      passing: false,
    });
  });

  it("works without a hint", () => {
    const error = fromResponse(400, '{"error":{"code":"bad_time","message":"No."}}');
    expect(error).toMatchObject({ kind: "refused", hint: null, passing: false });
  });

  it.each(["", "<html>Bad gateway</html>", "{}", '{"error":"x"}', '{"error":{"code":1}}', "null"])(
    "falls back to the status for the body %j",
    (text) => expect(fromResponse(500, text)).toMatchObject({ kind: "server", code: "http_500" }),
  );

  it("counts a gateway's answer as an unreachable server, a server's own 503 as busy", () => {
    expect(fromResponse(502, "nginx")).toMatchObject({ kind: "unreachable", passing: true });
    const own = fromResponse(503, '{"error":{"code":"draining","message":"Shutting down."}}');
    expect(own).toMatchObject({ kind: "server", code: "draining", passing: true });
  });

  it("asks for the token on 401 only", () => {
    expect(fromResponse(401, "").kind).toBe("unauthorized");
    expect(fromResponse(403, "").kind).toBe("refused");
    expect(fromResponse(429, "").kind).toBe("server");
  });
});

describe("something thrown", () => {
  it("is passed on when it is one of ours", () => {
    const ours = new ApiError("refused", "x", "y");
    expect(fromThrown(ours)).toBe(ours);
  });

  it("is the network when fetch threw it, else a defect with its message", () => {
    expect(fromThrown(new TypeError("Failed to fetch")).kind).toBe("unreachable");
    expect(fromThrown(new Error("boom"))).toMatchObject({ kind: "server", message: "boom" });
    expect(fromThrown("boom")).toMatchObject({ message: "boom" });
  });
});
