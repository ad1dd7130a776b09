/**
 * Times as people read them. Everything is shown in the viewer's own zone, written year first so
 * that it sorts and cannot be misread, and `utcTitle` gives the same moment in UTC for a tooltip.
 * Knows no clock: "now" is always an argument.
 */

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

/** `2026-07-12` in local time. */
export function localDate(ms: number): string {
  const date = new Date(ms);
  return `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** `14:03:22`, or `14:03:22.417` with `millis`, in local time. */
export function localTime(ms: number, millis = false): string {
  const date = new Date(ms);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${time}.${pad(date.getMilliseconds(), 3)}` : time;
}

/** `2026-07-12 14:03:22`, or with milliseconds, in local time. */
export function localDateTime(ms: number, millis = false): string {
  return `${localDate(ms)} ${localTime(ms, millis)}`;
}

/** `2026-07-12 12:03:22.417 UTC`: the tooltip beside every local time. */
export function utcTitle(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** The viewer's offset at that moment, as `UTC+02:00`. */
export function zoneLabel(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const absolute = Math.abs(minutes);
  return `UTC${sign}${pad(Math.floor(absolute / 60))}:${pad(absolute % 60)}`;
}

/** What `<input type="datetime-local" step="1">` wants: `2026-07-12T14:03:22`. */
export function toLocalInput(ms: number): string {
  return `${localDate(ms)}T${localTime(ms)}`;
}

/** The moment that such an input holds, or null when it is empty or no date. */
export function fromLocalInput(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?$/.test(text)) return null;
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? null : ms;
}

/**
 * A moment from the API or from a link: RFC 3339 with a zone, or epoch milliseconds. Null when it
 * is neither; a date without a zone is refused rather than guessed.
 */
export function parseMoment(text: string): number | null {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** RFC 3339 UTC with milliseconds, as the API and links use it. */
export function toRfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

/** A length of time in its two largest units: `2 h 5 min`, `41 s`, `640 ms`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  let rest = Math.round(ms / 1_000) * 1_000;
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    // Two units in a row are as exact as anybody reads: `3 d`, never `3 d 12 s`.
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** How long ago, in one unit: `just now`, `12 s ago`, `3 h ago`; a date after a month. */
export function relative(ms: number, now: number): string {
  const age = now - ms;
  // A server clock a little ahead of the browser's is no news.
  if (age < -5_000) return `in ${oneUnit(-age)}`;
  if (age < 3_000) return "just now";
  if (age > 30 * 86_400_000) return localDate(ms);
  return `${oneUnit(age)} ago`;
}

function oneUnit(ms: number): string {
  const [name, size] = UNITS.find(([, unit]) => ms >= unit) ?? ["s", 1_000];
  return `${Math.floor(ms / size)} ${name}`;
}

/** A clock that is ahead reads +, one that is behind −: `−120 ms, +3.2 ppm`. */
export function clockReading(clock: { offset_ms: number; drift_ppm: number | null }): string {
  const signed = (value: number, digits: number) =>
    `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
  const offset =
    Math.abs(clock.offset_ms) < 10_000
      ? `${signed(clock.offset_ms, 0)} ms`
      : `${signed(clock.offset_ms / 1000, 1)} s`;
  return clock.drift_ppm === null ? offset : `${offset}, ${signed(clock.drift_ppm, 1)} ppm`;
}
