/** Characters kept of the text of what user code throws. */
const errorTextMax = 4000

/** A place where a row is to be parked in the next run, and why. */
export interface ParkAt {
  /** undefined: where rows come into the stage. */
  readonly place: number | undefined
  readonly error: { readonly code: string; readonly message: string; readonly stack?: string | undefined }
}

/** A user function threw, or gave something that its step cannot take. */
export class StepError extends Error {
  /** Index of the step, or of the node, in its plan. */
  readonly step: number
  readonly sequence: number
  /** The key of the row, as user functions see it; undefined where it has none. */
  readonly key: unknown
  /** Where an earlier form of the row is to be parked, since this one cannot be stored. */
  readonly parkAt: ParkAt | undefined

  constructor(step: number, sequence: number, cause: unknown, key?: unknown, parkAt?: ParkAt) {
    super(textOf(cause), { cause })
    this.step = step
    this.sequence = sequence
    this.key = key
    this.parkAt = parkAt
  }
}

/** The message of anything that user code may throw; getters and conversions of its own may throw again. */
export function textOf(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? thrown.message : thrown
    return bounded(typeof text === 'string' ? text : String(text))
  } catch {
    return 'Something was thrown that has no text.'
  }
}

/** The stack of anything that user code may throw. */
export function stackOf(thrown: unknown): string | undefined {
  try {
    const stack = thrown instanceof Error ? thrown.stack : undefined
    return typeof stack === 'string' ? bounded(stack) : undefined
  } catch {
    return undefined
  }
}

const bounded = (text: string): string => (text.length > errorTextMax ? `${text.slice(0, errorTextMax)}...` : text)
