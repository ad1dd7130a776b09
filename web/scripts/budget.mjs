// Fails the build when what a browser must load for everything, hls.js included, grows past the
// budget. Compressed sizes are what a visitor waits for.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** Bytes after gzip of all files in dist together. */
const TOTAL_BUDGET = 250 * 1024;
/** Bytes after gzip of everything but hls.js: what the list of streams costs. */
const FIRST_PAGE_BUDGET = 60 * 1024;

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({
    path: path.slice(dist.length + 1),
    bytes: gzipSync(readFileSync(path)).length,
  }))
  .sort((a, b) => b.bytes - a.bytes);

const sum = (/** @type {typeof files} */ some) =>
  some.reduce((total, file) => total + file.bytes, 0);
const kib = (/** @type {number} */ bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

for (const file of files) console.log(`${kib(file.bytes).padStart(10)}  ${file.path}`);

const total = sum(files);
const firstPage = sum(files.filter((file) => !/\/hls-[^/]*\.js$/.test(file.path)));
console.log(
  `gzip total ${kib(total)} of ${kib(TOTAL_BUDGET)}, without hls.js ${kib(firstPage)} of ${kib(FIRST_PAGE_BUDGET)}`,
);
if (total > TOTAL_BUDGET || firstPage > FIRST_PAGE_BUDGET) {
  console.error("The web app is over its size budget.");
  process.exit(1);
}
