/** What the table of fragments asks for and how its rows relate to the picture on screen. Pure. */
import type { Fragment } from "../api/types";
import type { FragmentsQuery, FragmentsView, StreamState } from "../paths";

/** Rows of one page where they are lines of a table. */
export const PAGE_ROWS = 50;
/** Rows of one page where they are cards on a phone, with the pager below them all. */
export const PAGE_ROWS_NARROW = 20;
/** Of the rows around the picture, this part comes before it. */
const PART_BEFORE = 0.2;

/** `follow` means newest first while live is played, and else what is around the picture. */
export function shownView(view: FragmentsView, playsLive: boolean): "newest" | "around" | "range" {
  if (view !== "follow") return view;
  return playsLive ? "newest" : "around";
}

export interface Choice extends Pick<StreamState, "by" | "fromMs" | "toMs"> {
  readonly view: "newest" | "around" | "range";
  /** The moment that `around` is around; null before the first picture. */
  readonly anchorMs: number | null;
  /** Mean length of this stream's fragments. */
  readonly fragmentMs: number;
  /** Rows of one page. */
  readonly limit: number;
}

/** The query of the first page; null while there is nothing to ask for yet. */
export function queryOf(choice: Choice): FragmentsQuery | null {
  const { limit } = choice;
  switch (choice.view) {
    case "newest":
      return { by: choice.by, order: "desc", limit };
    case "range":
      return { startMs: choice.fromMs, endMs: choice.toMs, by: choice.by, order: "asc", limit };
    case "around":
      if (choice.anchorMs === null) return null;
      return {
        startMs: Math.floor(choice.anchorMs - PART_BEFORE * limit * choice.fragmentMs),
        by: "producer",
        order: "asc",
        limit,
      };
  }
}

/** Whether the picture lies in the fragment. */
export function isOnScreen(fragment: Fragment, pictureMs: number): boolean {
  const startMs = Date.parse(fragment.producer_time);
  return startMs <= pictureMs && pictureMs < startMs + fragment.duration_ms;
}

/** The number of the fragment on screen, where it is among these. */
export function onScreen(fragments: readonly Fragment[], pictureMs: number | null): number | null {
  if (pictureMs === null) return null;
  return fragments.find((fragment) => isOnScreen(fragment, pictureMs))?.number ?? null;
}

/**
 * Where `around` is anchored now: it stays while the picture lies among the rows shown, so that
 * they do not move under the reader, and follows the picture once it has left them.
 */
export function anchorOf(
  anchorMs: number | null,
  fragments: readonly Fragment[],
  pictureMs: number | null,
): number | null {
  if (pictureMs === null) return anchorMs;
  if (anchorMs === null) return pictureMs;
  const first = fragments[0];
  const last = fragments.at(-1);
  if (!first || !last) return anchorMs;
  const startMs = Date.parse(first.producer_time);
  const endMs = Date.parse(last.producer_time) + last.duration_ms;
  return startMs <= pictureMs && pictureMs < endMs ? anchorMs : pictureMs;
}

/** Mean length of a fragment; one second where nothing is known. */
export function meanFragmentMs(coveredMs: number, count: number): number {
  return count > 0 && coveredMs > 0 ? coveredMs / count : 1_000;
}
