/** Why media is absent, in words, and how bad that is. Pure. */
import type { Cause } from "../api/types";

/** `calm` was meant, `warn` is the camera's or the network's trouble, `bad` is the server's. */
export type Tone = "calm" | "warn" | "bad";

const CAUSES: Record<Cause, readonly [words: string, tone: Tone]> = {
  producer_stopped: ["The producer ended", "calm"],
  connection_lost: ["Connection lost", "warn"],
  stall: ["The producer sent nothing", "warn"],
  input_refused: ["Input refused", "warn"],
  replaced: ["Another producer took over", "calm"],
  server_down: ["Server was down", "bad"],
  disk_refused: ["The disk took nothing", "bad"],
  clock_step: ["The producer’s clock jumped", "warn"],
  expired: ["Expired", "calm"],
  damaged: ["Damaged on disk", "bad"],
  unknown: ["Cause unknown", "warn"],
};

/** A server newer than this page may know a cause that it does not: its own word is shown. */
export function causeWords(cause: string): string {
  return CAUSES[cause as Cause]?.[0] ?? cause.replaceAll("_", " ");
}

export function causeTone(cause: string): Tone {
  return CAUSES[cause as Cause]?.[1] ?? "warn";
}
