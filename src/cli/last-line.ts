/** Lines as they come in pieces, all but the last. */
export class LastLine {
  #parts: Buffer[] = []

  /** Takes a piece; gives back everything before the last line that has begun. */
  push(piece: Buffer): Buffer {
    // The last byte may end the last line. (A negative place would count from the end.)
    const end = piece.length < 2 ? -1 : piece.lastIndexOf(10, piece.length - 2)
    // What is held may be a whole line, which ends before this piece.
    const held = this.#parts.at(-1)
    const isLineHeld = held !== undefined && held[held.length - 1] === 10
    if (end < 0 && !isLineHeld) {
      this.#parts.push(piece)
      return Buffer.alloc(0)
    }
    const before = Buffer.concat([...this.#parts, piece.subarray(0, end + 1)])
    this.#parts = [piece.subarray(end + 1)]
    return before
  }

  get line(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
