/** Light or dark: the system's choice until the viewer makes another one, which is remembered. */

/** Also read by public/theme.js, before the first paint. */
const KEY = "kinora.theme";

type Theme = "light" | "dark";

class ThemeChoice {
  #system = matchMedia("(prefers-color-scheme: dark)");
  #systemDark = $state(this.#system.matches);
  #chosen = $state<Theme | null>(chosenBefore());

  constructor() {
    this.#system.addEventListener("change", (event) => (this.#systemDark = event.matches));
  }

  get current(): Theme {
    return this.#chosen ?? (this.#systemDark ? "dark" : "light");
  }

  toggle(): void {
    const next: Theme = this.current === "dark" ? "light" : "dark";
    // Back at the system's own theme, the choice is dropped and the system followed again.
    const chosen = (next === "dark") === this.#systemDark ? null : next;
    this.#chosen = chosen;
    if (chosen) document.documentElement.dataset["theme"] = chosen;
    else delete document.documentElement.dataset["theme"];
    try {
      if (chosen) localStorage.setItem(KEY, chosen);
      else localStorage.removeItem(KEY);
    } catch {
      // Storage may be forbidden; then the choice lasts until the page is left.
    }
  }
}

function chosenBefore(): Theme | null {
  const theme = document.documentElement.dataset["theme"];
  return theme === "light" || theme === "dark" ? theme : null;
}

export const theme = new ThemeChoice();
