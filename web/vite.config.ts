import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running kinora; another address can be given in KINORA_URL. */
const server = process.env["KINORA_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte()],
  build: {
    // The oldest browsers with everything the app uses without polyfills (light-dark(), MSE in
    // Safari through ManagedMediaSource).
    target: ["chrome123", "firefox121", "safari17.5"],
    // hls.js is one chunk of about 590 kB before compression, loaded only by the stream page;
    // the real limit is the gzip budget in scripts/budget.mjs.
    chunkSizeWarningLimit: 700,
  },
  server: {
    // kinora checks Host and Origin of browsers, so the proxy speaks as the server's own origin.
    proxy: { "/v1": { target: server, changeOrigin: true, headers: { origin: server } } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
    // Times are shown in the viewer's zone; the tests need one that is not UTC to notice mix-ups.
    env: { TZ: "Europe/Berlin" },
  },
});
