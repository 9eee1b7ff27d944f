/** The address bar and its history; a test has one of its own. */
export interface AddressBar {
  read(): string;
  /** Show a hash; `push` makes a step that the back button undoes. */
  write(hash: string, push: boolean): void;
  back(): void;
  /** Call `then` whenever the person goes back, forward, or edits the address. */
  watch(then: (hash: string) => void): () => void;
}

export const browserAddress: AddressBar = {
  read: () => window.location.hash,
  write(hash, push) {
    if (window.location.hash === `#${hash}`) return;
    if (push) window.history.pushState(null, "", `#${hash}`);
    else window.history.replaceState(null, "", `#${hash}`);
  },
  back() {
    window.history.back();
  },
  watch(then) {
    const listener = (): void => {
      then(window.location.hash);
    };
    window.addEventListener("popstate", listener);
    return () => {
      window.removeEventListener("popstate", listener);
    };
  },
};
