import type { RowEffect } from '../../commit/index.js'
import type { NewRecord } from '../../log/index.js'
import type { MillraceError } from '../../runtime/index.js'

/** What a feed brings into its stream with one commit. */
export interface FeedPart<Cursor> {
  readonly records: readonly NewRecord[]
  /** Where it goes on behind them; in the same commit. */
  readonly cursor: Cursor
  /** More rows for that commit. */
  readonly rows: readonly RowEffect[]
  /** Nothing follows. */
  readonly isEnd: boolean
  /** The commit has returned. */
  readonly committed?: () => void
  /** What stops the pipeline when this part is one record, and that more than a commit may hold; otherwise what the commit said. */
  readonly tooLarge?: (cause: MillraceError) => MillraceError
}

/** In bytes. */
export interface FeedProgress {
  readonly read: number
  readonly all: number
}

/** Bounds of one part. */
export interface PartBounds {
  readonly recordsMax: number
  readonly bytesMax: number
}

/**
 * What is on its way into a pipeline without lying in a stream of its own: it is brought into an internal stream, in parts,
 * each of which commits with the place where it ends. So all of it comes once, whatever is killed, and a pipeline reads it
 * as it reads any stream.
 */
export interface Feed<Cursor> {
  /** Where it begins. */
  readonly start: Cursor
  /** The next part. Throws what stops the pipeline. */
  next(cursor: Cursor, bounds: PartBounds): Promise<FeedPart<Cursor>>
  /** How many bytes stand before a cursor, and how many there are, where that is known. */
  progress?(cursor: Cursor): FeedProgress | undefined
  /** Ends a `next` that waits, with an error: nothing more is wanted. */
  interrupt?(): void
  /** Gives back what it has open. */
  close?(): Promise<void>
}
