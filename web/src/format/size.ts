/** Amounts as people read them: decimal units, as disks and network links are sold. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `512 kB`, `2.0 MB`, `14 GB`: one decimal below ten. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  // 999.5 would round to "1000 kB"; that is 1.0 MB.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}

/** `812 kbit/s`, `2.0 Mbit/s`, `14.2 Mbit/s`. */
export function bitrate(kbps: number): string {
  return kbps < 999.5 ? `${kbps.toFixed(0)} kbit/s` : `${(kbps / 1_000).toFixed(1)} Mbit/s`;
}

/** Frames per second without a needless fraction: `30`, `29.97`, `12.5`. */
export function frameRate(fps: number): string {
  return String(Number(fps.toFixed(2)));
}

/** `48 kHz`, `44.1 kHz`. */
export function sampleRate(hz: number): string {
  return `${Number((hz / 1_000).toFixed(2))} kHz`;
}

/** A count with thin thousands separators: `12 480`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
