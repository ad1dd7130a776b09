/**
 * The one translator from everything that can go wrong with a request to what a person is told and
 * to what the app does next. Knows no page.
 */
import type { ErrorBody } from "./types";

/**
 * What the app does about it: `unreachable` and `server` are tried again, `unauthorized` asks for
 * the token, `missing` and `refused` are shown and stay until the user does something else.
 */
export type ErrorKind = "unreachable" | "unauthorized" | "missing" | "refused" | "server";

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly kind: ErrorKind,
    readonly code: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later without anybody doing anything. */
  get passing(): boolean {
    return this.kind === "unreachable" || this.kind === "server";
  }
}

function kindOf(status: number): ErrorKind {
  if (status === 401) return "unauthorized";
  if (status === 404) return "missing";
  // 408 and 429 pass by themselves, like everything that the server blames on itself.
  if (status >= 500 || status === 408 || status === 429) return "server";
  return "refused";
}

function isErrorBody(body: unknown): body is ErrorBody {
  if (typeof body !== "object" || body === null || !("error" in body)) return false;
  const { error } = body;
  return (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    typeof error.code === "string" &&
    "message" in error &&
    typeof error.message === "string"
  );
}

/** A response that is not 2xx; `text` is its body, whatever it holds. */
export function fromResponse(status: number, text: string): ApiError {
  const kind = kindOf(status);
  try {
    const body: unknown = JSON.parse(text);
    if (isErrorBody(body)) {
      return new ApiError(kind, body.error.code, body.error.message, body.error.hint ?? null);
    }
  } catch {
    // Not JSON: a proxy in between answered.
  }
  // A gateway that cannot reach kinora says so with these.
  if (status === 502 || status === 503 || status === 504) return unreachable();
  return new ApiError(kind, `http_${status}`, `The server answered with status ${status}.`);
}

/** No response at all. */
export function unreachable(): ApiError {
  return new ApiError(
    "unreachable",
    "unreachable",
    "The server cannot be reached.",
    "Is kinora still running, and is the network up? Trying again by itself.",
  );
}

/** Anything that was thrown, as an `ApiError`. */
export function fromThrown(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  // fetch() rejects with a TypeError for every network failure.
  if (thrown instanceof TypeError) return unreachable();
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError("server", "unexpected", message);
}
