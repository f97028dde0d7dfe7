/** What a page is given each time that it shows itself. */
export interface Showing {
  /** The names behind the page's own in the address, decoded. */
  readonly names: readonly string[]
  /** What stands behind the question mark of the address, such as the page of a list. */
  readonly query: URLSearchParams
  /** Aborted when somebody goes to another page. */
  readonly signal: AbortSignal
}

export interface Page {
  /** Its part of the address: `#/NAME`. */
  readonly name: string
  /** What the navigation calls it. */
  readonly title: string
  /** How often it shows itself again. */
  readonly everyMs: number
  /** Asks the daemon and makes the whole content; its first node is the heading. */
  readonly show: (showing: Showing) => Promise<readonly Node[]>
}
