/** The address bar as state. Pages read `router.route` and change it through `go`. */
import { routeOf, type Route } from "./paths";

class Router {
  route = $state.raw<Route>(routeOf(new URL(location.href)));

  constructor() {
    addEventListener("popstate", () => this.#read());
  }

  /** Shows `path`; `replace` for changes that the back button should not stop at. */
  go(path: string, how: "push" | "replace" = "push"): void {
    if (path === location.pathname + location.search) return;
    if (how === "push") history.pushState(null, "", path);
    else history.replaceState(null, "", path);
    const before = this.route;
    this.#read();
    if (how === "push" && before.page !== this.route.page) scrollTo(0, 0);
  }

  /** Follows a plain click on a link to a page of this app without loading the document again. */
  followClick(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || routeOf(url).page === "unknown") return;
    event.preventDefault();
    this.go(url.pathname + url.search);
  }

  #read(): void {
    this.route = routeOf(new URL(location.href));
  }
}

export const router = new Router();
