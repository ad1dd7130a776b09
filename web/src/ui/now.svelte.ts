/** The browser's clock as state, in whole seconds' rhythm, for "12 s ago". */

/** Relative times are shown in seconds, so they need no finer clock. */
const TICK_MS = 1_000;

class Now {
  ms = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (document.visibilityState === "visible") this.ms = Date.now();
    }, TICK_MS);
  }
}

export const now = new Now();
