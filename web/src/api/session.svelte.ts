/** Whether the server wants a token. The token itself is never kept: the cookie is HttpOnly. */
import { login, logout, whenUnauthorized } from "./client";

/** Remembers only that a login happened, so that a reload still offers to sign out. */
const SIGNED_IN_KEY = "kinora.signed-in";

class Session {
  /** The server refused a request for want of a token; the login page is shown until one works. */
  needsLogin = $state(false);
  /** Signed in with a token; on a server without one there is nothing to sign out of. */
  signedIn = $state(remembered());

  constructor() {
    whenUnauthorized(() => {
      this.needsLogin = true;
      this.#remember(false);
    });
  }

  async signIn(token: string): Promise<void> {
    await login(token);
    this.#remember(true);
    this.needsLogin = false;
  }

  async signOut(): Promise<void> {
    await logout();
    this.#remember(false);
    this.needsLogin = true;
  }

  /** For the player, whose requests are not the client's. */
  refused(): void {
    this.needsLogin = true;
  }

  #remember(signedIn: boolean): void {
    this.signedIn = signedIn;
    try {
      if (signedIn) localStorage.setItem(SIGNED_IN_KEY, "1");
      else localStorage.removeItem(SIGNED_IN_KEY);
    } catch {
      // Storage may be forbidden; then the button to sign out is missing after a reload.
    }
  }
}

function remembered(): boolean {
  try {
    return localStorage.getItem(SIGNED_IN_KEY) === "1";
  } catch {
    return false;
  }
}

export const session = new Session();
