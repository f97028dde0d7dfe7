/** What a request says beside its body. */
export interface Asked {
  /** The address that it was sent to. */
  readonly host: string
  /**
   * Calls back when the system has taken the answer, so that its memory may be written again; of an answer that nobody took,
   * never. Without it an answer's memory is the caller's.
   */
  readonly onSent?: (listener: () => void) => void
}
