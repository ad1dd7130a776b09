/**
 * What a failure inside hls.js means to the viewer and what the player does next. Pure: sees only
 * the few fields of an hls.js error that matter.
 */

/**
 * `network`: the server does not answer, tried again with growing pauses. `gone`: the server knows
 * no such media. `unauthorized`: it wants a token. `codec`: this browser cannot decode it.
 * `decoder`: the decoder gave up on damaged media; tried again from the same moment.
 */
export type ProblemKind = "network" | "gone" | "unauthorized" | "codec" | "decoder";

export interface Problem {
  readonly kind: ProblemKind;
  readonly text: string;
}

/** The fields of hls.js's `ErrorData` that matter. */
export interface HlsFailure {
  readonly type: string;
  readonly details: string;
  readonly response?: { readonly code?: number | undefined } | undefined;
  readonly error?: { readonly message: string } | undefined;
}

const CODEC_DETAILS: ReadonlySet<string> = new Set([
  "manifestIncompatibleCodecsError",
  "bufferAddCodecError",
  "bufferIncompatibleCodecsError",
]);

export function problemOf(failure: HlsFailure): Problem {
  if (CODEC_DETAILS.has(failure.details)) {
    return { kind: "codec", text: "This browser cannot decode this stream." };
  }
  if (failure.type === "networkError") {
    const status = failure.response?.code ?? 0;
    if (status === 401) return { kind: "unauthorized", text: "Signed out." };
    if (failure.details.startsWith("frag")) {
      // A listed segment that is gone or late; the playlist loaded anew knows better.
      return { kind: "network", text: "A piece of the recording cannot be loaded." };
    }
    if (status === 404 || status === 410) {
      return { kind: "gone", text: "Nothing is recorded there." };
    }
    if (status >= 400 && status < 500) {
      return { kind: "gone", text: `The server refused the playlist with status ${status}.` };
    }
    return { kind: "network", text: "The connection to the server is lost." };
  }
  return {
    kind: "decoder",
    text: `Playback stumbled: ${failure.error?.message ?? failure.details}.`,
  };
}

/** Whether trying again by itself can help. */
export function passes(problem: Problem): boolean {
  return problem.kind === "network" || problem.kind === "decoder";
}
